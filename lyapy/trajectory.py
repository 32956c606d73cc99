"""One trajectory: forward pass and tangent engine alternate over chunks of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .engines.carry import Carry
from .engines.full import FullTangent, Tangent
from .engines.interval import Control
from .engines.tangent_step import orthonormalize, tangent_step
from .forward import Chunk, LayerForward, forward_chunk
from .network import Network, Part
from .program import Program
from .types import Array

__all__ = ["Engine", "PartResult", "Schedule", "make_schedule", "run_trajectory"]

HISTORY_ROWS = 1024
# so many that calls into compiled code are few, so few that they stay in a cache
CHUNK_BYTES = 1024 * 1024
CHUNK_TILES = 64


class Engine(NamedTuple):
    """An engine: its loop over time and its tangent side."""

    name: str
    run_layer: LayerForward
    tangent: Callable[[Program, int], Tangent]


class Schedule(NamedTuple):
    """How the steps of a trajectory are cut.

    Attributes
    ----------
    transient, steps : int
        Steps not counted, and counted ones after them.
    tiles_per_row : int
        Tiles whose growth is summed into one row of the history.
    """

    transient: int
    steps: int
    tiles_per_row: int
    control: Control

    def row_ends(self) -> Array:
        """Return the counted steps at which the rows of the history end."""
        width = self.tiles_per_row * self.control.tile
        return np.minimum(np.arange(1, -(-self.steps // width) + 1) * width, self.steps)


def make_schedule(transient: int, steps: int, control: Control) -> Schedule:
    """Return the schedule whose history has `HISTORY_ROWS` rows at most."""
    tiles = -(-steps // control.tile)
    return Schedule(transient, steps, -(-tiles // HISTORY_ROWS), control)


class PartResult(NamedTuple):
    """What one trajectory yields for one part of the network.

    Attributes
    ----------
    growth : array (rows, k)
        Sum of log R_ii over each row of the history, in nats.
    carry : Carry
        With the final frame.
    determinants : array (3,)
        Sums of log|det J| and of all growth over the steps compared, and their number; the
        sum rule says that the first two are equal.
    """

    growth: Array
    carry: Carry
    determinants: Array


class _Follower:
    """Follows the deviation vectors of one part along a trajectory."""

    def __init__(
        self, part: Part, frame: Array, schedule: Schedule, engine: Engine, by_lu: bool
    ) -> None:
        self.part = part
        self.by_lu = by_lu
        self.schedule = schedule
        self.tangent = _make_tangent(part, len(frame), engine)
        self.carry = Carry(frame.copy())
        self.alive = len(frame)
        self.growth = np.zeros((len(schedule.row_ends()), len(frame)))
        self.determinants = np.zeros(3)

    def advance(self, coefficients: Array, start: int) -> None:
        """Move through a chunk that begins at step ``start`` of the trajectory."""
        tile, steps = self.schedule.control.tile, len(coefficients)
        ends = np.minimum(np.arange(tile, steps + tile, tile), steps)
        alive = self._alive(coefficients, ends)
        tiles = self.tangent.advance(coefficients, ends, alive, self.carry, self.schedule.control)
        if np.isnan(tiles).any():
            raise FloatingPointError(
                f"deviation vectors overflowed between steps {start} and {start + steps}; a "
                "shorter interval or interval='auto' mends it where the network does not diverge"
            )
        counted = start - self.schedule.transient
        if counted < 0:
            self.carry.reset_statistics()
        if counted >= 0:
            rows = (counted // tile + np.arange(len(tiles))) // self.schedule.tiles_per_row
            np.add.at(self.growth, rows, tiles)
            if len(self.carry.frame) == self.part.program.state_size:
                self._compare(coefficients, ends, tiles, counted == 0)

    def _alive(self, coefficients: Array, ends: Array) -> Array:
        """Return the directions that are not dead in each tile; once dead is dead for good."""
        dead = self.part.dead_directions(coefficients)
        most = np.maximum.reduceat(dead, np.concatenate([[0], ends[:-1]]))
        alive = self.part.program.state_size - np.maximum.accumulate(most)
        rows: Array = np.minimum(alive, self.alive)
        self.alive = int(rows[-1])
        return rows

    def _compare(self, coefficients: Array, ends: Array, tiles: Array, first: bool) -> None:
        """Add to both sides of the sum rule.

        Without a closed form only the first tile is compared, by LU of the dense Jacobians, and
        only where that is asked for.
        """
        logs = self.part.log_abs_det(coefficients)
        if logs is None and first and self.by_lu:
            program, identity = self.part.program, np.eye(self.part.program.state_size)
            # some at a time, for the sake of memory
            some = [coefficients[t : min(t + 8, ends[0])] for t in range(0, ends[0], 8)]
            dense = (tangent_step(program, steps, identity) for steps in some)
            logs, tiles = np.concatenate([np.linalg.slogdet(J)[1] for J in dense]), tiles[0]
        if logs is not None:
            self.determinants += np.sum(logs), np.sum(tiles), len(logs)

    def result(self) -> PartResult:
        """Return what was found, with the frame orthonormal to working precision."""
        self.carry.frame = orthonormalize(self.carry.frame)[0]
        return PartResult(self.growth, self.carry, self.determinants)


def _make_tangent(part: Part, vectors: int, engine: Engine) -> Tangent:
    """Return the engine's tangent side, checked by the determinant where that is to be had."""
    leading = engine.tangent(part.program, vectors)
    if vectors < part.program.state_size or not part.has_log_abs_det:
        return leading
    trailing = engine.tangent(part.inverse_program, vectors) if part.inverse else None
    return FullTangent(leading, trailing, part.inverse_coefficients, part.log_abs_det, vectors)


def run_trajectory(
    network: Network,
    parts: Sequence[Part],
    inputs: Array,
    state: Array,
    frames: Sequence[Array],
    schedule: Schedule,
    engine: Engine,
    report: Callable[[int], None],
    by_lu: bool,
) -> tuple[Array, list[PartResult]]:
    """Compute the growth along one trajectory.

    Parameters
    ----------
    parts : sequence of Part
    inputs : array (transient + steps, m)
    state : array (D,)
    frames : sequence of array (k, D of the part)
        Orthonormal rows, for each part.
    report
        Called with the number of steps done since the last call.
    by_lu : bool
        Compare the sum rule by LU for cells without a closed form of log|det J|.

    Returns
    -------
    final_state : array (D,)
    results : list of PartResult

    Raises
    ------
    FloatingPointError
        If a state or a norm is not finite.
    """
    pairs = zip(parts, frames, strict=True)
    followers = [_Follower(part, frame, schedule, engine, by_lu) for part, frame in pairs]
    for start, stop in _chunks(network, schedule):
        chunk = forward_chunk(network, inputs[start:stop], state, engine.run_layer)
        _check_states(chunk, start)
        for follower in followers:
            follower.advance(chunk.coefficients, start)
        state = chunk.states[-1]
        report(stop - start)
    return state, [follower.result() for follower in followers]


def _chunks(network: Network, schedule: Schedule) -> Iterator[tuple[int, int]]:
    """Yield the chunks: whole tiles, of the transient and then of the counted steps."""
    entries = sum(c.size for layer in network.program.coefficients for c in layer.values())
    tile = schedule.control.tile
    length = tile * min(max(CHUNK_BYTES // (8 * max(entries, 1) * tile), 1), CHUNK_TILES)
    total = schedule.transient + schedule.steps
    for first, last in ((0, schedule.transient), (schedule.transient, total)):
        for start in range(first, last, length):
            yield start, min(start + length, last)


def _check_states(chunk: Chunk, start: int) -> None:
    if not np.isfinite(chunk.states[-1]).all():
        finite = np.isfinite(chunk.states).all(axis=-1)
        step = start + int(finite.argmin())
        raise FloatingPointError(f"the state is not finite after step {step}: it diverges")
