"""Correlations of a metric with spectra, and cross-validated regressions on them."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from ..arrays import Array
from .rows import Rows

__all__ = ["Association", "Correlation", "Prediction", "associations", "correlate", "predictions"]

# a Fisher interval needs one degree of freedom
FEWEST = 4
BATCH = 1000


class Correlation(NamedTuple):
    """A correlation, NaN where one of the two is constant, and its confidence interval.

    ``p_value`` is the share of permutations with a correlation at least as large in modulus.
    """

    value: float
    low: float
    high: float
    p_value: float


class Association(NamedTuple):
    """Correlations of a metric with one feature of the spectra, of values and of ranks."""

    feature: str
    # those with finite values of both
    networks: int
    pearson: Correlation
    spearman: Correlation


class Prediction(NamedTuple):
    """Cross-validated linear regression of a metric on ``largest``, ``mean`` or ``spectrum``.

    ``r_squared`` is 1 − squared errors over squared deviations from the mean of the others, all of
    networks left out; 0 or less where spectra do not help. ``error`` is the root of the mean
    squared error, in units of the metric.
    """

    features: str
    networks: int
    r_squared: float
    error: float


def associations(
    sweep: Rows, metric: str, *, level: float = 0.95, permutations: int = 9999, seed: int = 0
) -> list[Association]:
    """Return the correlations of a column of numbers with each of `Sweep.features`.

    Intervals (of confidence ``level``) and p-values assume independent networks. Epochs of one
    training are not: select one of each with `Sweep.where` first. ``permutations`` are drawn for
    the p-values; all of them where there are no more. Raises ValueError if there is no such
    column, or fewer than four networks have a value.
    """
    y = sweep.numbers(metric)
    found = []
    for feature, x in sweep.features().items():
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() < FEWEST:
            continue
        pair = (x[known], y[known])
        pearson = correlate(*pair, level, permutations, seed)
        ranks = (stats.rankdata(pair[0]), stats.rankdata(pair[1]))
        spearman = correlate(*ranks, level, permutations, seed, ranks=True)
        found.append(Association(feature, int(known.sum()), pearson, spearman))
    if not found:
        finding = f"fewer than {FEWEST} networks have a finite value and a spectrum"
        raise ValueError(f"{metric}: {finding}; add some")
    return found


def correlate(
    x: Array, y: Array, level: float = 0.95, permutations: int = 9999, seed: int = 0, *,
    ranks: bool = False,
) -> Correlation:  # fmt: skip
    """Return the correlation of two samples (n,) with its interval and p-value.

    The interval is Fisher's, symmetric in artanh r, for ranks with the variance (1 + r²/2)/(n − 3)
    of Bonett and Wright, Psychometrika 65 (2000) 23.
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
        permutation_type="pairings", alternative="greater", vectorized=True,
        n_resamples=permutations, batch=BATCH, rng=seed,
    )  # fmt: skip
    return Correlation(r, low, high, float(test.pvalue))


def predictions(
    sweep: Rows, metric: str, *, length: int = 32, folds: int = 5, groups: str | None = None,
    seed: int = 0,
) -> list[Prediction]:  # fmt: skip
    """Return cross-validated linear regressions of a column of numbers on spectra.

    On the largest exponent, on the mean, and on the whole spectrum at ``length`` positions, as in
    Vogt et al. 2022 (arXiv:2006.14123). They are ridge regressions of standardized features; the
    strength of the ridge is chosen within the networks that are not left out. Networks with dead
    exponents (−∞) are left out of those on mean and spectrum. ``groups`` names a column of
    networks that belong together, such as the training of which they are epochs: a group is left
    out as a whole. Raises ValueError as `associations`, or if there are fewer networks or groups
    than folds, and ModuleNotFoundError without scikit-learn.
    """
    y = sweep.numbers(metric)
    of = sweep.column(groups) if groups is not None else None
    features = sweep.features()
    tables = {name: features[name][:, None] for name in ("largest", "mean")}
    tables["spectrum"] = sweep.resampled(length)
    found = []
    for name, X in tables.items():
        known = np.isfinite(X).all(axis=1) & np.isfinite(y)
        count = int(known.sum())
        separate = len(set(of[known])) if of is not None else count
        if separate < max(folds, 2):
            kind = "networks" if of is None else f"values of {groups}"
            finding = f"{separate} {kind} are too few for {folds} folds"
            raise ValueError(f"{metric}: {finding}; give fewer")
        guesses = _guesses(X[known], y[known], None if of is None else of[known], folds, seed)
        squares, total = (np.sum((y[known] - guess) ** 2) for guess in guesses)
        r_squared = float(1.0 - squares / total)
        found.append(Prediction(name, count, r_squared, math.sqrt(squares / count)))
    return found


def _guesses(X: Array, y: Array, groups: Array | None, folds: int, seed: int) -> list[Array]:
    """Return for each network the prediction of a regression on the others, and their mean."""
    try:
        from sklearn.dummy import DummyRegressor
        from sklearn.linear_model import RidgeCV
        from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        remedy = "install it with pip install 'lyapy[statistics]'"
        raise ModuleNotFoundError(f"regressions need scikit-learn ({error}); {remedy}") from None
    cv: Any = GroupKFold(folds)
    if groups is None:
        cv = KFold(folds, shuffle=True, random_state=seed)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-6, 3, 19)))
    models = (ridge, DummyRegressor())
    return [cross_val_predict(model, X, y, groups=groups, cv=cv) for model in models]
