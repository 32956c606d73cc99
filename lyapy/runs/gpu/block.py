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

# of a carry: arrays over the vectors, and numbers
VECTORS = ("error", "since", "noise")
NUMBERS = ("intervals", "rejections", "largest_spread", "norm_excess", "repeated")


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
        B, k = len(followers), len(followers[0].carry.state.frame)
        self.growth = np.stack([follower.growth for follower in followers])
        self.determinants = np.stack([follower.determinants for follower in followers])
        self.alive = np.array([follower.alive for follower in followers])
        self.tilted = np.zeros(B, bool)
        self.vectors = {name: np.empty((B, k)) for name in VECTORS}
        self.numbers = {name: np.empty(B) for name in NUMBERS}
        for b, follower in enumerate(followers):
            # the followers see the growth that is counted here
            follower.growth, follower.determinants = self.growth[b], self.determinants[b]
            self._read(b)
        carries, control = [follower.carry for follower in followers], self.schedule.control
        # graded steps all along, or no steps: without products, copies cost as much as the rest
        self.on_host = block.weak or block.decoupled
        whole = fits(block.program, k, device) and not self.on_host
        kind = WholeTangent if whole else BatchTangent
        self.tangent = kind(block.program, *_frames_and_rates(carries), device, control)
        if not (orthonormal or block.decoupled):
            self.tangent.orthonormalize()

    def _read(self, b: int) -> None:
        """Take the statistics of a trajectory from its follower."""
        follower = self.followers[b]
        found = vars(follower.carry.state) | vars(follower.carry.statistics)
        for name, values in (self.vectors | self.numbers).items():
            values[b] = found[name]
        self.alive[b], self.tilted[b] = follower.alive, found["tilt"].size > 0

    def _write(self, b: int, frame: Array) -> None:
        """Bring frame and statistics of a trajectory to its follower."""
        follower = self.followers[b]
        carry, follower.alive = follower.carry, int(self.alive[b])
        kinds = vars(carry.statistics)
        numbers = {n: type(kinds[n])(values[b]) for n, values in self.numbers.items()}
        vectors = {n: values[b] for n, values in self.vectors.items()}
        carry.update(vectors | numbers | {"rate": float(self.tangent.rates[b])})
        carry.state.frame = frame

    def advance(self, coefficients: Array, start: int) -> Array:
        """Move all frames through a chunk of coefficients (T, B, C); return growth (tiles, B, k).

        Raises
        ------
        FloatingPointError
            If deviation vectors overflow; its second argument is the place of the trajectory.
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
        graded = self.tilted & ~self.vectors["since"].any(axis=1) & (start > 0)
        graded &= self.schedule.control.fixed <= 1
        handed = rising | graded
        if start == self.schedule.transient:
            handed |= self.alive < self.growth.shape[2]
        found = self.tangent.advance(values, ends, alive, handed)
        # −∞ of a living direction has underflowed
        living_rows = np.arange(self.growth.shape[2]) < alive[..., None]
        handed |= found.failed | (np.isneginf(found.growth) & living_rows).any(axis=(0, 2))
        if expected is not None:
            handed |= self._disagrees(found.growth, expected, starts, ends)
        self._count(found, ~handed, start, expected, values)
        self.alive = np.where(handed, self.alive, alive[-1])
        self._hand_over(np.flatnonzero(handed), coefficients, start, before, found.growth)
        return found.growth

    def _living(self, coefficients: Array, starts: Array, start: int) -> Array:
        """Return how many directions (tiles, B) are alive in each tile."""
        D, k = self.block.program.state_size, self.growth.shape[2]
        dead = self.device.to_host(self.block.dead_directions(coefficients))
        if self.block.counts_zeros:
            dead = np.maximum(dead, self.block.vanishing(self.device.to_host(coefficients)))
        if start < self.schedule.transient:
            return np.minimum(D - np.maximum.reduceat(dead, starts), k)
        before = self.alive if start > self.schedule.transient else np.full_like(self.alive, k)
        return living(dead, starts, before, D)

    def _disagrees(self, growth: Array, expected: Array, starts: Array, ends: Array) -> Array:
        """Return which of the trajectories (B,) disagree with log|det J| (tiles, B)."""
        size, limit = self.block.program.state_size, self.schedule.control.limit
        admitted = np.exp(limit) * self.device.precision.roundoff * (ends - starts) * np.sqrt(size)
        known = np.isfinite(expected)
        difference = np.abs(growth.sum(axis=2) - np.where(known, expected, 0.0))
        return np.asarray((known & ~(difference <= admitted[:, None])).any(axis=0))

    def _count(
        self, found: Found, taken: Array, start: int, expected: Array | None, coefficients: Array
    ) -> None:
        """Count a chunk of the trajectories ``taken``, as `Follower` does."""
        counted, tile = start - self.schedule.transient, self.schedule.control.tile
        vectors, numbers, each = self.vectors, self.numbers, taken[:, None]
        tiles = np.where(each, found.growth, 0.0)
        # dead directions have grown by −∞
        vectors["since"] += np.where(tiles > -np.inf, tiles, 0.0).sum(axis=0)
        np.copyto(vectors["noise"], found.noise, where=each & (tiles[-1] > -np.inf))
        if counted < 0:
            vectors["error"][...] = 0.0
            for name, values in numbers.items():
                values[...] = -np.inf if name == "norm_excess" else 0.0
            return
        vectors["error"] += np.where(each, found.error, 0.0)
        numbers["intervals"][taken] += found.intervals[taken]
        numbers["rejections"][taken] += found.rejections[taken]
        largest = {"largest_spread": found.spread}
        for i, growth in enumerate(tiles, counted // tile):
            self.growth[:, i // self.schedule.tiles_per_row] += growth
            if i % SAMPLED == 0:
                steps = coefficients[i * tile - counted : (i + 1) * tile - counted]
                known = np.where(np.isinf(vectors["error"]), -np.inf, growth)
                largest["norm_excess"] = self._excess(steps, known)
        for name, values in largest.items():
            np.maximum(numbers[name], values, out=numbers[name], where=taken)
        if expected is not None:
            steps = np.full(len(taken), len(coefficients))
            sums = np.stack([expected.sum(axis=0), tiles.sum(axis=(0, 2)), steps], axis=1)
            self.determinants[taken] += sums[taken]
        elif counted == 0 and self.followers[0].full:
            for b in (b for b in np.flatnonzero(taken).tolist() if self.followers[b].by_lu):
                values = self.device.to_host(coefficients[:tile, b]).astype(np.float64)
                ends = np.array([len(values)])
                self.followers[b].compare(values, ends, found.growth[:, b], None, True)

    def _excess(self, coefficients: Array, growth: Array) -> Array:
        """Return by how much the growth (B, k) over a tile passes its bounds (B,)."""
        largest = self.device.to_host(np.max(np.abs(coefficients), axis=0)).astype(np.float64)
        return self.bounds.excess_of_steps(largest, growth / len(coefficients))

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
