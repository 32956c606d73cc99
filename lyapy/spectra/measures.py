"""Numbers derived from a spectrum."""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import Array


class Measure(NamedTuple):
    """A number derived from a spectrum.

    Attributes
    ----------
    value : float
    standard_error : float
        NaN where it is not known.
    status : str
        ``computed``; ``upper bound`` where exponents enter that are upper bounds, ``estimate``
        where rounding errors beyond 0.01 nats per step enter; ``dead`` (−∞);
        ``undetermined`` where exponents that may be 0 decide it, or trajectories differ;
        ``not reached`` by the exponents computed, ``escapes`` as the orbit does, or
        ``does not apply`` (NaN).
    low, high : float
        Ends of an interval of 95 %; NaN where there is none.
    """

    value: float
    standard_error: float
    status: str
    low: float = math.nan
    high: float = math.nan


def kaplan_yorke_dimension(exponents: Array, state_size: int) -> float:
    """Return the Kaplan–Yorke dimension j + (λ₁ + … + λ_j) / |λ_{j+1}|.

    j is the largest number of leading exponents with a sum that is not negative.

    Parameters
    ----------
    exponents : array (k,), descending
    state_size : int
        D. Where all D exponents have a sum ≥ 0, the dimension is D.

    Returns
    -------
    float
        NaN where k < D exponents do not reach the crossing.

    References
    ----------
    J. L. Kaplan, J. A. Yorke, Lecture Notes in Mathematics 730 (1979) 204.
    """
    if (np.asarray(exponents[1:]) > exponents[:-1]).any():
        finding = "exponents are not in descending order"
        raise ValueError(f"{finding}; give numpy.sort(exponents)[::-1]")
    sums = np.cumsum(exponents)
    negative = np.flatnonzero(sums < 0.0)
    if not len(negative):
        return float(state_size) if len(exponents) == state_size else math.nan
    j = int(negative[0])
    return j + float(sums[j - 1] / -exponents[j]) if j else 0.0


def entropy_rate(exponents: Array, state_size: int) -> float:
    """Return the sum of the positive exponents (k,), in their units.

    It is an upper bound of the Kolmogorov–Sinai entropy (Ruelle 1978). NaN where all k < D
    exponents are positive, so that more may follow; ``state_size`` is D.
    """
    if len(exponents) < state_size and np.all(exponents > 0.0):
        return math.nan
    return float(np.sum(exponents[exponents > 0.0]))


def measure_range(
    measure: Callable[[Array, int], float], samples: Array, margin: Array, state_size: int
) -> tuple[float, float]:
    """Return the least and the most of a measure that grows with every exponent.

    Each row of ``samples`` (B, k) may be off by ``margin`` (k,). The most is D where the exponents
    computed do not reach it.
    """
    ends = [
        [measure(-np.sort(-(row + sign * margin)), state_size) for row in samples]
        for sign in (-1.0, 1.0)
    ]
    low, high = np.nan_to_num(ends, nan=float(state_size))
    return float(low.min()), float(high.max())


def kaplan_yorke_slopes(exponents: Array) -> Array:
    """Return the derivatives (j + 1,) of the Kaplan–Yorke dimension by the leading exponents.

    Empty where the dimension is 0 or all of them, where a small change has no effect.
    """
    sums = np.cumsum(exponents)
    negative = np.flatnonzero(sums < 0.0)
    if not len(negative) or not negative[0]:
        return np.zeros(0)
    j = int(negative[0])
    last = -float(exponents[j])
    return np.append(np.full(j, 1.0 / last), sums[j - 1] / last**2)


def participation_ratio(frame: Array) -> Array:
    """Return the number of coordinates over which each deviation vector (..., D) is spread.

    (Σ v²)² / Σ v⁴: 1 for a vector along one coordinate, D for one spread evenly over all.
    """
    squares = np.square(frame)
    return np.asarray(np.sum(squares, axis=-1) ** 2 / np.sum(squares**2, axis=-1))


def warn_unreached(name: str, k: str, found: int, state_size: int) -> None:
    """Warn the reader of a property that more exponents decide the measure."""
    warnings.warn(
        f"{name} is NaN: the {found} of {state_size} exponents that were computed do not reach "
        f"it; compute more, or k={k!r}",
        RuntimeWarning,
        stacklevel=4,
    )
