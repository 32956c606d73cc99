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
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from ..networks.blocks import DiagonalBlock
from .interval import SAFETY, Control
from .qr import orthonormalize_ends
from .reference import Leg, Tangent
from .state import UNKNOWN_RATE, Carry
from .together import Walk, walk_together

__all__ = ["FullTangent", "best_split"]

# below this size two calls cost more than the smaller QRs save, unless the spread demands it
SMALL = 32
# spreads over single intervals exceed those of the mean growth by about so much
FLUCTUATION = 1.2
# the second pass over coefficients and weights, as rows of the frame at a QR in every step
OVERHEAD_ROWS = 2.0
# QRs that cost as much as a graded step with its replica does beyond a product: 3 to 7, measured
GRADED_COST = 5.0
# next to the cut no row of the same frame takes up the rounding mixed into a row: the errors there
# are up to this factor larger, measured
MARGIN = 16.0


@dataclass
class Way:
    """How the tiles to come are followed.

    Attributes
    ----------
    split : int
        Rows of the leading frame; D stands for one frame.
    rates : list of float
        Expected spread per step, of the leading frame and of the trailing one.
    two_ended : bool
        Whether the frame may be split.
    graded : bool
        Whether all steps are graded ones, until the way is reconsidered.
    tiles : int
        Tiles done.
    """

    split: int
    rates: list[float]
    two_ended: bool
    graded: bool = False
    tiles: int = 0

    def ahead(self) -> int:
        """Return how many tiles to follow at a time.

        The way is reconsidered after 1, 2, 4, 8 … tiles, and then tried on one tile alone.
        """
        return 1 if self.reconsidered else (1 << self.tiles.bit_length()) - self.tiles

    @property
    def reconsidered(self) -> bool:
        """Whether the way has been reconsidered after the last tile."""
        return self.tiles & (self.tiles - 1) == 0


class _Span(NamedTuple):
    """Tiles that are advanced together: ends, steps, living directions and Σ log|det J| of each."""

    coefficients: Array
    ends: Array
    steps: Array
    alive: Array
    expected: Array

    def head(self, count: int) -> _Span:
        """Return the first ``count`` tiles."""
        tiles = (each[:count] for each in self[1:])
        return _Span(self.coefficients[: self.ends[count - 1]], *tiles)


# carries of both ends, or of one frame, and the growth (tiles, D)
Advance = tuple[Carry, Carry | None, Array]


class FullTangent(Tangent):
    """Full spectra of a cell whose log|det J| has a closed form.

    Parameters
    ----------
    block : DiagonalBlock
    leading, trailing : Tangent
        Under J, and under J⁻ᵀ; None where that is not cheap or safe.
    """

    def __init__(self, block: DiagonalBlock, leading: Tangent, trailing: Tangent | None) -> None:
        super().__init__(block.program, block.program.state_size)
        self.block = block
        self.leading = leading
        self.trailing = trailing
        size = self.vectors
        halves = trailing is not None and size >= SMALL
        rates = [UNKNOWN_RATE, UNKNOWN_RATE]
        self.way = Way(size // 2 if halves else size, rates, trailing is not None)

    def save(self) -> dict[str, Any]:
        """Return a copy of the way."""
        return asdict(self.way)

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from a result of `save`."""
        self.way = Way(**saved | {"rates": list(saved["rates"])})
        self.way.two_ended &= self.trailing is not None
        if not self.way.two_ended and self.way.split < self.vectors:
            # saved by an engine with two ends
            self.way.split, self.way.rates = self.vectors, [UNKNOWN_RATE, UNKNOWN_RATE]

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, as `Tangent.advance` says."""
        (growth,) = self.advance_all([Leg(self, coefficients, ends, alive, carry, control)])
        return growth

    @staticmethod
    def advance_all(legs: Sequence[Leg]) -> list[Array]:
        """Advance by the same chunk of several trajectories."""
        return walk_together([leg.tangent.walk(leg) for leg in legs])

    def walk(self, leg: Leg) -> Walk[Array]:
        """Advance, and yield the legs of both ends."""
        coefficients, ends, alive, carry, control = leg[1:]
        starts = np.concatenate([[0], ends[:-1]])
        self.logs = self.block.log_abs_det(coefficients)
        assert self.logs is not None
        expected = np.add.reduceat(self.logs, starts)
        steps, growth = ends - starts, np.empty((len(ends), self.vectors))
        done = 0
        while done < len(ends):
            last = min(done + self.way.ahead(), len(ends))
            last = done + int((-alive[done:last]).searchsorted(-alive[done], "right"))
            first, tiles = starts[done], slice(done, last)
            each = ends[tiles] - first, steps[tiles], alive[tiles], expected[tiles]
            span = _Span(coefficients[first : ends[last - 1]], *each)
            found = yield from self._advance_tiles(span, carry, control)
            growth[done : done + len(found)] = found
            done += len(found)
        return growth

    def _advance_tiles(self, span: _Span, carry: Carry, control: Control) -> Walk[Array]:
        """Advance by the tiles of ``span`` that go the cheapest way; return their growth.

        All are tried together, which is cheap where few fail: tiles after one that fails are
        thrown away.
        """
        if span.alive[0] < self.vectors:
            self._cut(self.vectors, carry)
            self.way.two_ended = False
        found = yield from self._attempt(span, carry, control)
        count = self._count_agreeing(span, found, control)
        while not count and len(span.ends) > 1:
            span = span.head(len(span.ends) // 2)
            found = yield from self._attempt(span, carry, control)
            count = self._count_agreeing(span, found, control)
        if 0 < count < len(span.ends):
            span = span.head(count)
            found = yield from self._attempt(span, carry, control)
        elif not count:
            found = yield from self._repeat(span, carry, control)
        assert found is not None
        front, back, growth = found
        for i, end in enumerate((front,) if back is None else (front, back)):
            self.way.rates[i] = end.state.rate
        carry.absorb_ends(front, back)
        self.way.tiles += len(span.ends)
        if self.way.reconsidered:
            self.way.graded = False
            if self.way.two_ended:
                rates = growth[-1] / span.steps[-1]
                self._cut(best_split(rates, control.limit, control.tile), carry)
        return growth

    def _attempt(self, span: _Span, carry: Carry, control: Control) -> Walk[Advance | None]:
        if self.way.split < self.vectors:
            return (yield from self._both_ends(span, carry, control))
        return (yield from self._one_frame(span, carry, control))

    def _repeat(self, span: _Span, carry: Carry, control: Control) -> Walk[Advance]:
        """Repeat a tile on which the way so far fails: in one frame, or in graded steps."""
        if self.way.split < self.vectors:
            self._cut(self.vectors, carry)
            found = yield from self._one_frame(span, carry, control)
            if self._count_agreeing(span, found, control):
                return found
        self.way.graded = True
        return (yield from self._one_frame(span, carry, control))

    def _count_agreeing(self, span: _Span, found: Advance | None, control: Control) -> int:
        """Return how many tiles from the first one on agree with the determinant."""
        if found is None or self.way.graded:
            return 0 if found is None else len(span.ends)
        admitted = math.exp(control.limit) * UNIT_ROUNDOFF * span.steps * math.sqrt(self.vectors)
        # a dead direction makes both sides −∞
        known = np.isfinite(span.expected)
        difference = np.abs(found[2].sum(axis=1) - np.where(known, span.expected, 0.0))
        agrees = ~known | (difference <= admitted)
        return len(agrees) if agrees.all() else int(agrees.argmin())

    def _one_frame(self, span: _Span, carry: Carry, control: Control) -> Walk[Advance]:
        frame = carry.fork(self.way.rates[0])
        control = control._replace(graded=self.way.graded and control.fixed <= 1)
        chunk = span.coefficients, span.ends, span.alive
        growth = yield Leg(self.leading, *chunk, frame, control)
        return frame, None, growth

    def _both_ends(self, span: _Span, carry: Carry, control: Control) -> Walk[Advance | None]:
        """Advance both ends, the trailing one from its last row upwards; None if impossible."""
        assert self.trailing is not None
        inverse = self.block.inverse_coefficients(span.coefficients)
        if not np.isfinite(inverse).all():
            return None
        p, ends = self.way.split, span.ends
        margin = math.log(MARGIN)
        control = control._replace(limit=control.limit - margin, slack=margin)
        frame, rates = carry.state.frame, self.way.rates
        front = Carry.begin(frame[:p].copy(), rates[0])
        back = Carry.begin(np.ascontiguousarray(frame[: p - 1 : -1]), rates[1])
        growth = np.empty((len(ends), self.vectors))
        rows = np.full(len(ends), p)
        growth[:, :p] = yield Leg(self.leading, span.coefficients, ends, rows, front, control)
        if front.statistics.largest_spread > control.alone:
            return None
        rows = np.full(len(ends), self.vectors - p)
        backwards = yield Leg(self.trailing, inverse, ends, rows, back, control)
        growth[:, p:] = -backwards[:, ::-1]
        if back.statistics.largest_spread > control.alone:
            return None
        return front, back, growth

    def _cut(self, split: int, carry: Carry) -> None:
        """Cut the frame elsewhere from now on."""
        if split == self.way.split:
            return
        carry.state.frame[...] = orthonormalize_ends(carry.state.frame, self.way.split)
        self.way.split = split
        self.way.rates = [UNKNOWN_RATE, UNKNOWN_RATE]


def best_split(rates: Array, limit: float, tile: int) -> int:
    """Return the rows of the leading frame, 1 to D, that make the reorthonormalizations cheapest.

    Parameters
    ----------
    rates : array (D,)
        Growth per step in the order of the frame.
    limit : float
        Largest spread of one interval.
    tile : int
        Longest interval.
    """
    D = len(rates)
    both = np.array([rates, rates[::-1]])
    front, back = np.maximum.accumulate(both, axis=1) - np.minimum.accumulate(both, axis=1)
    # leading frames, of which the last is the whole one, and the trailing frames with the others
    rows = np.concatenate([np.arange(1, D + 1), np.arange(D - 1, 0, -1)])
    expected = FLUCTUATION * np.concatenate([front, back[-2::-1]])
    limits, graded = np.full(len(rows), limit - np.log(MARGIN)), np.full(len(rows), np.inf)
    # only one frame can take graded steps
    limits[D - 1], graded[D - 1] = limit, GRADED_COST
    intervals = np.floor(SAFETY * limits / np.maximum(expected, 1e-300))
    intervals = np.minimum(np.maximum(intervals, 1.0), tile)
    # operations of QR per step, over D
    cost = rows**2 / intervals * np.where(expected > limits, graded, 1.0)
    cost[: D - 1] += cost[D:]
    cost[: D - 1] += OVERHEAD_ROWS * D
    return int(cost[:D].argmin()) + 1
