"""What one trajectory carries from one chunk of time to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from ..networks.program import Program
from .graded.step import graded_step
from .graded.tilt import SAMPLES, exchanged, settled_tilt, tilt_limit
from .interval import Control, next_rate

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
        `lyapy.tangent.checks`.
    frame_error : float
        Largest entry of |Q Qᵀ − 1| for the resolved rows of the last frame, as the engine
        leaves it.
    tilt : array (k, samples, k)
        Sample of the frame's tilt after the last graded step; without entries before the first.
    since, noise : array (k,)
        Growth in the ordinary intervals since then; the rounding of each vector's image in the
        last one, relative to the image, over the roundoff.
    exchange : array (k, samples)
        Sample of the error of the growth in graded steps, with what tilted directions exchange.
    turnover : array (k, samples)
        Sum of the squares of the errors of single steps, of which `exchange` is the sum.
    graded_steps : int
        All so far.
    """

    frame: Array
    rate: float = UNKNOWN_RATE
    error: Array = field(init=False)
    intervals: int = field(init=False)
    trailing_intervals: int = field(init=False)
    rejections: int = field(init=False)
    largest_spread: float = field(init=False)
    split: int = field(init=False)
    norm_excess: float = field(init=False)
    frame_error: float = 0.0
    tilt: Array = field(default_factory=lambda: np.zeros((0, SAMPLES, 0)))
    since: Array = field(init=False)
    noise: Array = field(init=False)
    exchange: Array = field(init=False)
    turnover: Array = field(init=False)
    graded_steps: int = 0

    def __post_init__(self) -> None:
        self.split = len(self.frame)
        self.since, self.noise = np.zeros(len(self.frame)), np.zeros(len(self.frame))
        self.reset_statistics()

    def reset_statistics(self) -> None:
        """Forget what was counted, not how to go on."""
        self.error = np.zeros(len(self.frame))
        self.intervals = self.trailing_intervals = self.rejections = 0
        self.largest_spread = 0.0
        self.norm_excess = -math.inf
        self.exchange = np.zeros((len(self.frame), SAMPLES))
        self.turnover = np.zeros((len(self.frame), SAMPLES))

    @property
    def numerical_error(self) -> Array:
        """Estimated rounding error (k,) of the growth."""
        return self.error + exchanged(self.exchange, self.turnover)

    def copy(self, rate: float) -> Carry:
        """Return a carry that goes on from here, with statistics of its own."""
        other = Carry(self.frame.copy(), rate)
        other.tilt, other.graded_steps = self.tilt, self.graded_steps
        other.since, other.noise = self.since.copy(), self.noise.copy()
        return other

    def follow(self, end: Carry) -> None:
        """Go on with the tilt of another carry."""
        self.tilt, self.since, self.noise = end.tilt, end.since, end.noise
        self.graded_steps = end.graded_steps

    def tilted(self, control: Control) -> bool:
        """Whether the frame is tilted so far that the next step has to be a graded one."""
        fresh = self.tilt.size > 0 and not self.since.any() and control.fixed <= 1
        return fresh and float(np.abs(self.tilt).max()) > tilt_limit(control.limit)

    def take_graded_step(
        self, program: Program, coefficients: Array, rows: int, spread: float, control: Control
    ) -> Array:
        """Take a graded step with the first ``rows`` of the frame and return its growth.

        Parameters
        ----------
        spread : float
            From which the next interval follows.

        Returns
        -------
        array (rows,)
            As `count` does; all NaN if a norm overflowed.
        """
        tilt = self.tilt[:rows, :, :rows]
        if not tilt.size or self.since.any():
            tilt = settled_tilt(tilt, self.since[:rows], self.noise[:rows], self.graded_steps)
        frame = self.frame[:rows]
        step = graded_step(program, coefficients, frame, control.limit, tilt, self.graded_steps)
        if not step.log_r.max() < np.inf:
            return np.full(rows, np.nan)
        self.frame[:rows], self.tilt = step.frame, step.tilt
        self.exchange[:rows] += step.errors
        self.turnover[:rows] += step.errors**2
        self.graded_steps += 1
        self.since[:], self.noise[:] = 0.0, 0.0
        return self.count(step.log_r, step.scale, spread, 1, control)

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
        return np.where(noise > control.alone, np.logaddexp(log_r, floor), log_r)

    def resolved(self, steps: int, limit: float) -> Array:
        """Return for each row whether float64 resolves its growth in so many counted steps."""
        return np.asarray(
            self.numerical_error <= RESOLVED * steps * UNIT_ROUNDOFF * math.exp(limit)
        )

    def settle(self, frame: Array, log_r: Array, duals: Array) -> None:
        """Take over the frame after an ordinary interval, of R⁻ᵀ b and log R_ii (rows,)."""
        rows = len(frame)
        self.frame[:rows] = frame
        self.since[:rows] += log_r
        top = log_r.max()
        known, measured = np.exp(top - log_r), np.exp(top) * np.abs(duals)
        self.noise[:rows] = np.maximum(known, measured)
        self.error[:rows] += UNIT_ROUNDOFF * np.maximum(measured - known, 0.0)

    def add(self, end: Carry, rows: slice) -> None:
        """Add the statistics, but for the intervals, of one end, which covers ``rows``."""
        self.error[rows] += end.error
        self.exchange[rows] += end.exchange
        self.turnover[rows] += end.turnover
        self.rejections += end.rejections
        self.largest_spread = max(self.largest_spread, end.largest_spread)
