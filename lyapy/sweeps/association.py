"""Correlations of a metric with spectra, and cross-validated regressions on them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..arrays import Array
from .regressions import Folds, Kind, baseline_features, left_out
from .rows import Rows

# a Fisher interval needs one degree of freedom
FEWEST = 4
BATCH = 1000
# of networks, for the interval of an increment
DRAWS = 10000


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


class Increment(NamedTuple):
    """By how much R² grows over that of the baseline, with an interval of 95 %."""

    value: float
    low: float
    high: float


class Prediction(NamedTuple):
    """Cross-validated regression of a metric on some features of the spectra, or the baseline.

    ``r_squared`` is 1 − squared errors over squared deviations from the mean of the others, all of
    networks left out; 0 or less where the features do not help. ``error`` is the root of the mean
    squared error, in units of the metric. ``increment`` is None without a baseline.
    """

    features: str
    networks: int
    r_squared: float
    error: float
    increment: Increment | None = None


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
    baseline: Sequence[str] = (), seed: int = 0,
) -> list[Prediction]:  # fmt: skip
    """Return cross-validated regressions of a column of numbers on spectra.

    On the largest exponent, on the mean, and on the whole spectrum at ``length`` positions, as in
    Vogt et al. 2022 (arXiv:2006.14123), by ridge regressions of standardized features, and on the
    spectrum by partial least squares (``components``). The strength of the ridge and the number of
    components are chosen within the networks that are not left out. Networks with dead
    exponents (−∞) are left out of all but the first. Raises ValueError as `associations`, or if
    there are fewer networks or groups than folds, and ModuleNotFoundError without scikit-learn.

    Parameters
    ----------
    sweep : Sweep
    metric : str
    length, folds : int
    groups : str, optional
        Column of networks that belong together, such as the training of which they are epochs: a
        group is left out as a whole.
    baseline : sequence of str
        Columns that are known without a spectrum, such as learning rate and dropout. A smooth
        function of them (kernel ridge regression) predicts the metric; positive numbers that span a
        factor of 10 enter as logarithms. ``increment`` is the growth of R² where the features also
        predict what this leaves over. Its interval is from drawing networks, or groups, with
        replacement: it has the scatter of the networks left out, not that of the fits.
    seed : int
        Of the folds and of the drawing.
    """
    y = sweep.numbers(metric)
    of = sweep.column(groups) if groups is not None else None
    features = sweep.features()
    spectra = sweep.resampled(length)
    tables: dict[str, tuple[Kind, Array]] = {
        "largest": ("ridge", features["largest"][:, None]),
        "mean": ("ridge", features["mean"][:, None]),
        "spectrum": ("ridge", spectra),
        "components": ("components", spectra),
    }
    base = None
    if baseline:
        base = baseline_features({name: sweep.column(name) for name in baseline})
    found: list[Prediction] = []
    for name, (kind, X) in tables.items():
        known = np.isfinite(X).all(axis=1) & np.isfinite(y)
        if base is not None:
            known &= np.isfinite(base).all(axis=1)
        known_groups = None if of is None else of[known]
        count = int(known.sum())
        separate = count if known_groups is None else len(set(known_groups))
        if separate < max(folds, 2):
            kinds = "networks" if of is None else f"values of {groups}"
            finding = f"{separate} {kinds} are too few for {folds} folds"
            raise ValueError(f"{metric}: {finding}; give fewer")
        ways = Folds(folds, seed, known_groups)
        known_base = None if base is None else base[known]
        guesses = left_out({name: (kind, X[known])}, y[known], ways, known_base)
        squares = {key: (y[known] - guess) ** 2 for key, guess in guesses.items()}
        if base is not None and not found:
            found.append(_prediction("baseline", "baseline", squares, None))
        grown = None
        if base is not None:
            grown = increment(squares["baseline"], squares[f"+ {name}"], squares[""], ways)
        found.append(_prediction(name, name, squares, grown))
    return found


def _prediction(
    features: str, key: str, squares: dict[str, Array], grown: Increment | None
) -> Prediction:
    total, left = float(np.sum(squares[""])), float(np.sum(squares[key]))
    count = len(squares[key])
    return Prediction(features, count, 1.0 - left / total, math.sqrt(left / count), grown)


def increment(before: Array, after: Array, total: Array, folds: Folds) -> Increment:
    """Return by how much R² grows, with its interval by drawing networks or groups.

    All three are squared errors (N,) of networks left out, ``total`` those of the mean.
    """
    gain = before - after
    units = np.arange(len(gain))
    if folds.groups is not None:
        units = np.unique(folds.groups, return_inverse=True)[1]
    gains, totals = np.bincount(units, gain), np.bincount(units, total)
    rng = np.random.default_rng(folds.seed)
    drawn = rng.integers(0, len(gains), size=(DRAWS, len(gains)))
    ratios = gains[drawn].sum(axis=1) / totals[drawn].sum(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Increment(float(gain.sum() / total.sum()), float(low), float(high))
