"""How well the spectra of networks foretell what is measured of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .association import numbers_of
from .result import Sweep

__all__ = ["Prediction", "predictions"]


class Prediction(NamedTuple):
    """How well a linear regression foretells a metric of networks that it has not seen.

    Attributes
    ----------
    features : str
        ``largest``, ``mean`` or ``spectrum``.
    networks : int
        Number of them.
    r_squared : float
        1 − squared errors over squared deviations from the mean of the others, all of networks
        left out; 0 or less where the spectra tell nothing.
    error : float
        Root of the mean squared error, in units of the metric.
    """

    features: str
    networks: int
    r_squared: float
    error: float


def predictions(
    sweep: Sweep,
    metric: str,
    *,
    length: int = 32,
    folds: int = 5,
    groups: str | None = None,
    seed: int = 0,
) -> list[Prediction]:
    """Return how well linear regressions foretell a column of networks left out.

    On the largest exponent, on the mean, and on the whole spectrum at ``length`` positions, as in
    Vogt et al. 2022 (arXiv:2006.14123). The regressions are ridge regressions of standardized
    features; the strength of the ridge is chosen within the networks that are not left out.
    Networks with dead exponents (−∞) are left out of those on mean and spectrum.

    Parameters
    ----------
    sweep : Sweep
    metric : str
    length : int
    folds : int
        Parts in which the networks are left out.
    groups : str, optional
        Column of what belongs together, such as the training of which networks are epochs: a
        group is left out as a whole.
    seed : int
        Of the division into parts.

    Raises
    ------
    ValueError
        As `associations`, or if there are fewer networks or groups than folds.
    ModuleNotFoundError
        Without scikit-learn.
    """
    y = numbers_of(sweep, metric)
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
        parts = len(set(of[known])) if of is not None else count
        if parts < max(folds, 2):
            what = "networks" if of is None else f"values of {groups}"
            raise ValueError(f"{metric}: {parts} {what} are too few for {folds} folds; give fewer")
        guessed, mean = _guess(X[known], y[known], None if of is None else of[known], folds, seed)
        squares = np.sum((y[known] - guessed) ** 2)
        total = np.sum((y[known] - mean) ** 2)
        error = math.sqrt(squares / count)
        found.append(Prediction(name, count, float(1.0 - squares / total), error))
    return found


def _guess(X: Array, y: Array, groups: Array | None, folds: int, seed: int) -> tuple[Array, Array]:
    """Return for each network what a regression on the others says, and the others' mean."""
    try:
        from sklearn.linear_model import RidgeCV
        from sklearn.model_selection import GroupKFold, KFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise ModuleNotFoundError(
            f"regressions need scikit-learn ({error}); install it with pip install "
            "'lyapy[statistics]'"
        ) from None
    splits = (
        GroupKFold(folds) if groups is not None else KFold(folds, shuffle=True, random_state=seed)
    )
    guessed, mean = np.empty(len(y)), np.empty(len(y))
    for others, left_out in splits.split(X, y, groups):
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-6, 3, 19)))
        model.fit(X[others], y[others])
        guessed[left_out] = model.predict(X[left_out])
        mean[left_out] = y[others].mean()
    return guessed, mean
