"""What one trajectory carries from one chunk of time to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..types import Array
from .interval import UNIT_ROUNDOFF, Control, next_rate

__all__ = ["RESOLVED", "Carry"]

# so large that the first interval has one step
UNKNOWN_RATE = 40.0
# tolerances of rounding error per step up to which growth counts as resolved
RESOLVED = 10.0


@dataclass
class Carry:
    """Frame, controller and statistics of one trajectory.

    Attributes
    ----------
    frame : array (k, D)
        Orthonormal deviation vectors as rows.
    rate : float
        Expected spread per step.
    error : array (k,)
        Sum over the intervals of the estimated rounding error of log R_ii, u exp(spread).
    intervals, trailing_intervals, rejections : int
        Accepted intervals of the (leading) frame and of a trailing one, and rejected ones.
    largest_spread : float
        Over the accepted intervals, of log R_ii or, in a graded step, above its rounding.
    split : int
        Rows of the leading frame in a two-ended computation; k where there is one frame.
    norm_excess : float
        By how much growth passes the bounds by norms, at most, in nats per step; see
        `lyapy.self_checks`.
    frame_error : float
        Largest entry of |Q Qᵀ − 1| for the resolved rows of the last frame, as the engine
        leaves it.
    """

    frame: Array
    rate: float = UNKNOWN_RATE
    error: Array = field(default_factory=lambda: np.zeros(0))
    intervals: int = 0
    trailing_intervals: int = 0
    rejections: int = 0
    largest_spread: float = 0.0
    split: int = 0
    norm_excess: float = -math.inf
    frame_error: float = 0.0

    def __post_init__(self) -> None:
        self.split = len(self.frame)
        self.reset_statistics()

    def reset_statistics(self) -> None:
        """Forget what was counted, not how to go on."""
        self.error = np.zeros(len(self.frame))
        self.intervals = self.trailing_intervals = self.rejections = 0
        self.largest_spread = 0.0
        self.norm_excess = -math.inf

    def count(
        self, log_r: Array, scale: Array, spread: float, steps: int, control: Control
    ) -> Array:
        """Count an accepted interval and return its growth.

        Parameters
        ----------
        log_r, scale : array (rows,)
            log R_ii, and the logarithm of the scale of the rounding in it.
        spread : float
            From which the next interval follows.

        Returns
        -------
        array (rows,)
            log R_ii, or where rounding hides it its upper bound, log(R_ii + D u scale).
        """
        exact = np.isneginf(scale)
        noise = scale - np.where(exact, 0.0, log_r)
        with np.errstate(over="ignore"):
            self.error[: len(log_r)] += UNIT_ROUNDOFF * np.exp(noise)
        self.rate = next_rate(self.rate, spread, steps)
        self.intervals += 1
        self.largest_spread = max(self.largest_spread, float(noise.max()))
        floor = np.log(self.frame.shape[-1] * UNIT_ROUNDOFF) + scale
        return np.where(noise > control.limit, np.logaddexp(log_r, floor), log_r)

    def resolved(self, steps: int, limit: float) -> Array:
        """Return for each row whether float64 resolves its growth in so many counted steps."""
        return np.asarray(self.error <= RESOLVED * steps * UNIT_ROUNDOFF * math.exp(limit))

    def add(self, end: Carry, rows: slice) -> None:
        """Add the statistics, but for the intervals, of one end, which covers ``rows``."""
        self.error[rows] += end.error
        self.rejections += end.rejections
        self.largest_spread = max(self.largest_spread, end.largest_spread)
