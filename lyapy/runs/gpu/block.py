"""One diagonal block along many trajectories: frames on the device, statistics in arrays.

What the device cannot do, the readable engine does on the host, for that trajectory and that
tile of time: graded steps, trajectories with fewer living directions than others, and tiles that
disagree with the determinant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...arrays import Array
from ...tangent.gpu.device import Device
from ...tangent.gpu.precision import Precision
from ...tangent.gpu.tangent import Tile, make_tangent
from ...tangent.initial_frames import completed
from ...tangent.norm_bounds import SAMPLED
from ...tangent.overflow import describe_overflow
from ...tangent.qr import orthonormalize
from ...tangent.state import Carry
from ..block import Final, Follower, living

__all__ = ["BatchBlock"]

# of a carry: arrays over the vectors, and numbers
VECTORS = ("error", "since", "noise")
NUMBERS = ("intervals", "rejections", "largest_spread", "norm_excess", "repeated")


class BatchBlock:
    """A diagonal block followed along trajectories side by side.

    Frames stay on the device, and statistics in arrays over the trajectories, until `fetch` brings
    both to the followers.

    Parameters
    ----------
    followers : sequence of Follower
        One for each trajectory.
    orthonormal : bool
        Whether the frames are orthonormal; otherwise the device makes them so.

    Attributes
    ----------
    repeated : int
        Tiles of trajectories that were repeated on the host.
    """

    def __init__(
        self,
        followers: Sequence[Follower],
        device: Device,
        precision: Precision,
        orthonormal: bool,
    ) -> None:
        self.followers = followers
        self.device = device
        self.bounds = followers[0].bounds
        self.block = block = followers[0].block
        entries = block.entries
        self._entries = None if entries is None else device.to_device(entries)
        self.schedule = followers[0].schedule
        self.roundoff = precision.roundoff
        self.repeated = 0
        B, k = len(followers), len(followers[0].carry.state.frame)
        self.growth = np.zeros((B, self.schedule.rows, k))
        self.determinants = np.zeros((B, 3))
        self.alive = np.array([follower.alive for follower in followers])
        self.vectors = {name: np.empty((B, k)) for name in VECTORS}
        self.numbers = {name: np.empty(B) for name in NUMBERS}
        for b, follower in enumerate(followers):
            begun = np.flatnonzero(follower.growth.any(axis=1))
            self.growth[b, begun] = follower.growth[begun]
            self.determinants[b] = follower.determinants
            # the followers see the growth that is counted here
            follower.growth, follower.determinants = self.growth[b], self.determinants[b]
            self._read(b)
        # those that have taken graded steps, which the host does
        self._graded = {b for b, follower in enumerate(followers) if follower.carry.state.tilt.size}
        frames = np.stack([_in_one(follower.carry) for follower in followers])
        rates = np.array([follower.carry.state.rate for follower in followers])
        control = self.schedule.control
        self.tangent = make_tangent(block, frames, rates, device, precision, control)
        if not (orthonormal or block.decoupled):
            self.tangent.orthonormalize()

    def _read(self, b: int) -> None:
        """Take the statistics of a trajectory from its carry."""
        found = _fields(self.followers[b].carry)
        for name, values in (self.vectors | self.numbers).items():
            values[b] = found[name]

    def _write(self, b: int, rate: float) -> None:
        """Put the statistics of a trajectory into its carry."""
        follower = self.followers[b]
        follower.alive, kinds = int(self.alive[b]), _fields(follower.carry)
        numbers = {n: type(kinds[n])(values[b]) for n, values in self.numbers.items()}
        vectors = {n: values[b] for n, values in self.vectors.items()}
        follower.carry.update(vectors | numbers | {"rate": rate})

    def advance(self, coefficients: Array, start: int) -> Array:
        """Move all frames through a chunk of coefficients (T, B, C); return growth (tiles, B, k).

        Raises
        ------
        FloatingPointError
            If deviation vectors overflow; its second argument is the place of the trajectory.
        """
        if self._entries is not None:
            coefficients = np.take(coefficients, self._entries, axis=-1)
        to_host, ends = self.device.to_host, self.schedule.tile_ends(len(coefficients))
        starts, before, logs = np.concatenate([[0], ends[:-1]]), self.tangent.frames, None
        if self.followers[0].full and self.block.has_log_abs_det:
            logs = self.block.log_abs_det(coefficients)
            logs = None if logs is None else to_host(logs).astype(np.float64)
        expected = None if logs is None else np.add.reduceat(logs, starts, axis=0)
        alive = np.broadcast_to(self.alive, (len(ends), len(self.alive)))
        lost = False
        if not self.block.decoupled:
            dead, D = self._dead(coefficients), self.block.program.state_size
            lost = start == 0 and bool(dead[: ends[0]].any())
            if start == self.schedule.transient:
                self._revive(np.full_like(self.alive, self.growth.shape[2]))
            if start < self.schedule.transient:
                alive = np.minimum(D - np.maximum.reduceat(dead, starts), self.growth.shape[2])
            else:
                alive = living(dead, starts, self.alive, D)
        growth = np.empty((len(ends), len(self.followers), self.growth.shape[2]))
        counted, excess = start - self.schedule.transient, self.numbers["norm_excess"]
        for tile, (first, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            values = coefficients[first:end]
            self._revive(alive[tile])
            self.alive = alive[tile].copy()
            wanted = None if expected is None else expected[tile]
            growth[tile] = self._advance_tile(values, alive[tile], wanted)
            if lost and tile == 0:
                self._turn(growth[tile], values, alive[tile], before)
            number = counted // self.schedule.control.tile + tile
            if counted >= 0 and number % SAMPLED == 0:
                known = np.where(np.isinf(self.vectors["error"]), -np.inf, growth[tile])
                np.maximum(excess, self._excess(values, known), out=excess)
        overflowed = np.isnan(growth).any(axis=(0, 2))
        if overflowed.any():
            b = int(overflowed.argmax())
            values, frame = to_host(coefficients[:, b]), self.tangent.host_frames(b, before)
            program, control = self.block.program, self.schedule.control
            what = describe_overflow(program, values.astype(np.float64), frame, start, control)
            raise FloatingPointError(what, b)
        self._count(growth, start, ends, logs, coefficients)
        return growth

    def _revive(self, rows: Array) -> None:
        """Complete the frames of trajectories of which fewer than ``rows`` (B,) were alive."""
        for b in np.flatnonzero(self.alive < rows).tolist():
            frame = completed(self.tangent.host_frames(b), int(self.alive[b]))
            self.followers[b].carry = Carry.begin(frame)
            self._read(b)
            self._graded.discard(b)
            self.tangent.set_frames(b, frame)
            self.alive[b] = rows[b]

    def _dead(self, coefficients: Array) -> Array:
        """Return for each J among coefficients (T, B, C) a lower bound (T, B) on its nullity."""
        dead = self.device.to_host(self.block.dead_directions(coefficients))
        if not self.block.exact:
            return dead
        vanishing = self.block.vanishing(self.device.to_host(coefficients))
        return np.maximum(dead, vanishing)

    def _excess(self, coefficients: Array, growth: Array) -> Array:
        """Return by how much the growth (B, k) over a tile passes its bounds (B,)."""
        largest = self.device.to_host(np.max(np.abs(coefficients), axis=0)).astype(np.float64)
        return self.bounds.excess_of_steps(largest, growth / len(coefficients))

    def _advance_tile(self, coefficients: Array, alive: Array, expected: Array | None) -> Array:
        """Return the growth (B, k) over a tile; −∞ for dead directions."""
        before, skip = self.tangent.frames, np.full(len(alive), self.block.weak)
        for b in self._graded:
            # a frame can be tilted so far that another graded step has to follow
            carry = self.followers[b].carry
            carry.update({"since": self.vectors["since"][b]})
            skip[b] = carry.state.tilted(self.schedule.control)
        found = self.tangent.advance(coefficients, alive, skip)
        failed = found.failed | self._disagrees(found, expected, len(coefficients))
        # −∞ of a living direction has underflowed
        if not (self.block.exact and self.block.decoupled):
            rows = np.arange(found.growth.shape[1]) < alive[:, None]
            failed |= (np.isneginf(found.growth) & rows).any(axis=1)
        self._take(found, ~failed, np.arange(found.growth.shape[1]) < alive[:, None])
        for b in np.flatnonzero(failed).tolist():
            frame = self.tangent.host_frames(b, before)
            found.growth[b] = self._repeat(b, coefficients[:, b], frame, alive[b])
        return found.growth

    def _turn(self, growth: Array, coefficients: Array, alive: Array, before: Any) -> None:
        """Repeat the first tile of trajectories where one of the first rows of a frame is dead."""
        lost = np.isinf(self.vectors["error"]) & (np.arange(growth.shape[1]) < alive[:, None])
        for b in np.flatnonzero(lost.any(axis=1)).tolist():
            follower = self.followers[b]
            follower.turn(self.tangent.host_frames(b, before))
            self._read(b)
            growth[b] = self._repeat(b, coefficients[:, b], follower.carry.state.frame, alive[b])

    def _disagrees(self, found: Tile, expected: Array | None, steps: int) -> Array:
        """Return which of the trajectories (B,) disagree with log|det J| over the tile."""
        if expected is None:
            return np.zeros(len(found.failed), bool)
        size = self.block.program.state_size
        admitted = np.exp(self.schedule.control.limit) * self.roundoff * steps * np.sqrt(size)
        known = np.isfinite(expected)
        difference = np.abs(found.growth.sum(axis=1) - np.where(known, expected, 0.0))
        return known & ~(difference <= admitted)

    def _take(self, found: Tile, taken: Array, alive: Array) -> None:
        """Add what a tile adds to the statistics of some of the trajectories."""
        rows, vectors, numbers = alive & taken[:, None], self.vectors, self.numbers
        np.add(vectors["error"], found.error, out=vectors["error"], where=rows)
        np.add(vectors["since"], found.growth, out=vectors["since"], where=rows)
        np.copyto(vectors["noise"], found.noise, where=rows)
        for name in ("intervals", "rejections"):
            np.add(numbers[name], getattr(found, name), out=numbers[name], where=taken)
        widest = numbers["largest_spread"]
        np.maximum(widest, found.spread, out=widest, where=taken)

    def _repeat(self, b: int, coefficients: Array, frame: Array, alive: int) -> Array:
        """Repeat a tile of one trajectory on the host, and return its growth (k,)."""
        self.repeated += 1
        self.numbers["repeated"][b] += 1
        follower = self.followers[b]
        control = follower.control
        self._write(b, float(self.tangent.rates[b]))
        follower.carry.update({"frame": frame})
        values = self.device.to_host(coefficients).astype(np.float64)
        ends, rows = np.array([len(values)]), np.array([alive])
        # what overflows is found by the caller
        with np.errstate(over="ignore", invalid="ignore"):
            growth = follower.tangent.advance(values, ends, rows, follower.carry, control)
        self._read(b)
        self.tangent.set_frames(b, follower.carry.state.frame)
        if follower.carry.state.tilt.size:
            self._graded.add(b)
        return growth[0]

    def _count(
        self, growth: Array, start: int, ends: Array, logs: Array | None, coefficients: Array
    ) -> None:
        """Count the growth (tiles, B, k) of a chunk, as `Follower.count` does."""
        counted = start - self.schedule.transient
        if counted < 0:
            for b in self._graded:
                self.followers[b].carry.reset_statistics()
            self.vectors["error"][...] = 0.0
            for name, values in self.numbers.items():
                values[...] = -np.inf if name == "norm_excess" else 0.0
            return
        first = counted // self.schedule.control.tile
        for tile, values in enumerate(growth):
            self.growth[:, (first + tile) // self.schedule.tiles_per_row] += values
        if logs is not None:
            sums = np.sum(logs, axis=0), np.sum(growth, axis=(0, 2))
            self.determinants += np.stack([*sums, np.full(len(sums[0]), len(logs))], axis=1)
        elif counted == 0 and self.followers[0].full:
            for b in (b for b, follower in enumerate(self.followers) if follower.by_lu):
                values = self.device.to_host(coefficients[: ends[0], b]).astype(np.float64)
                self.followers[b].compare(values, ends, growth[:, b], None, True)

    def fetch(self) -> None:
        """Bring frames and statistics to the followers, for the bookkeeping there."""
        frames, rates = self.tangent.host_frames(), self.tangent.rates.tolist()
        for b, (follower, frame) in enumerate(zip(self.followers, frames, strict=True)):
            self._write(b, rates[b])
            follower.carry.state.frame = frame

    def finals(self) -> list[Final]:
        """Return the last frames, orthonormalized on the device, after `fetch`."""
        errors = self.tangent.frame_errors(np.stack([f.sure_rows() for f in self.followers]))
        self.tangent.orthonormalize()
        each = zip(self.followers, self.tangent.host_frames(), errors.tolist(), strict=True)
        return [
            # dead directions may depend on others
            Final(x if np.isfinite(x).all() else orthonormalize(f.carry.state.frame)[0], error)
            for f, x, error in each
        ]


def _fields(carry: Carry) -> dict[str, Any]:
    return vars(carry.state) | vars(carry.statistics)


def _in_one(carry: Carry) -> Array:
    """Return the frame, orthonormalized again where an engine followed it from both ends."""
    state = carry.state
    if state.split < len(state.frame):
        state.frame, state.split = orthonormalize(state.frame)[0], len(state.frame)
    return state.frame
