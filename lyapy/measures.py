"""Numbers derived from a spectrum."""

from __future__ import annotations

import math

import numpy as np

from .types import Array

__all__ = ["entropy_rate", "kaplan_yorke_dimension", "standard_error"]

BLOCKS = 16


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
        NaN where the k < D exponents given do not reach the crossing.

    References
    ----------
    J. L. Kaplan, J. A. Yorke, Lecture Notes in Mathematics 730 (1979) 204.
    """
    sums = np.cumsum(exponents)
    negative = np.flatnonzero(sums < 0.0)
    if not len(negative):
        return float(state_size) if len(exponents) == state_size else math.nan
    j = int(negative[0])
    return j + float(sums[j - 1] / -exponents[j]) if j else 0.0


def entropy_rate(exponents: Array, state_size: int) -> float:
    """Return the sum of the positive exponents, in nats per step.

    It is an upper bound of the Kolmogorov–Sinai entropy (Ruelle 1978).

    Returns
    -------
    float
        NaN where all k < D exponents given are positive, so that more may follow.
    """
    if len(exponents) < state_size and np.all(exponents > 0.0):
        return math.nan
    return float(np.sum(exponents[exponents > 0.0]))


def standard_error(growth: Array, ends: Array) -> Array:
    """Return the standard error of the mean exponents.

    Over trajectories where there are several; over blocks of consecutive rows of the history
    where there is one, which allows for correlations shorter than a block.

    Parameters
    ----------
    growth : array (B, rows, k)
    ends : array (rows,)
        Steps at which the rows end.

    Returns
    -------
    array (k,)
        In nats per step; NaN where there are fewer than four blocks, or an exponent is −∞.
    """
    with np.errstate(invalid="ignore"):
        if len(growth) > 1:
            samples = growth.sum(axis=1) / ends[-1]
            return np.std(samples, axis=0, ddof=1) / math.sqrt(len(samples))
        if len(ends) < 4:
            return np.full(growth.shape[2], np.nan)
        blocks = min(BLOCKS, len(ends))
        cuts = np.arange(1, blocks + 1) * len(ends) // blocks
        sums = np.diff(np.cumsum(growth[0], axis=0)[cuts - 1], axis=0, prepend=0.0)
        lengths = np.diff(ends[cuts - 1], prepend=0)[:, None]
        mean = sums.sum(axis=0) / ends[-1]
        # the variance of a weighted mean; blocks differ in length by a row at most
        deviations = (sums - lengths * mean) / ends[-1]
        return np.sqrt(np.sum(deviations**2, axis=0) * blocks / (blocks - 1))
