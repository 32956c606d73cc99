"""One diagonal block along many trajectories: frames on the device, statistics in arrays.

What the device cannot do, the CPU's engine does: a trajectory that needs graded steps, that
regains dead directions, or that disagrees with the determinant, is handed over for that chunk.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ...arrays import Array
from ...tangent.gpu.device import Device
from ...tangent.gpu.tangent import BatchTangent, Found
from ...tangent.gpu.whole_tile import WholeTangent, fits
from ...tangent.norm_bounds import SAMPLED
from ...tangent.state import Carry
from ..block import Final, Follower, living
from ..threads import default_threads

__all__ = ["BatchBlock"]

# statistics of a carry: those that go on after the transient, and those that begin again
KEPT = ("since", "noise")
COUNTED = ("error", "intervals", "rejections", "largest_spread", "norm_excess", "repeated")


class BatchBlock:
    """A diagonal block followed along trajectories side by side, which have a follower each.

    Frames stay on the device, and statistics in arrays over the trajectories, until `fetch` brings
    both to the followers. The device makes the frames orthonormal where they are not.
    """

    def __init__(self, followers: Sequence[Follower], device: Device, orthonormal: bool) -> None:
        self.followers, self.device = followers, device
        self.bounds, self.schedule = followers[0].bounds, followers[0].schedule
        self.block = block = followers[0].block
        self._entries = None if block.entries is None else device.to_device(block.entries)
        B, first = len(followers), followers[0].carry.to_dict()
        self.growth = np.stack([follower.growth for follower in followers])
        self.determinants = np.stack([follower.determinants for follower in followers])
        self.alive, self.tilted = np.zeros(B, int), np.zeros(B, bool)
        # numbers (B,), and those of each vector (B, k)
        self.sums = {name: np.zeros((B, *np.shape(first[name]))) for name in KEPT + COUNTED}
        for b, follower in enumerate(followers):
            # the followers see the growth that is counted here
            follower.growth, follower.determinants = self.growth[b], self.determinants[b]
            self._read(b)
        carries, control = [follower.carry for follower in followers], self.schedule.control
        # graded steps all along, or no steps: without products, copies cost as much as the rest
        self.on_host = block.weak or block.decoupled
        whole = fits(block.program, len(first["frame"]), device) and not self.on_host
        kind = WholeTangent if whole else BatchTangent
        self.tangent = kind(block.program, *_frames_and_rates(carries), device, control)
        if not (orthonormal or block.decoupled):
            self.tangent.orthonormalize()

    def _read(self, b: int) -> None:
        """Take the statistics of a trajectory from its follower."""
        follower = self.followers[b]
        found = follower.carry.to_dict()
        for name, values in self.sums.items():
            values[b] = found[name]
        self.alive[b], self.tilted[b] = follower.alive, found["tilt"].size > 0

    def _write(self, b: int, frame: Array) -> None:
        """Bring frame and statistics of a trajectory to its follower."""
        follower = self.followers[b]
        old, follower.alive = follower.carry.to_dict(), int(self.alive[b])
        found = {n: x[b] if x.ndim > 1 else type(old[n])(x[b]) for n, x in self.sums.items()}
        rate = float(self.tangent.rates[b])
        follower.carry.update({**found, "rate": rate, "frame": frame})

    def advance(self, coefficients: Array, start: int) -> Array:
        """Move all frames through a chunk of coefficients (T, B, C); return growth (tiles, B, k).

        The second argument of a FloatingPointError, if they overflow, is the trajectory's place.
        """
        values, before, to_host = coefficients, self.tangent.frames, self.device.to_host
        ends, expected = self.schedule.tile_ends(len(values)), None
        if self.on_host:
            growth = np.empty((len(ends), *self.growth.shape[::2]))
            self._hand_over(np.arange(len(before)), coefficients, start, before, growth)
            return growth
        if self._entries is not None:
            values = np.take(coefficients, self._entries, axis=-1)
        starts = np.concatenate([[0], ends[:-1]])
        if self.followers[0].full and self.block.has_log_abs_det:
            logs = self.block.log_abs_det(values)
            if logs is not None:
                expected = np.add.reduceat(to_host(logs).astype(np.float64), starts)
        alive = self._living(values, starts, start)
        rising = (np.diff(alive, axis=0, prepend=self.alive[None]) > 0).any(axis=0)
        # its last step was a graded one, and so will the next be
        graded = self.tilted & ~self.sums["since"].any(axis=1) & (start > 0)
        graded &= self.schedule.control.fixed <= 1
        handed = rising | graded
        if start == self.schedule.transient:
            handed |= self.alive < self.growth.shape[2]
        found = self.tangent.advance(values, ends, alive, handed)
        known, totals = found.growth > -np.inf, found.growth.sum(axis=2)
        # −∞ of a living direction has underflowed
        handed |= found.failed | (np.count_nonzero(known, axis=2) < alive).any(axis=0)
        if expected is not None:
            handed |= self._disagrees(totals, expected, ends - starts)
            sums = expected.sum(axis=0), totals.sum(axis=0), np.full(len(handed), ends[-1])
            expected = np.stack(sums, axis=1)
        self._count(found._replace(failed=handed), known, start, expected, values)
        self.alive = np.where(handed, self.alive, alive[-1])
        self._hand_over(np.flatnonzero(handed), coefficients, start, before, found.growth)
        return found.growth

    def _living(self, coefficients: Array, starts: Array, start: int) -> Array:
        """Return how many directions (tiles, B) are alive in each tile."""
        D, transient = self.block.program.state_size, self.schedule.transient
        dead = self.device.to_host(self.block.dead_directions(coefficients))
        if self.block.counts_zeros:
            dead = np.maximum(dead, self.block.vanishing(self.device.to_host(coefficients)))
        before = self.alive if start > transient else self.growth.shape[2]
        return living(dead, starts, before, D, start >= transient)

    def _disagrees(self, totals: Array, expected: Array, steps: Array) -> Array:
        """Return in which trajectories (B,) growth disagrees with log|det J|, both (tiles, B)."""
        size, limit = self.block.program.state_size, self.schedule.control.limit
        admitted = np.exp(limit) * self.device.precision.roundoff * steps * np.sqrt(size)
        known = np.isfinite(expected)
        difference = np.abs(totals - np.where(known, expected, 0.0))
        return np.asarray((known & ~(difference <= admitted[:, None])).any(axis=0))

    def _count(
        self, found: Found, known: Array, start: int, both: Array | None, coefficients: Array
    ) -> None:
        """Count a chunk as `Follower` does, but of trajectories that failed.

        Given are which growth is no −∞, and ``both`` sides of the sum rule (B, 3).
        """
        counted, tile = start - self.schedule.transient, self.schedule.control.tile
        sums, tiles, failed, taken = self.sums, found.growth, found.failed, ~found.failed
        tiles[:, failed], found.error[failed], known[:, failed] = 0.0, 0.0, False
        sums["since"] += (tiles if known.all() else np.where(known, tiles, 0.0)).sum(axis=0)
        np.copyto(sums["noise"], found.noise, where=known[-1])
        if counted < 0:
            for name in COUNTED:
                sums[name][...] = -np.inf if name == "norm_excess" else 0.0
            return
        sums["error"] += found.error
        sums["intervals"] += np.where(taken, found.intervals, 0)
        sums["rejections"] += np.where(taken, found.rejections, 0)
        largest = {"largest_spread": found.spread}
        for i, growth in enumerate(tiles, counted // tile):
            self.growth[:, i // self.schedule.tiles_per_row] += growth
            if i % SAMPLED == 0:
                steps = coefficients[i * tile - counted : (i + 1) * tile - counted]
                sizes = self.device.to_host(np.max(np.abs(steps), axis=0)).astype(np.float64)
                rates = np.where(np.isinf(sums["error"]), -np.inf, growth) / len(steps)
                largest["norm_excess"] = self.bounds.excess_of_steps(sizes, rates)
        for name, values in largest.items():
            np.maximum(sums[name], values, out=sums[name], where=taken)
        if both is not None:
            self.determinants += np.where(taken[:, None], both, 0.0)
        elif counted == 0 and self.followers[0].full:
            for b in (b for b in np.flatnonzero(taken).tolist() if self.followers[b].by_lu):
                values = self.device.to_host(coefficients[:tile, b]).astype(np.float64)
                ends = np.array([len(values)])
                self.followers[b].compare(values, ends, found.growth[:, b], None, True)

    def _hand_over(
        self, chosen: Array, coefficients: Array, start: int, before: Any, growth: Array
    ) -> None:
        """Let the followers of some trajectories take a chunk on the CPU; fill in ``growth``."""
        if not chosen.size:
            return
        frames, chosen = self.tangent.host_frames(chosen.tolist(), before), chosen.tolist()
        values = self.device.to_host(coefficients[:, chosen]).astype(np.float64)

        def take(i: int) -> None:
            follower = self.followers[chosen[i]]
            self._write(chosen[i], frames[i])
            try:
                growth[:, chosen[i]] = follower.advance(values[:, i], start)
            except FloatingPointError as error:
                raise FloatingPointError(str(error), chosen[i]) from None
            follower.carry.statistics.repeated += len(growth)
            self._read(chosen[i])

        with ThreadPoolExecutor(min(default_threads(), len(chosen))) as pool:
            list(pool.map(take, range(len(chosen))))
        carries = [self.followers[b].carry for b in chosen]
        self.tangent.replace(chosen, *_frames_and_rates(carries))

    def fetch(self) -> None:
        """Bring frames and statistics to the followers, for the bookkeeping there."""
        for b, frame in enumerate(self.tangent.host_frames()):
            self._write(b, frame)

    def finals(self) -> list[Final]:
        """Return the last frames, orthonormalized on the device, after `fetch`."""
        errors = self.tangent.frame_errors(np.stack([f.sure_rows() for f in self.followers]))
        self.tangent.orthonormalize()
        each = zip(self.followers, self.tangent.host_frames(), errors.tolist(), strict=True)
        return [
            # dead directions may depend on others
            Final(x if np.isfinite(x).all() else f.carry.state.orthonormal(), error)
            for f, x, error in each
        ]


def _frames_and_rates(carries: Sequence[Carry]) -> tuple[Array, Array]:
    """Return frames (B, k, D), each of them one, and the spreads expected per step (B,)."""
    for state in (carry.state for carry in carries):
        if state.split < len(state.frame):
            # an engine followed it from both ends
            state.frame, state.split = state.orthonormal(), len(state.frame)
    frames = np.stack([carry.state.frame for carry in carries])
    return frames, np.array([carry.state.rate for carry in carries])
