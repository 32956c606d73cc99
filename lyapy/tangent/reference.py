"""The reference engine: plain array code, readable."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from ..networks.apply import log_diagonal, tangent_step
from ..networks.program import Program, by_products
from ..networks.structure import reading
from .graded.run import GradedRun, graded_run, repeat_by_qr, well_conditioned
from .interval import HIDDEN, UNDERFLOW, Control, accept_interval, dual_sign, interval_spread
from .qr import orthonormalize_with
from .state import UNKNOWN_RATE, Carry

__all__ = ["ArrayTangent", "DecoupledTangent", "FactorTangent", "Leg", "SingleTangent", "Tangent"]


# of the smallest numbers
LOG_SPACING = float(np.log(5e-324))


class Leg(NamedTuple):
    """A chunk of one trajectory: the arguments of `Tangent.advance`."""

    tangent: Any
    coefficients: Array
    ends: Array
    alive: Array
    carry: Carry
    control: Control


class Tangent:
    """The deviation vectors of one block of the Jacobian along one trajectory.

    Parameters
    ----------
    program : Program
    vectors : int
        Largest number k of deviation vectors.

    Attributes
    ----------
    logs : array (T,) or None
        log|det J| of each step of the last chunk, where `advance` computes it.
    factor : array or None
        R, or log R_ii, since the last call of `take_factor`, where it is kept.
    """

    logs: Array | None = None
    factor: Array | None = None

    def __init__(self, program: Program, vectors: int) -> None:
        self.program = program
        self.vectors = vectors

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, tile by tile.

        Parameters
        ----------
        coefficients : array (T, C)
        ends : array (tiles,)
            Step of the chunk at which each tile ends.
        alive : array (tiles,)
            Directions of the frame that are not dead in each tile.
        carry : Carry
            Changed in place.

        Returns
        -------
        array (tiles, k)
            Growth: the sum of log R_ii over each tile; −∞ for dead directions. All NaN if a
            norm overflowed.
        """
        raise NotImplementedError

    @staticmethod
    def advance_all(legs: Sequence[Leg]) -> list[Array]:
        """Advance by the same chunk of several trajectories; the first leg's class does it."""
        return [leg.tangent.advance(*leg[1:]) for leg in legs]

    def take_factor(self) -> Array:
        """Return R (k, k) of all steps since the last call: J Q = Q′ R, vectors as columns."""
        raise NotImplementedError

    def save(self) -> dict[str, Any]:
        """Return a copy of all that decides how to go on, except the carry."""
        return {} if self.factor is None else {"factor": self.factor.copy()}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a result of `save`."""
        self.factor = saved["factor"].copy() if "factor" in saved else None


class ArrayTangent(Tangent):
    """The deviation vectors in plain array code."""

    # graded steps that are taken at a time
    longest_run = sys.maxsize

    def __init__(self, program: Program, vectors: int) -> None:
        super().__init__(program, vectors)
        # a graded step needs the rows of J, which products do not show
        self.graded = not by_products(program)

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, as `Tangent.advance` says."""
        growth = np.full((len(ends), len(carry.state.frame)), -np.inf)
        start = 0
        for tile, end in enumerate(ends):
            rows = int(alive[tile])
            growth[tile, :rows] = 0.0
            while start < end and rows:
                done, steps = self._interval(coefficients[start:end], rows, carry, control)
                if np.isnan(done).any():
                    growth[:] = np.nan
                    return growth
                growth[tile, :rows] += done
                start += steps
            start = end
        return growth

    def _interval(
        self, coefficients: Array, rows: int, carry: Carry, control: Control
    ) -> tuple[Array, int]:
        """Advance the first ``rows`` of the frame by an interval; return growth and steps."""
        rate, frame = carry.state.rate, carry.state.frame[:rows]
        if control.graded or carry.state.follows_tilt(control):
            return self._graded(coefficients, rows, carry, 0.0, control)
        signs = np.array([dual_sign(i) for i in range(rows)])

        def attempt(steps: int) -> tuple[tuple[Array, Array, Array], float]:
            image = frame
            for t in range(steps):
                image = tangent_step(self.program, coefficients[t], image)
            image, log_r, duals = orthonormalize_with(signs, image)
            largest, smallest, dual = log_r.max(), log_r.min(), np.abs(duals).max()
            return (image, log_r, duals), interval_spread(largest, smallest, dual, control.limit)

        accepted = accept_interval(attempt, rate, len(coefficients), control)
        (image, log_r, duals), spread, steps, rejections = accepted
        finite = log_r.max() < np.inf
        # an R_ii of zero is rounding, too: dead directions were left out
        resolvable = finite and (spread < np.inf or control.fixed <= 1)
        if steps == 1 and spread > control.alone and resolvable and self.graded:
            carry.statistics.count(rejections=rejections)
            return self._graded(coefficients, rows, carry, spread, control)
        if not finite:
            return np.full(rows, np.nan), steps
        if self.graded:
            return carry.absorb(image, log_r, duals, spread, steps, rejections, control), steps
        spread = min(spread, UNKNOWN_RATE * steps)
        growth = carry.absorb(image, log_r, duals, spread, steps, rejections, control)
        # R_ii may be rounding only, however small it is
        hidden = UNIT_ROUNDOFF * carry.state.noise[:rows] > HIDDEN
        carry.statistics.error[:rows][hidden] = np.inf
        return growth, steps

    def _graded(
        self, coefficients: Array, rows: int, carry: Carry, spread: float, control: Control
    ) -> tuple[Array, int]:
        """Take graded steps of ``coefficients``; return growth and steps."""

        def advance(*arguments: Any) -> GradedRun:
            run = graded_run(self.program, *arguments)
            return run if well_conditioned(run) else repeat_by_qr(self.program, *arguments)

        some = coefficients[: self.longest_run]
        return carry.take_graded_steps(advance, some, rows, spread, control)


class FactorTangent(ArrayTangent):
    """An `ArrayTangent` that multiplies up the R factors of its intervals.

    Rows and columns of dead directions are zero.
    """

    longest_run = 1

    def __init__(self, program: Program, vectors: int) -> None:
        super().__init__(program, vectors)
        self.factor: Array = np.eye(vectors)

    def take_factor(self) -> Array:
        """Return R of all steps since the last call."""
        found, self.factor = self.factor, np.eye(self.vectors)
        return found

    def _interval(
        self, coefficients: Array, rows: int, carry: Carry, control: Control
    ) -> tuple[Array, int]:
        image = carry.state.frame[:rows].copy()
        growth, steps = super()._interval(coefficients, rows, carry, control)
        for t in range(steps):
            image = tangent_step(self.program, coefficients[t], image)
        factor = np.zeros_like(self.factor)
        factor[:rows, :rows] = np.triu(carry.state.frame[:rows] @ image.T)
        self.factor = factor @ self.factor
        return growth, steps


class DecoupledTangent(Tangent):
    """Units that do not read one another: no QR, and dead units anywhere.

    A unit's block of J is a number, or turns and scales all its directions alike; so the norms of
    the deviation vectors are R_ii, whatever the others do, and R is diagonal. A dead unit's vector
    vanishes; its growth is −∞ from then on, wherever it stands.
    """

    def __init__(self, program: Program, vectors: int) -> None:
        super().__init__(program, vectors)
        self.factor: Array = np.zeros(vectors)

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, as `Tangent.advance` says."""
        frame, growth = carry.state.frame, np.zeros((len(ends), self.vectors))
        start = 0
        for tile, end in enumerate(ends):
            for step in coefficients[start:end]:
                image = tangent_step(self.program, step, frame)
                largest = np.abs(image).max(axis=1)
                dead = largest == 0.0
                # the direction of a vector that vanishes does not matter any more
                image[dead], largest[dead] = frame[dead], 1.0
                image /= largest[:, None]
                norms = np.linalg.norm(image, axis=1)
                logs = np.log(largest) + np.log(norms)
                if control.underflow:
                    carry.statistics.error[dead] = np.inf
                growth[tile] += np.where(dead, UNDERFLOW if control.underflow else -np.inf, logs)
                frame = image / norms[:, None]
            carry.statistics.error += UNIT_ROUNDOFF * (end - start)
            carry.statistics.count(intervals=1)
            start = end
        carry.state.frame = frame
        self.factor += growth.sum(axis=0)
        return growth

    def take_factor(self) -> Array:
        """Return R of all steps since the last call."""
        found, self.factor = np.diag(np.exp(self.factor)), np.zeros(self.vectors)
        return found


class SingleTangent(DecoupledTangent):
    """Columns that each read themselves alone: J is diagonal, and its growth exact at any size."""

    def __init__(self, program: Program, vectors: int, possible: Array) -> None:
        super().__init__(program, vectors)
        # columns that read nothing are dead, whatever the coefficients
        (self.reading,) = reading(program, possible[None])

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Add up the growth over a chunk of time, as `Tangent.advance` says."""
        logs, error = log_diagonal(self.program, coefficients), carry.statistics.error
        if control.underflow:
            vanished = np.isneginf(logs) & self.reading
            logs = np.where(vanished, UNDERFLOW, logs)
            error[vanished.any(axis=0)] = np.inf
        starts = np.concatenate([[0], ends[:-1]])
        growth = np.stack([logs[a:b].sum(axis=0) for a, b in zip(starts, ends, strict=True)])
        # the spacing of numbers near the end of the range is absolute
        spacing = np.exp(LOG_SPACING - np.where(np.isneginf(logs), 0.0, logs)).sum(axis=0)
        error += UNIT_ROUNDOFF * len(coefficients) + spacing
        carry.statistics.count(intervals=len(ends))
        self.factor += growth.sum(axis=0)
        return growth
