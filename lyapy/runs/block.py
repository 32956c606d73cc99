"""The deviation vectors of one diagonal block, followed along one trajectory."""

from collections.abc import Generator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..networks.apply import tangent_step
from ..tangent.engine import Engine
from ..tangent.initial_frames import completed, turned
from ..tangent.interval import Control
from ..tangent.norm_bounds import NormBounds, frame_error
from ..tangent.overflow import describe_overflow
from ..tangent.reference import Leg, Tangent
from ..tangent.state import Carry
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


def living(dead: Array, starts: Array, alive: Any, state_size: int) -> Array:
    """Return how many directions (tiles, ...) are alive in each tile; a dead one stays dead.

    ``dead`` are those of each step (T, ...), ``alive`` (...) were before.
    """
    most = np.maximum.accumulate(np.maximum.reduceat(dead, starts, axis=0), axis=0)
    return np.asarray(np.minimum(state_size - most, alive))


# yields legs, receives their growth, and returns that of the chunk
Advancing = Generator[Leg, Any, Array]


def advance_together(
    followers: Sequence["Follower"], coefficients: Sequence[Array], start: int
) -> list[Array]:
    """Move followers of a block, of a trajectory each, through the same chunk.

    Returns the growth (tiles, k) of each. The second argument of a FloatingPointError is the place
    of its trajectory.
    """
    each = zip(followers, coefficients, strict=True)
    walks = [follower.advancing(values, start) for follower, values in each]
    tiles: dict[int, Array] = {}
    answers: dict[int, Array | None] = dict.fromkeys(range(len(walks)))
    while answers:
        legs: dict[int, Leg] = {}
        for b, answer in answers.items():
            try:
                legs[b] = walks[b].send(answer)
            except StopIteration as end:
                tiles[b] = end.value
            except FloatingPointError as error:
                raise FloatingPointError(str(error), b) from None
        answers = _advance_legs(legs)
    return [tiles[b] for b in range(len(walks))]


def _advance_legs(legs: dict[int, Leg]) -> dict[int, Array]:
    """Advance by legs, those of the same tiles together; return the growth of each."""
    alike: dict[bytes, list[int]] = {}
    for b, leg in legs.items():
        alike.setdefault(leg.ends.tobytes(), []).append(b)
    found: dict[int, Array] = {}
    for places in alike.values():
        advance_all = legs[places[0]].tangent.advance_all
        # the follower finds an overflow
        with np.errstate(over="ignore", invalid="ignore"):
            found |= zip(places, advance_all([legs[b] for b in places]), strict=True)
    return found


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
            (tiles,) = advance_together([self], [coefficients], start)
        except FloatingPointError as error:
            raise FloatingPointError(error.args[0]) from None
        return tiles

    def advancing(self, coefficients: Array, start: int) -> Advancing:
        """Do so, and yield what the tangent is to advance by."""
        coefficients = self.block.select(coefficients)
        ends, before = self.schedule.tile_ends(len(coefficients)), self.carry.state.frame.copy()
        if start == self.schedule.transient:
            self._revive(len(before))
        dead = self._dead(coefficients)
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
        self._count(tiles, start, ends, coefficients)
        return tiles

    def _advance(self, coefficients: Array, ends: Array, alive: Array, lost: bool) -> Advancing:
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
    ) -> Advancing:
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

    def _dead(self, coefficients: Array) -> Array:
        if self.block.decoupled:
            # each row is a unit's own, and those of the dead are not the last ones
            return np.zeros(len(coefficients), np.int64)
        dead, vanishing = self.block.dead_directions(coefficients), self.block.vanishing
        return np.maximum(dead, vanishing(coefficients))

    def _living(self, dead: Array, ends: Array, start: int) -> Array:
        starts = np.concatenate([[0], ends[:-1]])
        D, k = self.block.program.state_size, self.growth.shape[1]
        if start < self.schedule.transient:
            return np.minimum(D - np.maximum.reduceat(dead, starts), k)
        return living(dead, starts, self.alive, D)

    def _count(self, tiles: Array, start: int, ends: Array, coefficients: Array) -> None:
        """Count the growth (tiles, k) of a chunk that begins at step ``start``."""
        counted, statistics = start - self.schedule.transient, self.carry.statistics
        if counted < 0:
            self.carry.reset_statistics()
            return
        first = counted // self.schedule.control.tile
        # growth that rounding hides is a bound, which may exceed those by norms
        known = np.where(np.isinf(statistics.error), -np.inf, tiles)
        excess = self.bounds.excess(coefficients, ends, known, first)
        statistics.norm_excess = max(statistics.norm_excess, excess)
        rows = (first + np.arange(len(tiles))) // self.schedule.tiles_per_row
        np.add.at(self.growth, rows, tiles)
        if self.full:
            logs = self.tangent.logs
            logs = self.block.log_abs_det(coefficients) if logs is None else logs
            self.compare(coefficients, ends, tiles, logs, counted == 0)

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

    def result(self, final: Final | None = None) -> BlockResult:
        """Return the result, with the frame orthonormal; ``final`` where a device computed it."""
        state = self.carry.state
        if final is None:
            final = Final(state.orthonormal(), frame_error(state.frame[self.sure_rows()]))
        carry = self.carry.ended(*final)
        return BlockResult(self.growth.copy(), carry, self.determinants.copy())
