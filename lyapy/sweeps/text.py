"""A sweep as text: a table to read, JSON and CSV for programs, a metric's associations."""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..errors import one_line
from ..spectra.text import plain
from .association import Correlation, associations, predictions
from .rows import Rows

# columns of the table, their heads and formats
SHOWN = {
    "k": ("k", "d"),
    "largest": ("largest", ".6g"),
    "largest_error": ("standard error", ".2g"),
    "mean": ("mean", ".6g"),
    "kaplan_yorke_dimension": ("Kaplan-Yorke", ".6g"),
}
LEVEL, FOLDS = 0.95, 5
# lines of advice below the table
REASONS = 4


def shown_columns(sweep: Rows) -> dict[str, list[str]]:
    """Return the columns of the table by their heads: names, metadata, measures, status."""
    names = sweep.metadata_names
    table = {"network": sweep.names}
    table |= {name: [_cell(row.metadata.get(name, "")) for row in sweep] for name in names}
    for name, (head, form) in SHOWN.items():
        cells = [_cell(row.columns[name], form) if row.has_result else "" for row in sweep]
        table[head] = cells
    return table | {"status": [row.columns["status"] for row in sweep]}


def rows_table(sweep: Rows) -> str:
    """Return the rows as a plain text table; advice follows, last on those without a result."""
    finished = sum(row.has_result for row in sweep)
    units = f", in {sweep.units}" if finished else ""
    head = f"{finished} spectra of {len(sweep)} networks{units}"
    shown = shown_columns(sweep).items()
    columns = [[one_line(cell) for cell in (name, *cells)] for name, cells in shown]
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for name, *numbers, status in zip(*columns, strict=True):
        middle = (f"{x:>{width}}" for x, width in zip(numbers, widths[1:-1], strict=True))
        lines.append("   ".join([f"{name:<{widths[0]}}", *middle, status]).rstrip())
    advice = reasons(sweep)
    advice += [one_line(f"{r.name}: {r.columns['advice']}") for r in sweep if not r.has_result]
    return "\n".join([head, "", *lines, *(["", *advice] if advice else [])])


def reasons(sweep: Rows) -> list[str]:
    """Return why results are not converged, a line for each advice; those of few networks last."""
    names: dict[tuple[str, str], list[str]] = {}
    for row in sweep:
        if row.has_result and row.columns["advice"]:
            key = str(row.columns["status"]), str(row.columns["advice"])
            names.setdefault(key, []).append(row.name)
    found = sorted(names.items(), key=lambda item: -len(item[1]))
    lines = [
        one_line(f"{status}: {of[0]}{f' and {len(of) - 1} more' * (len(of) > 1)}: {advice}")
        for (status, advice), of in found[:REASONS]
    ]
    return lines + [f"… and {len(found) - REASONS} more reasons"] * (len(found) > REASONS)


def rows_summary(sweep: Rows) -> list[dict[str, Any]]:
    """Return the rows as a list of dicts that is valid JSON; numbers not finite are None."""
    return [plain(row.columns | dict(row.metadata) | row.spectra) for row in sweep.rows]


def metric_table(
    sweep: Rows, metric: str, groups: str | None = None, baseline: Sequence[str] = ()
) -> str:
    """Return correlations of a column with the features of spectra, and regressions on them."""
    lines = [
        f"{metric} against features of the spectra, with intervals of {LEVEL:.0%} and p-values of",
        "permutations, which assume independent networks",
        "",
        f"{'feature':<24}{'networks':>8}   {'Pearson':<37}Spearman",
    ]
    for found in associations(sweep, metric, level=LEVEL):
        pearson, spearman = _correlation(found.pearson), _correlation(found.spearman)
        lines.append(f"{found.feature:<24}{found.networks:>8}   {pearson:<37}{spearman}")
    if find_spec("sklearn") is None:
        return "\n".join([*lines, "", "regressions: pip install 'lyapy[statistics]'"])
    folds = min(FOLDS, len(set(sweep.column(groups).tolist()))) if groups else FOLDS
    together = f", each {groups} as a whole" if groups else ""
    lines += ["", f"regressions, tested on networks left out ({folds} folds{together}):"]
    increment = f"increment over {', '.join(baseline)}" if baseline else ""
    lines.append(
        f"{'features':<24}{'networks':>8}   {'R squared':<12}{'error':<12}{increment}".rstrip()
    )
    for guess in predictions(sweep, metric, groups=groups, folds=folds, baseline=baseline):
        line = f"{guess.features:<24}{guess.networks:>8}   {guess.r_squared:<12.3f}"
        more = guess.increment
        rest = "" if more is None else f"{more.value:+.3f} ({more.low:+.3f} to {more.high:+.3f})"
        lines.append(f"{line}{guess.error:<12.3g}{rest}".rstrip())
    return "\n".join(lines)


def _cell(value: Any, form: str = ".6g") -> str:
    if isinstance(value, (float, np.floating)):
        return "" if math.isnan(value) else f"{value:{form}}"
    return str(value)


def _correlation(found: Correlation) -> str:
    if found.value != found.value:
        return "constant"
    interval = f"{found.low:+.2f} to {found.high:+.2f}"
    return f"{found.value:+.3f} ({interval}), p {found.p_value:.2g}"
