"""How what is measured of networks goes with their spectra: correlations and predictions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..arrays import Array
from .result import Sweep

__all__ = ["Association", "Correlation", "associations", "correlate", "numbers_of"]

# within these, a Fisher interval needs one degree of freedom
FEWEST = 4
BLOCK = 1000


class Correlation(NamedTuple):
    """A correlation with its interval.

    Attributes
    ----------
    value : float
        From −1 to 1; NaN where one of the two is constant.
    low, high : float
        Ends of the confidence interval.
    p_value : float
        Share of permutations with a correlation at least as large in modulus.
    """

    value: float
    low: float
    high: float
    p_value: float


class Association(NamedTuple):
    """How a metric goes with one feature of the spectra.

    Attributes
    ----------
    feature : str
        As in `Sweep.features`.
    networks : int
        Those of which both are known and finite.
    pearson, spearman : Correlation
        Of the values, and of their ranks.
    """

    feature: str
    networks: int
    pearson: Correlation
    spearman: Correlation


def associations(
    sweep: Sweep, metric: str, *, level: float = 0.95, permutations: int = 9999, seed: int = 0
) -> list[Association]:
    """Return how a column goes with each feature of the spectra.

    Intervals and p-values take networks for independent of one another. Epochs of one training
    are not: choose one of each with `Sweep.where` first.

    Parameters
    ----------
    sweep : Sweep
    metric : str
        A column of numbers, of the metadata or the index.
    level : float
        Of the confidence intervals.
    permutations : int
        Drawn for the p-values.
    seed : int
        Of the permutations.

    Raises
    ------
    ValueError
        If there is no such column of numbers, or fewer than four networks have one.
    """
    y = numbers_of(sweep, metric)
    found = []
    for feature, x in sweep.features().items():
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() < FEWEST:
            continue
        pair = (x[known], y[known])
        ranks = (stats.rankdata(pair[0]), stats.rankdata(pair[1]))
        pearson = correlate(*pair, level, permutations, seed)
        spearman = correlate(*ranks, level, permutations, seed, ranks=True)
        found.append(Association(feature, int(known.sum()), pearson, spearman))
    if not found:
        raise ValueError(
            f"{metric}: fewer than {FEWEST} networks have a finite value and a spectrum; more are "
            "needed"
        )
    return found


def correlate(
    x: Array,
    y: Array,
    level: float = 0.95,
    permutations: int = 9999,
    seed: int = 0,
    *,
    ranks: bool = False,
) -> Correlation:
    """Return the correlation of two samples (n,) with its interval and p-value.

    The interval is Fisher's, symmetric in artanh r, for ranks with the variance
    (1 + r²/2)/(n − 3).

    References
    ----------
    D. G. Bonett, T. A. Wright, Psychometrika 65 (2000) 23.
    """
    n = len(x)
    if np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return Correlation(math.nan, math.nan, math.nan, math.nan)
    a, b = _standardized(x), _standardized(y)
    r = min(max(float(a @ b), -1.0), 1.0)
    variance = (1.0 + r**2 / 2.0 if ranks else 1.0) / max(n - 3, 1)
    half = stats.norm.ppf(0.5 + level / 2.0) * math.sqrt(variance)
    with np.errstate(divide="ignore"):
        middle = np.arctanh(r)
    random, larger, left = np.random.default_rng(seed), 0, permutations
    while left:
        count = min(left, BLOCK)
        drawn = random.permuted(np.tile(a, (count, 1)), axis=1) @ b
        # rounding must not part permutations that are the same
        larger += int(np.count_nonzero(np.abs(drawn) >= abs(r) - 1e-12))
        left -= count
    low, high = (float(np.tanh(middle + sign * half)) for sign in (-1, 1))
    return Correlation(r, low, high, (larger + 1) / (permutations + 1))


def numbers_of(sweep: Sweep, metric: str) -> Array:
    """Return a column (N,) of numbers; raise ValueError if there is none, or it is text."""
    column = sweep.column(metric)
    if column.dtype.kind not in "fiu":
        raise ValueError(f"{metric}: is a column of text; give one of numbers")
    return column.astype(np.float64)


def _standardized(x: Array) -> Array:
    centred = x - x.mean()
    return np.asarray(centred / np.linalg.norm(centred))
