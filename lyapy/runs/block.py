"""The deviation vectors of one part of a network, followed along one trajectory."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..networks.apply import orthonormalize, tangent_step
from ..networks.blocks import DiagonalBlock
from ..tangent.checks import NormBounds, describe_overflow, frame_error
from ..tangent.decoupled import DecoupledTangent
from ..tangent.engine import Engine
from ..tangent.initial_frames import turned
from ..tangent.state import Carry
from ..tangent.two_ended import FullTangent, Tangent
from .schedule import Schedule

__all__ = ["BlockResult", "Final", "Follower", "living"]


class BlockResult(NamedTuple):
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


class Final(NamedTuple):
    """The last frame (k, D), orthonormal, and its error as the engine left it."""

    frame: Array
    error: float


def living(dead: Array, starts: Array, alive: Any, state_size: int) -> Array:
    """Return the directions (tiles, ...) that are not dead in each tile; a dead one stays so.

    Parameters
    ----------
    dead : array (T, ...)
        Dead directions of each step.
    starts : array (tiles,)
    alive : int or array (...)
        Before the first step.
    """
    most = np.maximum.accumulate(np.maximum.reduceat(dead, starts, axis=0), axis=0)
    return np.asarray(np.minimum(state_size - most, alive))


class Follower:
    """Follows the deviation vectors of one part along a trajectory.

    Parameters
    ----------
    bounds : NormBounds
        Of the block, and with it.
    frame : array (k, D of the part)
        Orthonormal rows.
    by_lu : bool
        Compare the sum rule by LU for cells without a closed form of log|det J|.
    """

    def __init__(
        self, bounds: NormBounds, frame: Array, schedule: Schedule, engine: Engine, by_lu: bool
    ) -> None:
        self.bounds = bounds
        self.part = part = bounds.part
        self.by_lu = by_lu
        self.engine = engine
        self.schedule = schedule
        self.tangent = _make_tangent(part, len(frame), engine)
        self.carry = Carry(frame.copy())
        self.alive = len(frame)
        self.growth = np.zeros((schedule.rows, len(frame)))
        self.determinants = np.zeros(3)

    def advance(self, coefficients: Array, start: int) -> Array:
        """Move through a chunk that begins at step ``start``; return the growth (tiles, k)."""
        ends = self.schedule.tile_ends(len(coefficients))
        alive = self.living(self.part.dead_directions(coefficients), ends)
        before, control = self.carry.frame.copy(), self.schedule.control
        # what overflows is found below
        with np.errstate(over="ignore", invalid="ignore"):
            tiles = self.tangent.advance(coefficients, ends, alive, self.carry, control)
            dead = np.isneginf(tiles[0, : alive[0]]).any()
            if start == 0 and dead and not self.part.decoupled:
                # one of the first rows is dead, and a living one was left out in its place
                self.turn(before)
                tiles = self.tangent.advance(coefficients, ends, alive, self.carry, control)
        if np.isnan(tiles).any():
            program = self.part.program
            what = describe_overflow(program, coefficients, before, start, control)
            raise FloatingPointError(what)
        logs, excess, counted = None, -np.inf, start - self.schedule.transient
        if counted >= 0:
            if isinstance(self.tangent, FullTangent):
                logs = self.tangent.logs
            elif self.full:
                logs = self.part.log_abs_det(coefficients)
            excess = self.bounds.excess(coefficients, ends, tiles, counted // control.tile)
        self.count(tiles, start, ends, excess, logs, coefficients)
        return tiles

    def turn(self, frame: Array) -> None:
        """Begin anew with a frame (k, D), turned within its span."""
        self.tangent = _make_tangent(self.part, len(frame), self.engine)
        self.carry = Carry(turned(frame))

    @property
    def full(self) -> bool:
        """Whether the whole spectrum is computed, and the sum rule applies."""
        return len(self.carry.frame) == self.part.program.state_size

    def living(self, dead: Array, ends: Array) -> Array:
        """Return the directions that are not dead in each tile; once dead is dead for good.

        Parameters
        ----------
        dead : array (T,)
            Dead directions of each step.
        ends : array (tiles,)
        """
        if self.part.decoupled:
            # each row is a unit's own, and those of the dead are not the last ones
            return np.full(len(ends), self.alive)
        starts = np.concatenate([[0], ends[:-1]])
        rows = living(dead, starts, self.alive, self.part.program.state_size)
        self.alive = int(rows[-1])
        return rows

    def count(
        self,
        tiles: Array,
        start: int,
        ends: Array,
        excess: float,
        logs: Array | None,
        coefficients: Array,
    ) -> None:
        """Count the growth ``tiles`` (tiles, k) of a chunk that begins at step ``start``.

        Parameters
        ----------
        ends : array (tiles,)
        excess : float
            Of the growth above its bounds, as `NormBounds.excess` returns it.
        logs : array (T,), optional
            log|det J|, where it has a closed form.
        coefficients : array (T, C)
            Of the first tile at least; read only if `by_lu` is set.
        """
        counted = start - self.schedule.transient
        if counted < 0:
            self.carry.reset_statistics()
            return
        self.carry.norm_excess = max(self.carry.norm_excess, excess)
        first = counted // self.schedule.control.tile
        rows = (first + np.arange(len(tiles))) // self.schedule.tiles_per_row
        np.add.at(self.growth, rows, tiles)
        if self.full:
            self.compare(coefficients, ends, tiles, logs, counted == 0)

    def compare(
        self, coefficients: Array, ends: Array, tiles: Array, logs: Array | None, first: bool
    ) -> None:
        """Add to both sides of the sum rule.

        Without a closed form only the first tile is compared, by LU of the dense Jacobians, and
        only where that is asked for.
        """
        if logs is None and first and self.by_lu:
            program, identity = self.part.program, np.eye(self.part.program.state_size)
            # some at a time, for the sake of memory
            some = [coefficients[t : min(t + 8, ends[0])] for t in range(0, ends[0], 8)]
            dense = (tangent_step(program, steps, identity) for steps in some)
            logs, tiles = np.concatenate([np.linalg.slogdet(J)[1] for J in dense]), tiles[0]
        if logs is not None:
            self.determinants += np.sum(logs), np.sum(tiles), len(logs)

    def save(self, row: int) -> dict[str, Any]:
        """Return a copy of what is needed to go on, with the growth of the row begun."""
        return {
            "carry": {name: _copy(value) for name, value in vars(self.carry).items()},
            "alive": self.alive,
            "determinants": self.determinants.copy(),
            "growth": self.growth[row : row + 1].copy(),
            "tangent": self.tangent.save() if isinstance(self.tangent, FullTangent) else {},
        }

    def restore(self, saved: dict[str, Any], complete: Array) -> None:
        """Go on from what `save` returned, after the ``complete`` rows of the history (rows, k)."""
        vars(self.carry).update({name: _copy(value) for name, value in saved["carry"].items()})
        self.alive = saved["alive"]
        self.determinants = saved["determinants"].copy()
        row = len(complete)
        self.growth[:row] = complete
        # none where the run ended there, as one with a target may have for a time
        begun = saved["growth"]
        self.growth[row : row + len(begun)] = begun
        if isinstance(self.tangent, FullTangent):
            self.tangent.restore(saved["tangent"])

    def extend(self, schedule: Schedule) -> None:
        """Go on to the end of a longer schedule with rows of the same length."""
        growth = np.zeros((schedule.rows, self.growth.shape[1]))
        growth[: len(self.growth)] = self.growth
        self.schedule, self.growth = schedule, growth

    def sure_rows(self) -> Array:
        """Return which rows (k,) of the frame are alive, and their growth resolved."""
        sure = self.carry.resolved(self.schedule.steps, self.schedule.control.limit)
        return sure & (np.arange(len(sure)) < self.alive)

    def result(self, final: Final | None = None) -> BlockResult:
        """Return what was found, with the frame orthonormal to working precision.

        Parameters
        ----------
        final : Final, optional
            Of the last frame, where a device has computed it.
        """
        carry = copy(self.carry)
        if final is None:
            error = frame_error(carry.frame[self.sure_rows()])
            final = Final(orthonormalize(carry.frame)[0], error)
        (carry.frame, carry.frame_error), carry.error = final, carry.error.copy()
        carry.exchange, carry.turnover = carry.exchange.copy(), carry.turnover.copy()
        return BlockResult(self.growth.copy(), carry, self.determinants.copy())


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def _make_tangent(part: DiagonalBlock, vectors: int, engine: Engine) -> Tangent:
    """Return the engine's tangent side, checked by the determinant where that is to be had."""
    if part.decoupled:
        return DecoupledTangent(part.program)
    leading = engine.tangent(part.program, vectors)
    partial = vectors < part.program.state_size
    if partial or not part.has_log_abs_det or not engine.checked:
        return leading
    trailing = engine.tangent(part.inverse_program, vectors) if part.inverse else None
    return FullTangent(leading, trailing, part.inverse_coefficients, part.log_abs_det, vectors)
