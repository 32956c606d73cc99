"""The reference engine: plain array code, readable, for NumPy and any module like it."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..networks.apply import orthonormalize_with, tangent_step
from ..networks.program import Program
from .interval import (
    Control,
    disturbed_spread,
    dual_sign,
    effective_spread,
    next_interval,
    shortened,
)
from .state import Carry

__all__ = ["ArrayTangent"]


class ArrayTangent:
    """The tangent engine in plain array code.

    Parameters
    ----------
    program : Program
    vectors : int
        Number k of deviation vectors; the compiled engine allocates by it.
    """

    def __init__(self, program: Program, vectors: int) -> None:
        self.program = program

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
            Frame, controller and statistics; changed in place.

        Returns
        -------
        array (tiles, k)
            Growth: the sum of log R_ii over each tile; −∞ for dead directions. All NaN if a
            norm overflowed.
        """
        growth = np.full((len(ends), len(carry.frame)), -np.inf)
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
        if control.graded or carry.tilted(control):
            rate = carry.rate
            return carry.take_graded_step(self.program, coefficients[0], rows, rate, control), 1
        frame, left = carry.frame[:rows], len(coefficients)
        steps = min(control.fixed or next_interval(carry.rate, left, control.limit), left)
        while True:
            image = frame
            for t in range(steps):
                image = tangent_step(self.program, coefficients[t], image)
            signs = np.array([dual_sign(i) for i in range(rows)])
            image, log_r, duals = orthonormalize_with(signs, image)
            spread = effective_spread(log_r.max(), log_r.min(), control.limit)
            spread = disturbed_spread(spread, log_r.max(), np.abs(duals).max())
            if spread <= control.limit or steps == 1 or control.fixed:
                break
            carry.rejections += 1
            steps = shortened(steps, spread, control.limit)
        # an R_ii of zero is rounding, too: what is dead was left out
        finite = log_r.max() < np.inf and (spread < np.inf or control.fixed <= 1)
        if steps == 1 and spread > control.alone and finite:
            return carry.take_graded_step(self.program, coefficients[0], rows, spread, control), 1
        if not log_r.max() < np.inf:
            return np.full(rows, np.nan), steps
        carry.settle(image, log_r, duals)
        return carry.count(log_r, np.full(rows, log_r.max()), spread, steps, control), steps
