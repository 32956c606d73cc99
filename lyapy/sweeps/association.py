"""Correlations of a metric with spectra, and cross-validated regressions on them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from ..arrays import Array
from .result import Sweep

__all__ = ["Association", "Correlation", "Prediction", "associations", "correlate", "predictions"]

# a Fisher interval needs one degree of freedom
FEWEST = 4
BATCH = 1000


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
    """Correlations of a metric with one feature of the spectra.

    Attributes
    ----------
    feature : str
        As in `Sweep.features`.
    networks : int
        Those with finite values of both.
    pearson, spearman : Correlation
        Of the values, and of their ranks.
    """

    feature: str
    networks: int
    pearson: Correlation
    spearman: Correlation


class Prediction(NamedTuple):
    """Cross-validated linear regression of a metric on spectra.

    Attributes
    ----------
    features : str
        ``largest``, ``mean`` or ``spectrum``.
    networks : int
        Number of networks.
    r_squared : float
        1 − squared errors over squared deviations from the mean of the others, all of networks
        left out; 0 or less where spectra do not help.
    error : float
        Root of the mean squared error, in units of the metric.
    """

    features: str
    networks: int
    r_squared: float
    error: float


def associations(
    sweep: Sweep, metric: str, *, level: float = 0.95, permutations: int = 9999, seed: int = 0
) -> list[Association]:
    """Return the correlations of a column with each feature of the spectra.

    Intervals and p-values assume independent networks. Epochs of one training are not: select
    one of each with `Sweep.where` first.

    Parameters
    ----------
    sweep : Sweep
    metric : str
        A column of numbers.
    level : float
        Of the confidence intervals.
    permutations : int
        Drawn for the p-values; all of them where there are no more.
    seed : int

    Raises
    ------
    ValueError
        If there is no such column of numbers, or fewer than four networks have one.
    """
    y = sweep.numbers(metric)
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
    a, b = stats.zscore(x), stats.zscore(y) / n
    r = float(np.clip(a @ b, -1.0, 1.0))
    variance = (1.0 + r**2 / 2.0 if ranks else 1.0) / max(n - 3, 1)
    half = stats.norm.ppf(0.5 + level / 2.0) * math.sqrt(variance)
    with np.errstate(divide="ignore"):
        low, high = (float(np.tanh(np.arctanh(r) + sign * half)) for sign in (-1, 1))
    test = stats.permutation_test(
        (a,),
        lambda permuted, axis: np.abs(permuted @ b),
        permutation_type="pairings",
        alternative="greater",
        vectorized=True,
        n_resamples=permutations,
        batch=BATCH,
        rng=seed,
    )
    return Correlation(r, low, high, float(test.pvalue))


def predictions(
    sweep: Sweep,
    metric: str,
    *,
    length: int = 32,
    folds: int = 5,
    groups: str | None = None,
    seed: int = 0,
) -> list[Prediction]:
    """Return cross-validated linear regressions of a column on spectra.

    On the largest exponent, on the mean, and on the whole spectrum at ``length`` positions, as in
    Vogt et al. 2022 (arXiv:2006.14123). They are ridge regressions of standardized features; the
    strength of the ridge is chosen within the networks that are not left out. Networks with dead
    exponents (−∞) are left out of those on mean and spectrum.

    Parameters
    ----------
    sweep : Sweep
    metric : str
        A column of numbers.
    length, folds : int
    groups : str, optional
        Column of networks that belong together, such as the training of which they are epochs: a
        group is left out as a whole.
    seed : int
        Of the division into folds.

    Raises
    ------
    ValueError
        As `associations`, or if there are fewer networks or groups than folds.
    ModuleNotFoundError
        Without scikit-learn.
    """
    y = sweep.numbers(metric)
    of = sweep.column(groups) if groups is not None else None
    features = sweep.features()
    tables = {
        "largest": features["largest"][:, None],
        "mean": features["mean"][:, None],
        "spectrum": sweep.resampled(length),
    }
    found = []
    for name, X in tables.items():
        known = np.isfinite(X).all(axis=1) & np.isfinite(y)
        count = int(known.sum())
        separate = len(set(of[known])) if of is not None else count
        if separate < max(folds, 2):
            kind = "networks" if of is None else f"values of {groups}"
            raise ValueError(
                f"{metric}: {separate} {kind} are too few for {folds} folds; give fewer"
            )
        guess, mean = _guess(X[known], y[known], None if of is None else of[known], folds, seed)
        squares = np.sum((y[known] - guess) ** 2)
        total = np.sum((y[known] - mean) ** 2)
        error = math.sqrt(squares / count)
        found.append(Prediction(name, count, float(1.0 - squares / total), error))
    return found


def _guess(X: Array, y: Array, groups: Array | None, folds: int, seed: int) -> tuple[Array, Array]:
    """Return for each network the prediction of a regression on the others, and their mean."""
    try:
        from sklearn.dummy import DummyRegressor
        from sklearn.linear_model import RidgeCV
        from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise ModuleNotFoundError(
            f"regressions need scikit-learn ({error}); install it with pip install "
            "'lyapy[statistics]'"
        ) from None
    grouped = groups is not None
    splits = GroupKFold(folds) if grouped else KFold(folds, shuffle=True, random_state=seed)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-6, 3, 19)))
    options: dict[str, Any] = {"groups": groups, "cv": splits}
    guess, mean = (cross_val_predict(m, X, y, **options) for m in (ridge, DummyRegressor()))
    return guess, mean
