"""The reference engine: plain array code, readable, for NumPy and any module like it."""

from __future__ import annotations

import numpy as np

from ..program import Program
from ..types import Array
from .carry import Carry
from .graded import graded_step
from .interval import Control, effective_spread, next_interval, shortened
from .tangent_step import orthonormalize, tangent_step

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
                frame, log_r, scale, spread, steps = self._interval(
                    coefficients[start:end], carry.frame[:rows], carry, control
                )
                if not log_r.max() < np.inf:
                    growth[:] = np.nan
                    return growth
                growth[tile, :rows] += carry.count(log_r, scale, spread, steps, control)
                carry.frame[:rows] = frame
                start += steps
            start = end
        return growth

    def _interval(
        self, coefficients: Array, frame: Array, carry: Carry, control: Control
    ) -> tuple[Array, Array, Array, float, int]:
        """Return frame, log R_ii, its scale, the spread and the steps of an accepted interval."""
        if control.graded:
            step = graded_step(self.program, coefficients[0], frame, control.limit)
            return *step, carry.rate, 1
        left = len(coefficients)
        steps = min(control.fixed or next_interval(carry.rate, left, control.limit), left)
        while True:
            image = frame
            for t in range(steps):
                image = tangent_step(self.program, coefficients[t], image)
            image, log_r = orthonormalize(image)
            spread = effective_spread(log_r.max(), log_r.min(), control.limit)
            if spread <= control.limit or steps == 1 or control.fixed:
                break
            carry.rejections += 1
            steps = shortened(steps, spread, control.limit)
        if steps == 1 and control.limit < spread < np.inf:
            step = graded_step(self.program, coefficients[0], frame, control.limit)
            return *step, spread, steps
        return image, log_r, np.full(len(log_r), log_r.max()), spread, steps
