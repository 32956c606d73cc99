"""Regressions on features and on a baseline, tested on networks that they have not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..arrays import Array

RIDGES = np.logspace(-6, 3, 19)
MOST_COMPONENTS = 10
# of the kernel, in standard deviations of the features, and of its ridge
WIDTHS, KERNEL_RIDGES = (0.5, 1.0, 2.0, 4.0), np.logspace(-4, 2, 13)
# parts that are left out one by one for what the baseline leaves over
PARTS = 30
# a column of positive numbers that spans this factor enters as its logarithm
DECADE = 10.0

Kind = Literal["ridge", "components"]
# the folds within which to choose, the targets, the number of features → an estimator to fit
Model = Callable[["Folds", Array, int], Any]


@dataclass(frozen=True)
class Folds:
    """How networks are left out: groups as a whole where there are any."""

    folds: int
    seed: int
    groups: Array | None

    def split(self, y: Array) -> list[tuple[Array, Array]]:
        """Return the numbers of the networks to learn from and of those left out, for each fold."""
        model_selection = sklearn("model_selection")
        if self.groups is None:
            cv = model_selection.KFold(self.folds, shuffle=True, random_state=self.seed)
        else:
            cv = model_selection.GroupKFold(self.folds)
        return list(cv.split(y, y, self.groups))

    def within(self, chosen: Array) -> Folds:
        """Return the folds among those to learn from."""
        groups = None if self.groups is None else self.groups[chosen]
        separate = len(chosen) if groups is None else len(set(groups))
        return Folds(min(self.folds, separate), self.seed, groups)


def sklearn(module: str) -> Any:
    """Return a module of scikit-learn; raise ModuleNotFoundError with the remedy."""
    from importlib import import_module

    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        remedy = "install it with pip install 'lyapy[statistics]'"
        raise ModuleNotFoundError(f"regressions need scikit-learn ({error}); {remedy}") from None


def baseline_features(columns: Mapping[str, Array]) -> Array:
    """Return columns of numbers and text as features (N, F), NaN where one is missing.

    Positive numbers that span a factor of 10 or more enter as their logarithms, text as one
    feature for each value but the first.
    """
    features = []
    for column in columns.values():
        if column.dtype.kind in "biuf":
            numbers = column.astype(np.float64)
            known = numbers[np.isfinite(numbers)]
            wide = len(known) and known.min() > 0.0 and known.max() >= DECADE * known.min()
            features.append(np.log(numbers) if wide else numbers)
        else:
            features += [(column == value).astype(np.float64) for value in np.unique(column)[1:]]
    return np.stack(features, axis=1)


def left_out(
    tables: Mapping[str, tuple[Kind | Model, Array]], y: Array, folds: Folds,
    baseline: Array | None,
) -> dict[str, Array]:  # fmt: skip
    """Return predictions (N,) for each network by models of the others, by the tables' names.

    Tables are features (N, F) with the kind of the regression, or a function that makes one; ``""``
    is the mean of the others. With a baseline (N, F) there is also ``"baseline"``, and each name
    with ``"+ "`` before it: the baseline and the regression of what it leaves over, in networks
    that it, too, has not seen.
    """
    names = ["", *tables]
    if baseline is not None:
        names += ["baseline", *(f"+ {name}" for name in tables)]
    found = {name: np.empty(len(y)) for name in names}
    for train, test in folds.split(y):
        inner = folds.within(train)
        found[""][test] = y[train].mean()
        for name, (kind, X) in tables.items():
            found[name][test] = _guess(kind, X[train], y[train], X[test], inner)
        if baseline is None:
            continue
        seen, unseen = baseline[train], baseline[test]
        found["baseline"][test] = Smooth().fit(seen, y[train]).predict(unseen)
        rest = y[train].copy()
        for some, others in replace(inner, folds=PARTS).within(np.arange(len(train))).split(rest):
            rest[others] -= Smooth().fit(seen[some], y[train][some]).predict(seen[others])
        for name, (kind, X) in tables.items():
            more = _guess(kind, X[train], rest, X[test], inner)
            found[f"+ {name}"][test] = found["baseline"][test] + more
    return found


def _guess(kind: Kind | Model, X: Array, y: Array, unseen: Array, folds: Folds) -> Array:
    model = kind if callable(kind) else MODELS[kind]
    with warnings.catch_warnings():
        # constant features, and targets with nothing left to explain
        warnings.simplefilter("ignore")
        return np.ravel(model(folds, y, X.shape[1]).fit(X, y).predict(unseen))


def _ridge(folds: Folds, y: Array, features: int) -> Any:
    """Return a ridge regression whose strength is chosen by leaving out one at a time."""
    scaler = sklearn("preprocessing").StandardScaler()
    return sklearn("pipeline").make_pipeline(scaler, sklearn("linear_model").RidgeCV(RIDGES))


class Smooth:
    """Kernel ridge regression: a smooth function, and back at the mean far from what it has seen.

    Width of the kernel and strength of the ridge are chosen by leaving out one at a time.
    """

    def fit(self, X: Array, y: Array) -> Smooth:
        """Learn from features (N, F) and targets (N,)."""
        self.mean, self.scale = (
            X.mean(axis=0),
            np.where(np.ptp(X, axis=0) > 0.0, X.std(axis=0), 1.0),
        )
        self.X, self.level = (X - self.mean) / self.scale, float(y.mean())
        least = np.inf
        for width in WIDTHS:
            values, vectors = np.linalg.eigh(self._kernel(self.X, width))
            turned = vectors.T @ (y - self.level)
            for ridge in KERNEL_RIDGES:
                inverse = 1.0 / (np.maximum(values, 0.0) + ridge)
                weights = vectors @ (inverse * turned)
                # the error of each as if it had been left out
                errors = weights / (vectors**2 @ inverse)
                if np.sum(errors**2) < least:
                    least, self.width, self.weights = np.sum(errors**2), width, weights
        return self

    def predict(self, X: Array) -> Array:
        """Return predictions (N,) for features (N, F)."""
        found = self._kernel((X - self.mean) / self.scale, self.width) @ self.weights
        return np.asarray(self.level + found)

    def _kernel(self, X: Array, width: float) -> Array:
        squares = np.sum((X[:, None] - self.X) ** 2, axis=2)
        return np.asarray(np.exp(-squares / (2.0 * width**2)))


def _components(folds: Folds, y: Array, features: int) -> Any:
    """Return partial least squares, the number of whose components is chosen within ``folds``."""
    splits = folds.split(y)
    most = min(MOST_COMPONENTS, features, min(len(train) for train, _ in splits) - 1)
    return sklearn("model_selection").GridSearchCV(
        sklearn("cross_decomposition").PLSRegression(),
        {"n_components": list(range(1, max(most, 1) + 1))},
        scoring="neg_mean_squared_error",
        cv=splits,
    )


MODELS: dict[Kind, Model] = {
    "ridge": _ridge,
    "components": _components,
}
