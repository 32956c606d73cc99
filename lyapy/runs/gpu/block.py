"""One part of a network along many trajectories: frames on the device, bookkeeping on the host.

What the device cannot do, the readable engine does on the host, for that trajectory and that
tile of time: graded steps, trajectories with more dead directions than others, and tiles that
disagree with the determinant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...networks.apply import orthonormalize
from ...tangent.gpu.decoupled import BatchDecoupled
from ...tangent.gpu.device import Device
from ...tangent.gpu.precision import Precision
from ...tangent.gpu.tangent import BatchTangent
from ...tangent.gpu.tile import Tile
from ...tangent.norm_bounds import SAMPLED
from ...tangent.overflow import describe_overflow
from ...tangent.state import Carry
from ..block import Follower, living

__all__ = ["BatchPart", "PartChunk"]


class PartChunk(NamedTuple):
    """What a chunk comes to, on the host.

    Attributes
    ----------
    growth : array (tiles, B, k)
    excess : array (B,)
        Of the growth above its bounds, as `NormBounds.excess` returns it.
    logs : array (T, B) or None
        log|det J|, where it is needed and has a closed form.
    """

    growth: Array
    excess: Array
    logs: Array | None


class BatchPart:
    """A part of a network followed along trajectories side by side.

    Parameters
    ----------
    followers : sequence of Follower
        One for each trajectory.
    device : Device
    precision : Precision

    Attributes
    ----------
    repeated : int
        Tiles of trajectories that were repeated on the host.
    """

    def __init__(self, followers: Sequence[Follower], device: Device, precision: Precision) -> None:
        self.followers = followers
        self.device = device
        self.bounds = followers[0].bounds
        self.part = followers[0].block
        self.schedule = followers[0].schedule
        self.roundoff = precision.roundoff
        frames = np.stack([_in_one(follower.carry) for follower in followers])
        control = self.schedule.control
        kind = BatchDecoupled if self.part.decoupled else BatchTangent
        self.tangent = kind(self.part.program, frames, device, precision, control)
        self.tangent.rate = max(follower.carry.state.rate for follower in followers)
        self.repeated = 0

    def advance(self, coefficients: Array, start: int) -> PartChunk:
        """Move all frames through a chunk of coefficients (T, B, C) on the device.

        Raises
        ------
        FloatingPointError
            If deviation vectors overflow; its second argument is the place of the trajectory.
        """
        to_host, ends = self.device.to_host, self.schedule.tile_ends(len(coefficients))
        starts, before = np.concatenate([[0], ends[:-1]]), self.tangent.frames
        dead = to_host(self.part.dead_directions(coefficients))
        alive = [self._living(f, dead[:, b], starts) for b, f in enumerate(self.followers)]
        logs = self.part.log_abs_det(coefficients) if self.followers[0].full else None
        logs = None if logs is None else to_host(logs).astype(np.float64)
        expected = None if logs is None else np.add.reduceat(logs, starts, axis=0)
        # so that what follows does not depend on where a run was continued
        self.tangent.panel = self.tangent.longest_panel
        excess = np.full(len(self.followers), -np.inf)
        growth = np.empty((len(ends), *before.shape[:2]))
        counted = start - self.schedule.transient
        for tile, (first, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            values = coefficients[first:end]
            rows = np.array([each[tile] for each in alive])
            wanted = None if expected is None else expected[tile]
            growth[tile] = self._advance_tile(values, rows, wanted)
            if start == tile == 0 and not self.part.decoupled:
                self._turn(growth[tile], values, rows, before)
            number = counted // self.schedule.control.tile + tile
            if counted >= 0 and number % SAMPLED == 0:
                excess = np.maximum(excess, self._excess(values, growth[tile]))
        for b in np.flatnonzero(np.isnan(growth).any(axis=(0, 2))).tolist():
            values, frame = (to_host(x).astype(np.float64) for x in (coefficients[:, b], before[b]))
            program, control = self.part.program, self.schedule.control
            raise FloatingPointError(describe_overflow(program, values, frame, start, control), b)
        return PartChunk(growth, excess, logs)

    def _living(self, follower: Follower, dead: Array, starts: Array) -> Array:
        if self.part.decoupled:
            return np.full(len(starts), follower.alive)
        rows = living(dead, starts, follower.alive, self.part.program.state_size)
        follower.alive = int(rows[-1])
        return rows

    def _excess(self, coefficients: Array, growth: Array) -> Array:
        """Return by how much the growth (B, k) over a tile passes its bounds (B,)."""
        largest = self.device.to_host(np.max(np.abs(coefficients), axis=0)).astype(np.float64)
        rates, one = growth / len(coefficients), np.ones(1, np.int64)
        pairs = zip(largest, rates, strict=True)
        found = [self.bounds.excess(c[None], one, rate[None]) for c, rate in pairs]
        return np.array(found)

    def _advance_tile(self, coefficients: Array, alive: Array, expected: Array | None) -> Array:
        """Return the growth (B, k) over a tile; −∞ for dead directions."""
        growth = np.full(self.tangent.frames.shape[:2], -np.inf)
        rows = int(alive.max())
        if not rows:
            return growth
        before, control = self.tangent.frames, self.schedule.control
        # after graded steps a frame can be tilted so far that another one has to follow
        tilted = np.array([follower.carry.state.tilted(control) for follower in self.followers])
        found = self.tangent.advance(coefficients, rows, (alive < rows) | tilted)
        failed = found.failed | self._disagrees(found, expected, len(coefficients))
        growth[:, :rows] = found.growth
        for b in np.flatnonzero(~failed).tolist():
            self._take(b, found)
        for b in np.flatnonzero(failed).tolist():
            frame = self.device.to_host(before[b]).astype(np.float64)
            growth[b] = self._repeat(b, coefficients[:, b], frame, alive[b : b + 1])
        return growth

    def _turn(self, growth: Array, coefficients: Array, alive: Array, before: Array) -> None:
        """Repeat the first tile of trajectories where one of the first rows of a frame is dead."""
        lost = np.isneginf(growth) & (np.arange(growth.shape[1]) < alive[:, None])
        for b in np.flatnonzero(lost.any(axis=1)).tolist():
            follower = self.followers[b]
            follower.turn(self.device.to_host(before[b]).astype(np.float64))
            frame = follower.carry.state.frame
            growth[b] = self._repeat(b, coefficients[:, b], frame, alive[b : b + 1])

    def _disagrees(self, found: Tile, expected: Array | None, steps: int) -> Array:
        """Return which of the trajectories (B,) disagree with log|det J| over the tile."""
        if expected is None:
            return np.zeros(len(found.failed), bool)
        size = self.part.program.state_size
        admitted = np.exp(self.schedule.control.limit) * self.roundoff * steps * np.sqrt(size)
        known = np.isfinite(expected)
        difference = np.abs(found.growth.sum(axis=1) - np.where(known, expected, 0.0))
        return known & ~(difference <= admitted)

    def _take(self, b: int, found: Tile) -> None:
        carry, rows = self.followers[b].carry, found.growth.shape[1]
        carry.statistics.error[:rows] += found.error[b]
        carry.state.noise[:rows] = found.noise[b]
        carry.state.since[:rows] += found.growth[b]
        carry.statistics.count(found.intervals, found.rejections, float(found.spread[b]))
        carry.state.rate = self.tangent.rate

    def _repeat(self, b: int, coefficients: Array, frame: Array, alive: Array) -> Array:
        """Repeat a tile of one trajectory on the host, and return its growth (k,)."""
        self.repeated += 1
        follower, to_host = self.followers[b], self.device.to_host
        carry, ends = follower.carry, np.array([len(coefficients)])
        carry.state.frame = frame.copy()
        values = to_host(coefficients).astype(np.float64)
        control = self.schedule.control
        # what overflows is found by the caller
        with np.errstate(over="ignore", invalid="ignore"):
            (growth,) = follower.tangent.advance(values, ends, alive, carry, control)
        carry.state.rate = self.tangent.rate
        frames = self.tangent.frames.copy()
        frames[b] = self.device.to_device(carry.state.frame.astype(frames.dtype))
        self.tangent.frames = frames
        result: Array = growth
        return result

    def fetch(self) -> None:
        """Bring the frames to the host, for the bookkeeping there."""
        frames = self.device.to_host(self.tangent.frames).astype(np.float64)
        for follower, frame in zip(self.followers, frames, strict=True):
            follower.carry.state.frame = frame


def _in_one(carry: Carry) -> Array:
    """Return the frame, orthonormalized anew where an engine followed it from both ends."""
    state = carry.state
    if state.split < len(state.frame):
        state.frame, state.split = orthonormalize(state.frame)[0], len(state.frame)
    return state.frame
