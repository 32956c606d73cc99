"""Boxes: arrays of intervals, and what steps of a cell do to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import NONLINEARITIES, activation

# by which sums and products are too wide, relative; much more than they round
WIDER = 1e-13
# of silu: its least value, and its largest slope, at 2.4; that at −2.4 is one less
SILU_LEAST, SILU_SLOPE = -0.27847, 1.09984
# largest values of slopes that rise to and fall from 0
PEAKS = {"tanh": 1.0, "sigmoid": 0.25, "hard-sigmoid": 1.0 / 6.0, "hard-sigmoid-keras2": 0.2}


@dataclass(frozen=True)
class Box:
    """All arrays between ``low`` and ``high``, entry by entry."""

    low: Array
    high: Array
    # products with arrays are those below
    __array_ufunc__: ClassVar[None] = None

    @classmethod
    def of(cls, value: Box | Array | float) -> Box:
        """Return a box, or the box of one array."""
        return value if isinstance(value, Box) else cls(np.asarray(value), np.asarray(value))

    def __getitem__(self, place: Any) -> Box:
        return Box(self.low[place], self.high[place])

    def __neg__(self) -> Box:
        return Box(-self.high, -self.low)

    def __add__(self, other: Box | Array | float) -> Box:
        other = Box.of(other)
        return _wider(self.low + other.low, self.high + other.high)

    __radd__ = __add__

    def __sub__(self, other: Box | Array | float) -> Box:
        return self + -Box.of(other)

    def __rsub__(self, other: Box | Array | float) -> Box:
        return -self + other

    def __mul__(self, other: Box | Array | float) -> Box:
        other = Box.of(other)
        with np.errstate(invalid="ignore"):
            corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        # 0 · ∞ is 0, as ∞ stands for any number
        corners = [np.where(np.isnan(corner), 0.0, corner) for corner in corners]
        return _wider(np.minimum.reduce(corners), np.maximum.reduce(corners))

    __rmul__ = __mul__

    def within(self, other: Box) -> bool:
        """Return whether the other box contains this one."""
        return bool(np.all(self.low >= other.low) and np.all(self.high <= other.high))

    @property
    def centre(self) -> Array:
        return self.low + 0.5 * (self.high - self.low)

    @property
    def radius(self) -> Array:
        return 0.5 * (self.high - self.low)


class Enclosure(NamedTuple):
    """A box of the states after a step, and those of the coefficients between states, by name.

    ``output`` is that of the next layer's input, where no state variable is.
    """

    state: Box
    coefficients: Mapping[str, Box]
    output: Box | None = None


def _wider(low: Array, high: Array) -> Box:
    margins = (np.where(np.isfinite(end), WIDER * np.abs(end), 0.0) for end in (low, high))
    return Box(low - next(margins), high + next(margins))


def mixed(share: Box, first: Box, second: Box) -> Box:
    """Return the box of (1 − s) x + s y for s in ``share``, between 0 and 1."""
    ends = (share.low, share.high)
    lows = [Box.of(first.low) * (1.0 - s) + Box.of(second.low) * s for s in ends]
    highs = [Box.of(first.high) * (1.0 - s) + Box.of(second.high) * s for s in ends]
    return Box(np.minimum(*(box.low for box in lows)), np.maximum(*(box.high for box in highs)))


def activated(box: Box, kind: int) -> tuple[Box, Box]:
    """Return the boxes of the values and slopes of ``NONLINEARITIES[kind]``."""
    name = NONLINEARITIES[kind]
    with np.errstate(invalid="ignore"):
        (low, at_low), (high, at_high) = (activation(end, kind) for end in (box.low, box.high))
    if name == "sin":
        one = np.ones_like(box.low)
        return Box(-one, one), Box(-one, one)
    if name == "silu":
        top = np.full_like(box.low, SILU_SLOPE)
        least = np.full_like(box.low, SILU_LEAST)
        return _wider(least, np.maximum(box.high, 0.0)), Box(1.0 - top, top)
    values = _wider(low, high)
    if name not in PEAKS:
        return values, _wider(at_low, at_high)
    least = np.minimum(at_low, at_high)
    # from one flat side to the other, or up to the kink where the slope counts as 0
    over = (box.low <= 0.0) & (box.high >= 0.0)
    inside = over | (name.startswith("hard") & (box.low < 3.0) & (box.high > -3.0))
    top = np.where(inside, PEAKS[name], np.maximum(at_low, at_high))
    return values, _wider(least, top)
