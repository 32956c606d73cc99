"""What one trajectory carries from one chunk of time to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..types import Array
from .interval import UNIT_ROUNDOFF, next_rate

__all__ = ["Carry"]


@dataclass
class Carry:
    """Frame, controller and statistics of one trajectory.

    Attributes
    ----------
    frame : array (k, D)
        Orthonormal deviation vectors as rows.
    rate : float
        Expected spread per step; before the first interval so large that it has one step.
    error : array (k,)
        Sum over the intervals of the estimated rounding error of log R_ii, u exp(spread).
    intervals, rejections : int
        Accepted and rejected intervals.
    largest_spread : float
        Over the accepted intervals.
    """

    frame: Array
    rate: float = 40.0
    error: Array = field(default_factory=lambda: np.zeros(0))
    intervals: int = 0
    rejections: int = 0
    largest_spread: float = 0.0

    def __post_init__(self) -> None:
        self.error = np.zeros(len(self.frame))

    def count(self, log_r: Array, spread: float, steps: int, limit: float) -> Array:
        """Count an accepted interval and return its growth.

        Where even the accepted interval hides a direction in the rounding of the largest one,
        the growth returned is its upper bound, log(R_ii + D u max R).
        """
        top = log_r.max()
        noise = UNIT_ROUNDOFF * np.exp(top - log_r)
        self.error[: len(log_r)] += noise
        self.rate = next_rate(self.rate, spread, steps)
        self.intervals += 1
        self.largest_spread = max(self.largest_spread, spread)
        floor = self.frame.shape[-1] * UNIT_ROUNDOFF * np.exp(top)
        hidden = top - log_r > limit
        return np.where(hidden, np.log(np.exp(log_r) + floor), log_r)
