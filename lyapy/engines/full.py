"""Full spectra: from both ends where that pays, and checked by the determinant.

If J Q = Q′ R is a step of the full frame, then J⁻ᵀ Q = Q′ R⁻ᵀ with R⁻ᵀ lower triangular: read
from the last row upwards it is a QR step of the map J⁻ᵀ with growths −log R_ii. So the
trailing exponents are the leading ones of J⁻ᵀ, started from the last rows of the same frame,
not only in the limit but number for number. Each end has a smaller spread, and so a longer
interval, and its QR has fewer rows.

The growths of all rows sum to log|det J|. Where its closed form disagrees, a tile is repeated
in one frame, and then in graded steps: R can be worse conditioned than its diagonal shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..types import Array
from .carry import UNKNOWN_RATE, Carry
from .interval import UNIT_ROUNDOFF, Control
from .split import MARGIN, best_split
from .tangent_step import orthonormalize

__all__ = ["FullTangent", "Tangent"]

# below this size two calls cost more than the smaller QRs save, unless the spread demands it
SMALL = 32


class Tangent(Protocol):
    """The tangent side of an engine, with the workspaces of one trajectory."""

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array: ...


class FullTangent:
    """A tangent engine for full spectra of a cell whose log|det J| has a closed form.

    Parameters
    ----------
    leading, trailing : Tangent
        Under J, and under J⁻ᵀ; None where that is not cheap or safe.
    invert : callable
        From the coefficients (T, C) of J to those of J⁻ᵀ, not finite where J has no inverse.
    log_abs_det : callable
        From the coefficients (T, C) to log|det J| (T,).
    size : int
        D.

    Attributes
    ----------
    split : int
        Rows of the leading frame; D stands for one frame.
    """

    def __init__(
        self,
        leading: Tangent,
        trailing: Tangent | None,
        invert: Callable[[Array], Array],
        log_abs_det: Callable[[Array], Array],
        size: int,
    ) -> None:
        self.leading = leading
        self.trailing = trailing
        self.invert = invert
        self.log_abs_det = log_abs_det
        self.size = size
        self.split = size // 2 if trailing is not None and size >= SMALL else size
        self.graded = False
        self.tiles = 0
        self.rates = [UNKNOWN_RATE, UNKNOWN_RATE]

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, as `ArrayTangent.advance` does."""
        growth = np.empty((len(ends), self.size))
        logs = self.log_abs_det(coefficients)
        inverse = np.zeros((len(coefficients), 0))
        start = 0
        for tile, end in enumerate(ends):
            if self.split < self.size and not inverse.size:
                inverse = self.invert(coefficients)
            span, back = coefficients[start:end], inverse[start:end]
            expected = float(np.sum(logs[start:end]))
            rows = alive[tile : tile + 1]
            growth[tile] = self._advance_tile(span, back, rows, expected, carry, control)
            start = end
        return growth

    def _advance_tile(
        self,
        coefficients: Array,
        inverse: Array,
        alive: Array,
        expected: float,
        carry: Carry,
        control: Control,
    ) -> Array:
        """Advance by a tile in the cheapest way that agrees with the determinant."""
        steps = len(coefficients)
        admitted = math.exp(control.limit) * UNIT_ROUNDOFF * steps * math.sqrt(self.size)

        def agrees(growth: Array) -> bool:
            # a dead direction makes both sides −∞
            return not math.isfinite(expected) or abs(growth.sum() - expected) <= admitted

        if alive[0] < self.size:
            self._cut(self.size, carry)
            self.trailing = None
        found = None
        if self.split < self.size and np.isfinite(inverse).all():
            found = self._both_ends(coefficients, inverse, carry, control)
        if found is None or not agrees(found[-1]):
            self._cut(self.size, carry)
            found = self._one_frame(coefficients, alive, carry, self._way(control))
            if not (self.graded or agrees(found[-1])):
                self.graded = True
                found = self._one_frame(coefficients, alive, carry, self._way(control))
        front, back, growth = found
        self._keep(front, back, carry)
        self.tiles += 1
        # the way is reconsidered after 1, 2, 4, 8 … tiles
        if self.tiles & (self.tiles - 1) == 0:
            self.graded = False
            if self.trailing is not None:
                self._cut(best_split(growth / steps, control.limit, control.tile), carry)
        return growth

    def _way(self, control: Control) -> Control:
        return control._replace(graded=self.graded and control.fixed <= 1)

    def _one_frame(
        self, coefficients: Array, alive: Array, carry: Carry, control: Control
    ) -> tuple[Carry, None, Array]:
        frame = carry.one_frame(self.rates[0])
        end = np.array([len(coefficients)])
        return frame, None, self.leading.advance(coefficients, end, alive, frame, control)[0]

    def _both_ends(
        self, coefficients: Array, inverse: Array, carry: Carry, control: Control
    ) -> tuple[Carry, Carry | None, Array] | None:
        """Advance both ends, the trailing one from its last row upwards; None if impossible."""
        assert self.trailing is not None
        p = self.split
        control = control._replace(limit=control.limit - math.log(MARGIN))
        end = np.array([len(coefficients)])
        front = Carry(carry.frame[:p].copy(), self.rates[0])
        back = Carry(np.ascontiguousarray(carry.frame[: p - 1 : -1]), self.rates[1])
        growth = np.empty(self.size)
        growth[:p] = self.leading.advance(coefficients, end, np.array([p]), front, control)[0]
        rows = np.array([self.size - p])
        growth[p:] = -self.trailing.advance(inverse, end, rows, back, control)[0, ::-1]
        if max(front.largest_spread, back.largest_spread) > control.limit:
            return None
        return front, back, growth

    def _keep(self, front: Carry, back: Carry | None, carry: Carry) -> None:
        p = self.split
        carry.split, carry.tilt = p, None
        if back is None:
            carry.tilt, carry.drift, carry.peak = front.tilt, front.drift, front.peak
        carry.frame[:p], self.rates[0] = front.frame, front.rate
        carry.add(front, slice(None, p))
        carry.intervals += front.intervals
        if back is not None:
            carry.frame[p:], self.rates[1] = back.frame[::-1], back.rate
            back.error = back.error[::-1]
            carry.add(back, slice(p, None))
            carry.trailing_intervals += back.intervals

    def _cut(self, split: int, carry: Carry) -> None:
        """Cut the frame elsewhere from now on.

        Gram–Schmidt leaves rows that are not quite orthogonal to those before them. That is
        harmless while it goes on in the same order; before the order changes, each end is
        orthonormalized in its own.
        """
        if split == self.split:
            return
        p = self.split
        carry.frame[:p] = orthonormalize(carry.frame[:p])[0]
        carry.frame[p:] = orthonormalize(carry.frame[: p - 1 : -1])[0][::-1]
        self.split = split
        self.rates = [UNKNOWN_RATE, UNKNOWN_RATE]
