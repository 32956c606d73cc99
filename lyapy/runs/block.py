"""The deviation vectors of one diagonal block, followed along one trajectory."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..networks.apply import tangent_step
from ..tangent.engine import Engine
from ..tangent.initial_frames import completed, turned
from ..tangent.interval import Control
from ..tangent.norm_bounds import NormBounds, TileBounds, excess, frame_error
from ..tangent.overflow import describe_overflow
from ..tangent.qr import orthonormalize
from ..tangent.reference import Leg, Tangent
from ..tangent.state import Carry
from ..tangent.together import Walk, walk_together
from .schedule import Schedule


class BlockResult(NamedTuple):
    """Result of one trajectory in one diagonal block."""

    # sum of log R_ii over each row of the history (rows, k), in nats
    growth: Array
    # with the final frame
    carry: Carry
    # sums of log|det J| and of all growth, which the sum rule says are equal, over how many steps
    determinants: Array


class Final(NamedTuple):
    """The last frame (k, D), orthonormal, and its error as the engine left it."""

    frame: Array
    error: float


def living(dead: Array, starts: Array, alive: Any, state_size: int, counted: bool) -> Array:
    """Return how many directions (tiles, ...) are alive in each tile.

    ``dead`` are those of each step (T, ...), ``alive`` (...) were before. A dead one stays dead
    where growth is counted, and lives again in the next tile of a transient.
    """
    most = np.maximum.reduceat(dead, starts, axis=0)
    if counted:
        most = np.maximum.accumulate(most, axis=0)
    return np.asarray(np.minimum(state_size - most, alive))


class _Chunk(NamedTuple):
    """A chunk of a block along one trajectory.

    Coefficients (T, C), steps at which its tiles end, dead directions of each step (T,), and bounds
    on the growth in some tiles.
    """

    coefficients: Array
    ends: Array
    dead: Array
    bounds: Sequence[TileBounds]


def advance_together(
    followers: Sequence["Follower"], coefficients: Array, start: int
) -> list[Array]:
    """Move followers of a block, of a trajectory each, through a chunk of coefficients (B, T, C).

    Returns the growth (tiles, k) of each. The second argument of a FloatingPointError is the place
    of its trajectory.
    """
    pairs = zip(followers, _chunks(followers[0], coefficients, start), strict=True)
    return walk_together([follower.advancing(chunk, start) for follower, chunk in pairs])


def _chunks(follower: "Follower", coefficients: Array, start: int) -> list[_Chunk]:
    """Return chunks of coefficients (B, T, C) for the block of a follower."""
    coefficients, schedule = follower.block.select(coefficients), follower.schedule
    ends, tile = schedule.tile_ends(coefficients.shape[1]), schedule.control.tile
    dead, counted = follower.dead(coefficients), start - schedule.transient
    bounds: list[list[TileBounds]] = [[] for _ in coefficients]
    if counted >= 0:
        bounds = follower.bounds.of_tiles(coefficients, ends, counted // tile)
    each = zip(coefficients, dead, bounds, strict=True)
    return [_Chunk(values, ends, *rest) for values, *rest in each]


def finals(followers: Sequence["Follower"]) -> list[Final]:
    """Return the last frames of a block in some trajectories, as the CPU leaves them."""
    states = [follower.carry.state for follower in followers]
    frames = np.stack([state.frame for state in states])
    whole = all(state.split == len(state.frame) for state in states)
    if whole and np.isfinite(frames).all():
        ended = list(orthonormalize(frames)[0])
    else:
        ended = [state.orthonormal() for state in states]
    errors = [frame_error(x[f.sure_rows()]) for x, f in zip(frames, followers, strict=True)]
    return [*map(Final, ended, errors)]


class Follower:
    """Follows the deviation vectors of one block, orthonormal rows, along a trajectory.

    ``by_lu`` compares the sum rule by LU for cells without a closed form of log|det J|.
    """

    def __init__(
        self, bounds: NormBounds, frame: Array, schedule: Schedule, engine: Engine, by_lu: bool
    ) -> None:
        self.bounds = bounds
        self.block = bounds.block
        self.by_lu = by_lu
        self.engine = engine
        self.schedule = schedule
        self.carry = Carry.begin(frame.copy())
        self.alive = len(frame)
        self.growth = np.zeros((schedule.rows, len(frame)))
        self.determinants = np.zeros(3)

    @cached_property
    def tangent(self) -> Tangent:
        """The engine's, made when it is needed: those of a GPU's trajectories may never be."""
        return self.engine.tangent_of(self.block, self.growth.shape[1])

    @property
    def full(self) -> bool:
        """Whether the whole spectrum is computed, and the sum rule applies."""
        return self.growth.shape[1] == self.block.program.state_size

    @property
    def control(self) -> Control:
        """The bounds of the block's intervals."""
        control = self.schedule.control
        # graded steps follow how far rounding tilts the frame across weak couplings
        graded = self.block.weak and control.fixed <= 1
        return control._replace(underflow=not self.block.exact, graded=graded)

    def advance(self, coefficients: Array, start: int) -> Array:
        """Move through a chunk that begins at step ``start``; return the growth (tiles, k)."""
        try:
            (tiles,) = advance_together([self], coefficients[None], start)
        except FloatingPointError as error:
            raise FloatingPointError(error.args[0]) from None
        return tiles

    def advancing(self, chunk: _Chunk, start: int) -> Walk[Array]:
        """Advance as `advance` does, but yield each leg for the tangent."""
        coefficients, ends, dead, _ = chunk
        before = self.carry.state.frame.copy()
        if start == self.schedule.transient:
            self._revive(len(before))
        alive = self._living(dead, ends, start)
        fewest = min(self.alive, int(alive.min()))
        if start < self.schedule.transient and fewest < len(before):
            tiles = yield from self._advance_apart(coefficients, ends, alive, start, dead)
        else:
            lost = start == 0 and bool(dead[: ends[0]].any())
            tiles = yield from self._advance(coefficients, ends, alive, lost)
        if np.isnan(tiles).any():
            program, control = self.block.program, self.schedule.control
            raise FloatingPointError(
                describe_overflow(program, coefficients, before, start, control)
            )
        self.alive = int(alive[-1])
        self._count(tiles, start, chunk)
        return tiles

    def _advance(self, coefficients: Array, ends: Array, alive: Array, lost: bool) -> Walk[Array]:
        """Advance; ``lost`` says that directions are dead in the first tile of all."""
        before = self.carry.state.frame.copy()
        control = self.control
        tiles = yield Leg(self.tangent, coefficients, ends, alive, self.carry, control)
        if lost and np.isinf(self.carry.statistics.error[: alive[0]]).any():
            # one of the first rows may be dead, and a living one left out in its place
            self.turn(before)
            tiles = yield Leg(self.tangent, coefficients, ends, alive, self.carry, control)
        return tiles

    def _advance_apart(
        self, coefficients: Array, ends: Array, alive: Array, start: int, dead: Array
    ) -> Walk[Array]:
        """Advance tile by tile: directions that die in one of the transient live in the next."""
        tiles, first = [], 0
        for end, rows in zip(ends.tolist(), alive, strict=True):
            self._revive(int(rows))
            one, length = coefficients[first:end], np.array([end - first])
            lost = start + first == 0 and bool(dead[:end].any())
            tiles.append((yield from self._advance(one, length, np.array([rows]), lost)))
            self.alive, first = int(rows), end
        return np.concatenate(tiles)

    def _revive(self, rows: int) -> None:
        """Complete the frame where fewer than ``rows`` of it were alive."""
        if self.alive < rows:
            self._begin(completed(self.carry.state.frame, self.alive))
            self.alive = rows

    def turn(self, frame: Array) -> None:
        """Begin again with a frame (k, D), turned within its span."""
        self._begin(turned(frame))

    def _begin(self, frame: Array) -> None:
        vars(self).pop("tangent", None)
        self.carry = Carry.begin(frame)

    def dead(self, coefficients: Array) -> Array:
        """Return how many directions are dead (...) for coefficients (..., C)."""
        if self.block.decoupled:
            # each row is a unit's own, and those of the dead are not the last ones
            return np.zeros(coefficients.shape[:-1], np.int64)
        dead, vanishing = self.block.dead_directions(coefficients), self.block.vanishing
        return np.maximum(dead, vanishing(coefficients))

    def _living(self, dead: Array, ends: Array, start: int) -> Array:
        starts = np.concatenate([[0], ends[:-1]])
        D, counted = self.block.program.state_size, start >= self.schedule.transient
        return living(dead, starts, self.alive if counted else self.growth.shape[1], D, counted)

    def _count(self, tiles: Array, start: int, chunk: _Chunk) -> None:
        """Count the growth (tiles, k) of a chunk that begins at step ``start``."""
        counted, statistics = start - self.schedule.transient, self.carry.statistics
        if counted < 0:
            self.carry.reset_statistics()
            return
        first = counted // self.schedule.control.tile
        # growth that rounding hides is a bound, which may exceed those by norms
        known = np.where(np.isinf(statistics.error), -np.inf, tiles)
        statistics.norm_excess = max(statistics.norm_excess, excess(chunk.bounds, known))
        rows = (first + np.arange(len(tiles))) // self.schedule.tiles_per_row
        np.add.at(self.growth, rows, tiles)
        if self.full:
            logs = self.tangent.logs
            logs = self.block.log_abs_det(chunk.coefficients) if logs is None else logs
            self.compare(chunk.coefficients, chunk.ends, tiles, logs, counted == 0)

    def compare(
        self, coefficients: Array, ends: Array, tiles: Array, logs: Array | None, first: bool
    ) -> None:
        """Add a chunk, its growth (tiles, k) and log|det J| (T,), to both sides of the sum rule.

        Without a closed form, only the first tile that counts is compared, by LU if asked for.
        """
        if logs is None and first and self.by_lu:
            program, identity = self.block.program, np.eye(self.block.program.state_size)
            # few steps at a time, to save memory
            some = [coefficients[t : min(t + 8, ends[0])] for t in range(0, ends[0], 8)]
            dense = (tangent_step(program, steps, identity) for steps in some)
            logs, tiles = np.concatenate([np.linalg.slogdet(J)[1] for J in dense]), tiles[0]
        if logs is not None:
            self.determinants += np.sum(logs), np.sum(tiles), len(logs)

    def save(self, row: int) -> dict[str, Any]:
        """Return a copy of all that is needed to go on, with the growth of the row begun."""
        return {
            "carry": self.carry.to_dict(),
            "alive": self.alive,
            "determinants": self.determinants.copy(),
            "growth": self.growth[row : row + 1].copy(),
            "tangent": self.tangent.save() if "tangent" in vars(self) else {},
        }

    def restore(self, saved: dict[str, Any], complete: Array) -> None:
        """Go on from the result of `save`, after the ``complete`` rows of the history (rows, k)."""
        self.carry = Carry.from_dict(saved["carry"])
        self.alive = saved["alive"]
        self.determinants = saved["determinants"].copy()
        row = len(complete)
        self.growth[:row] = complete
        # none where the run ended there, as one with a target may have for a time
        begun = saved["growth"]
        self.growth[row : row + len(begun)] = begun
        if saved["tangent"]:
            self.tangent.restore(saved["tangent"])

    def extend(self, schedule: Schedule) -> None:
        """Go on to the end of a longer schedule with rows of the same length."""
        growth = np.zeros((schedule.rows, self.growth.shape[1]))
        growth[: len(self.growth)] = self.growth
        self.schedule, self.growth = schedule, growth

    def sure_rows(self) -> Array:
        """Return which rows (k,) of the frame are alive, and their growth resolved."""
        steps, limit = self.schedule.steps, self.schedule.control.limit
        sure = self.carry.statistics.resolved(steps, limit)
        return sure & (np.arange(len(sure)) < self.alive)

    def result(self, final: Final) -> BlockResult:
        """Return the result, with its ``final`` frame."""
        carry = self.carry.ended(*final)
        return BlockResult(self.growth.copy(), carry, self.determinants.copy())
