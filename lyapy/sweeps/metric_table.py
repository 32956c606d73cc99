"""How a metric goes with spectra, as a table for people."""

from __future__ import annotations

from importlib.util import find_spec

from .association import Correlation, associations
from .regression import predictions
from .result import Sweep

__all__ = ["metric_table"]

LEVEL = 0.95
FOLDS = 5


def metric_table(sweep: Sweep, metric: str, groups: str | None = None) -> str:
    """Return correlations of a column with the features of spectra, and regressions on them.

    Raises
    ------
    ValueError
        As `associations` and `predictions`.
    """
    lines = [
        f"{metric} against features of the spectra, with intervals of {LEVEL:.0%} and p-values of",
        "permutations, which take the networks for independent of one another",
        "",
        f"{'feature':<24}{'networks':>8}   {'Pearson':<37}Spearman",
    ]
    for found in associations(sweep, metric, level=LEVEL):
        pearson, spearman = _told(found.pearson), _told(found.spearman)
        lines.append(f"{found.feature:<24}{found.networks:>8}   {pearson:<37}{spearman}")
    if find_spec("sklearn") is None:
        return "\n".join([*lines, "", "regressions: pip install 'lyapy[statistics]'"])
    folds = min(FOLDS, len(set(sweep.column(groups).tolist()))) if groups else FOLDS
    together = f", each {groups} as a whole" if groups else ""
    lines += ["", f"linear regressions, tried on networks left out ({folds} parts{together}):"]
    lines.append(f"{'features':<24}{'networks':>8}   {'R squared':<37}error")
    for guess in predictions(sweep, metric, groups=groups, folds=folds):
        text = f"{guess.features:<24}{guess.networks:>8}   {guess.r_squared:<37.3f}"
        lines.append(f"{text}{guess.error:.3g}")
    return "\n".join(lines)


def _told(found: Correlation) -> str:
    if found.value != found.value:
        return "constant"
    interval = f"{found.low:+.2f} to {found.high:+.2f}"
    return f"{found.value:+.3f} ({interval}), p {found.p_value:.2g}"
