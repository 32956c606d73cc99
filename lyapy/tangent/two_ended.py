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
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from ..networks.apply import orthonormalize
from .interval import Control
from .split import MARGIN, best_split
from .state import UNKNOWN_RATE, Carry

__all__ = ["FullTangent", "Tangent"]

# below this size two calls cost more than the smaller QRs save, unless the spread demands it
SMALL = 32
WAY = ("split", "graded", "tiles", "tried")


class Tangent(Protocol):
    """The tangent side of an engine, with the workspaces of one trajectory."""

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array: ...


class _Span(NamedTuple):
    """Tiles that are advanced together: ends, living directions and Σ log|det J| of each."""

    coefficients: Array
    ends: Array
    alive: Array
    expected: Array

    def head(self, count: int) -> _Span:
        """Return the first ``count`` tiles."""
        end = self.ends[count - 1]
        rest = (self.ends[:count], self.alive[:count], self.expected[:count])
        return _Span(self.coefficients[:end], *rest)


class _Advance(NamedTuple):
    """Where one way leads: both ends, or one frame, and the growth (tiles, D)."""

    front: Carry
    back: Carry | None
    growth: Array


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
    logs : array (T,)
        log|det J| of each step of the last chunk.
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
        self.tried = False
        self.rates = [UNKNOWN_RATE, UNKNOWN_RATE]
        self.logs: Array = np.zeros(0)

    def save(self) -> dict[str, Any]:
        """Return what decides on the way from here on."""
        return {name: getattr(self, name) for name in WAY} | {
            "rates": list(self.rates),
            "two_ended": self.trailing is not None,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on as what `save` returned would have."""
        for name in WAY:
            setattr(self, name, saved[name])
        self.rates = list(saved["rates"])
        if not saved["two_ended"]:
            self.trailing = None
        if self.trailing is None and self.split < self.size:
            # what an engine with two ends left to one without
            self.split, self.rates = self.size, [UNKNOWN_RATE, UNKNOWN_RATE]

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, as `ArrayTangent.advance` does."""
        starts = np.concatenate([[0], ends[:-1]])
        self.logs = self.log_abs_det(coefficients)
        expected = np.add.reduceat(self.logs, starts)
        growth = np.empty((len(ends), self.size))
        done = 0
        while done < len(ends):
            # the way is reconsidered after 1, 2, 4, 8 … tiles, and tried on one tile alone
            ahead = (1 << self.tiles.bit_length()) - self.tiles if self.tried else 1
            last = min(done + ahead, len(ends))
            last = done + int(np.searchsorted(-alive[done:last], -alive[done], side="right"))
            first = starts[done]
            tiles = self._advance_tiles(
                _Span(
                    coefficients[first : ends[last - 1]],
                    ends[done:last] - first,
                    alive[done:last],
                    expected[done:last],
                ),
                carry,
                control,
            )
            growth[done : done + len(tiles)] = tiles
            done += len(tiles)
        return growth

    def _advance_tiles(self, span: _Span, carry: Carry, control: Control) -> Array:
        """Advance by the tiles of ``span`` that go one way, the cheapest; return their growth.

        How far is found by going all the way and looking back, which is cheap where little
        goes wrong: what follows a tile that fails is thrown away.
        """
        if span.alive[0] < self.size:
            self._cut(self.size, carry)
            self.trailing = None
        found = self._attempt(span, carry, control)
        count = self._count_agreeing(span, found, control)
        while not count and len(span.ends) > 1:
            span = span.head(len(span.ends) // 2)
            found = self._attempt(span, carry, control)
            count = self._count_agreeing(span, found, control)
        if 0 < count < len(span.ends):
            span = span.head(count)
            found = self._attempt(span, carry, control)
        elif not count:
            found = self._mend(span, carry, control)
        assert found is not None
        front, back, growth = found
        self._keep(front, back, carry)
        self.tiles += len(span.ends)
        self.tried = self.tiles & (self.tiles - 1) != 0
        if not self.tried:
            self.graded = False
            if self.trailing is not None:
                rates = growth[-1] / np.diff(span.ends, prepend=0)[-1]
                self._cut(best_split(rates, control.limit, control.tile), carry)
        return growth

    def _attempt(self, span: _Span, carry: Carry, control: Control) -> _Advance | None:
        if self.split < self.size:
            return self._both_ends(span, carry, control)
        return self._one_frame(span, carry, control)

    def _mend(self, span: _Span, carry: Carry, control: Control) -> _Advance:
        """Advance by one tile on which the way so far fails: in one frame, or in graded steps."""
        if self.split < self.size:
            self._cut(self.size, carry)
            found = self._one_frame(span, carry, control)
            if self._count_agreeing(span, found, control):
                return found
        self.graded = True
        return self._one_frame(span, carry, control)

    def _count_agreeing(self, span: _Span, found: _Advance | None, control: Control) -> int:
        """Return how many tiles from the first one on agree with the determinant."""
        if found is None:
            return 0
        steps = np.diff(span.ends, prepend=0)
        admitted = math.exp(control.limit) * UNIT_ROUNDOFF * steps * math.sqrt(self.size)
        # a dead direction makes both sides −∞
        known = np.isfinite(span.expected)
        difference = np.abs(found.growth.sum(axis=1) - np.where(known, span.expected, 0.0))
        agrees = ~known | (difference <= admitted) | self.graded
        return len(agrees) if agrees.all() else int(agrees.argmin())

    def _way(self, control: Control) -> Control:
        return control._replace(graded=self.graded and control.fixed <= 1)

    def _one_frame(self, span: _Span, carry: Carry, control: Control) -> _Advance:
        frame = carry.copy(self.rates[0])
        control = self._way(control)
        growth = self.leading.advance(span.coefficients, span.ends, span.alive, frame, control)
        return _Advance(frame, None, growth)

    def _both_ends(self, span: _Span, carry: Carry, control: Control) -> _Advance | None:
        """Advance both ends, the trailing one from its last row upwards; None if impossible."""
        assert self.trailing is not None
        inverse = self.invert(span.coefficients)
        if not np.isfinite(inverse).all():
            return None
        p, ends = self.split, span.ends
        margin = math.log(MARGIN)
        control = control._replace(limit=control.limit - margin, slack=margin)
        front = Carry(carry.frame[:p].copy(), self.rates[0])
        back = Carry(np.ascontiguousarray(carry.frame[: p - 1 : -1]), self.rates[1])
        growth = np.empty((len(ends), self.size))
        rows = np.full(len(ends), p)
        growth[:, :p] = self.leading.advance(span.coefficients, ends, rows, front, control)
        rows = np.full(len(ends), self.size - p)
        growth[:, p:] = -self.trailing.advance(inverse, ends, rows, back, control)[:, ::-1]
        if max(front.largest_spread, back.largest_spread) > control.alone:
            return None
        return _Advance(front, back, growth)

    def _keep(self, front: Carry, back: Carry | None, carry: Carry) -> None:
        p = self.split
        carry.split = p
        carry.follow(front if back is None else Carry(carry.frame))
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
