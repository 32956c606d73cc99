"""The interval between two reorthonormalizations, controlled by error, and the count of its growth.

Over one interval let the spread be s = max log R_ii − min log R_ii. Rounding puts an error
of about u exp(s) on the smallest growth, u the unit roundoff. So a tolerance bounds s; the
next interval follows from the last spread per step; one that overshoots is thrown away and
repeated from its saved frame, like a rejected step of an ODE solver.

The functions are plain number code: the compiled engine and the GPU compile this same text.
There ``rate`` is the spread per step, ``remaining`` are the steps to the end of the tile,
``largest`` and ``smallest`` are max and min log R_ii, ``dual`` is |R⁻ᵀ b|_i or the largest of them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array

T = TypeVar("T")

# exp(±300) keeps norms, and their squares in a sum, inside float64's range
LOG_RANGE = 300.0
SAFETY = 0.95
FADING = 0.95
# nats by which the rounding may exceed the spread of log R_ii
SLACK = 4.0
# exp of more overflows
LARGEST_EXPONENT = 709.0
# log R_ii that counts where R_ii has underflowed: an upper bound, for weights up to 1e19
UNDERFLOW = -700.0
# entries of a frame with which products underflow soon
TINY = 1e-150
# rounding error of log R_ii, at most, in a single step from which on only its bound is known
HIDDEN = 0.1
# share of the tolerance that the sizes of an image's rows may use up without a factorization
SHARE = 0.01
# and what those of a product of two stages leave of the digits
LARGEST_RATIO = 1e6
# log R_ii of images whose squares underflow lie below
VANISHED = -360.0


class Control(NamedTuple):
    """Bounds that decide the interval.

    Attributes
    ----------
    limit : float
        The largest spread within the tolerance, log(tolerance / u).
    fixed : int
        Steps of a fixed interval; 0 lets the spread decide.
    tile : int
        Steps after which a reorthonormalization takes place in any case.
    graded : bool
        Take every step as a graded one, not only those that spread too far.
    slack : float
        By how much more an interval of one step may spread before the step is a graded one.
    underflow : bool
        Numbers of zero in the Jacobian of a decoupled unit have underflowed; otherwise it is dead.
    """

    limit: float
    fixed: int
    tile: int
    graded: bool = False
    slack: float = 0.0
    underflow: bool = False

    @property
    def alone(self) -> float:
        """The largest spread of an interval of one step."""
        return self.limit + self.slack


def make_control(
    interval: int | str, tolerance: float, tile: int, roundoff: float = UNIT_ROUNDOFF
) -> Control:
    """Return the control for ``interval`` ("auto" or a number of steps) and ``tolerance``.

    Parameters
    ----------
    roundoff : float
        u of the arithmetic; the tolerance must be about ten times as large at least.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    least = float(f"{9.0 * roundoff:.0e}")
    if not isinstance(tolerance, (int, float)) or not least <= tolerance < 1:
        raise ValueError(f"tolerance is {tolerance!r}; it must lie between {least:g} and 1")
    limit = math.log(tolerance / roundoff)
    if interval == "auto":
        return Control(limit, 0, tile)
    if not isinstance(interval, (int, np.integer)) or interval < 1:
        raise ValueError(f"interval is {interval!r}; it must be 'auto' or a positive whole number")
    return Control(limit, int(interval), int(interval) * -(-tile // int(interval)))


def next_interval(rate: float, remaining: int, limit: float) -> int:
    """Return the steps of the next interval, so that those remaining are cut evenly."""
    steps = remaining
    if rate * remaining > SAFETY * limit:
        steps = max(1, int(SAFETY * limit / rate))
    pieces = -(-remaining // steps)
    return -(-remaining // pieces)


def next_rate(rate: float, spread: float, steps: int) -> float:
    """Return the expected spread per step: the last one, or a slowly fading memory of more.

    A rejected interval costs all its steps again, a cautious one only its share of a QR.
    """
    found = spread / steps
    if found < 0.25 * rate:
        return 0.5 * rate
    return max(found, FADING * rate)


def shortened(steps: int, spread: float, limit: float) -> int:
    """Return the steps with which a rejected interval is repeated."""
    # a spread near −log u is rounding noise: it hides how much too long the interval was
    if not spread < 1.5 * limit:
        return max(1, steps // 2)
    return max(1, min(steps - 1, int(SAFETY * limit * steps / spread)))


def block_spread_limit(limit: float) -> float:
    """Return the spread within a block of rows up to which its rows pass for orthonormal.

    Gram–Schmidt leaves the block orthonormal up to u exp(spread of the block). What that
    leaves in a row projected after it, relative to the row, is at most exp(limit) times as
    large, and enters the row's norm squared: so √tolerance = √(u exp(limit)) is admitted. Where
    half this spread decides on a way that errs by u exp(2 spread), the tolerance bounds it too.
    """
    return min(0.5 * (limit - math.log(UNIT_ROUNDOFF)) - limit, limit)


def effective_spread(largest: float, smallest: float, limit: float) -> float:
    """Return the spread of log R_ii, or more where norms near the end of the range."""
    if not (abs(largest) < math.inf and abs(smallest) < math.inf):
        return math.inf
    extent = max(abs(largest), abs(smallest))
    return max(largest - smallest, extent * limit / LOG_RANGE)


def dual_sign(i: int) -> float:
    """Return entry i of the vector b by which rounding is measured: 1 or −1, in no pattern."""
    return 1.0 if (i * i + i // 3) % 5 < 2 else -1.0


def disturbed_spread(spread: float, largest: float, dual: float) -> float:
    """Return the spread, or more where R is much worse conditioned than its diagonal shows.

    Rounding u exp(largest) in the image puts u exp(largest) |R⁻ᵀ b|_i on log R_ii, with b a
    random vector. Where R_jk ≫ R_jj, k > j, this is far more than u exp(spread), and can hide
    how small the smallest R_ii are.
    """
    if not 0.0 < dual < math.inf:
        return spread
    return max(spread, largest + math.log(dual) - SLACK)


def interval_spread(largest: float, smallest: float, dual: float, limit: float) -> float:
    """Return the spread of an interval, of which the acceptance and the next interval follow."""
    return disturbed_spread(effective_spread(largest, smallest, limit), largest, dual)


def first_steps(rate: float, remaining: int, limit: float, fixed: int) -> int:
    """Return the steps with which an interval is tried."""
    if fixed > 0:
        return min(fixed, remaining)
    return next_interval(rate, remaining, limit)


def repeated_steps(steps: int, spread: float, limit: float, fixed: int) -> int:
    """Return the steps with which an interval is repeated; 0 if it is accepted."""
    if spread <= limit or steps == 1 or fixed > 0:
        return 0
    return shortened(steps, spread, limit)


def image_noise(log_r: float, largest: float, dual: float, fixed: int) -> float:
    """Return the rounding of a vector's image, relative to the image, over the roundoff.

    That of each step of a fixed interval adds to it, as in a random walk.
    """
    if largest < -LOG_RANGE:
        # squares lose their digits
        return math.inf
    steps = math.sqrt(max(1.0, fixed))
    return steps * max(exponential(largest - log_r), exponential(largest) * abs(dual))


def exponential(x: float) -> float:
    """Return exp(x), infinity where it overflows."""
    if x > LARGEST_EXPONENT:
        return math.inf
    return math.exp(x)


def filling(i: int, d: int) -> float:
    """Return coordinate d, between −1 and 1, of the vector that stands for a vanished vector i.

    These vectors have no pattern, so that no few coordinates make two of them alike.
    """
    mixed = 43758.5453 * math.sin(12.9898 * (i + 1) + 78.233 * (d + 1))
    return 2.0 * (mixed - math.floor(mixed)) - 1.0


def counted_growth(log_r: float, scale: float, limit: float, floor: float) -> float:
    """Return log R_ii, or where rounding hides it its upper bound, log(R_ii + D u exp(scale)).

    It is hidden where scale − log R_ii exceeds ``limit``; ``floor`` is log(D u).
    """
    if log_r == -math.inf and scale < VANISHED:
        return VANISHED
    if not scale - log_r > limit:
        return log_r
    bottom = floor + scale
    return max(log_r, bottom) + math.log1p(math.exp(-abs(log_r - bottom)))


class Counted(NamedTuple):
    """Growth of a vector at one factorization of a graded step, its rounding, and its spread."""

    growth: float
    error: float
    spread: float


def eliminated_growth(log_u: float, log_size: float, floor: float) -> Counted:
    """Return how log|U_ii| counts, which rounding of the size exp(log_size) may hide."""
    # dead directions are not among the rows
    if log_u < UNDERFLOW:
        return Counted(counted_growth(UNDERFLOW, log_size, 0.0, floor), math.inf, 0.0)
    spread = log_size - log_u
    if not exponential(floor + spread) > HIDDEN:
        return Counted(log_u, UNIT_ROUNDOFF * exponential(spread), spread)
    # R_ii may be rounding only, however small it is
    return Counted(counted_growth(log_u, log_size, 0.0, floor), math.inf, spread)


def eliminated_spread(logs: Array) -> float:
    """Return the spread of log R_ii in a graded step, but for vectors that vanished."""
    largest, smallest = -math.inf, math.inf
    for log in logs:
        if log > -math.inf:
            largest, smallest = max(largest, log), min(smallest, log)
    return max(largest - smallest, 0.0)


def admitted_ratio(limit: float) -> float:
    """Return by which factor rows of an image may differ in size without a factorization."""
    return min(SHARE * exponential(limit), LARGEST_RATIO)


def leaves_run(rate: float, control: Control) -> bool:
    """Whether a step after a graded one may be ordinary, for the expected spread per step."""
    return not control.graded and rate <= SAFETY * control.limit


def accept_interval(
    attempt: Callable[[int], tuple[T, float]], rate: float, remaining: int, control: Control
) -> tuple[T, float, int, int]:
    """Try intervals, each shorter than the one before, until one is accepted.

    Parameters
    ----------
    attempt : callable
        From a number of steps to the result of an interval of so many, and its spread.

    Returns
    -------
    tuple
        Of the accepted attempt: result, spread, steps; and how many were rejected before.
    """
    steps = first_steps(rate, remaining, control.limit, control.fixed)
    rejections = 0
    while True:
        result, spread = attempt(steps)
        shorter = repeated_steps(steps, spread, control.limit, control.fixed)
        if not shorter:
            return result, spread, steps, rejections
        rejections += 1
        steps = shorter
