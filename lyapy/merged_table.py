"""Many spectra in words and numbers: a table with a line for each, a list for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .member_row import COLUMNS, Row

__all__ = ["rows_summary", "rows_table"]

HEAD = ("member", "k", "largest", "standard error", "mean", "Kaplan-Yorke", "status")


def rows_table(rows: Sequence[Row]) -> str:
    """Return rows as a plain text table; the advice on those without a result stands below.

    Exponents are in the units of each run, which the head names where they are the same.
    """
    times = sorted({str(row.columns["time"]) for row in rows if row.has_result})
    finished = sum(row.has_result for row in rows)
    head = f"{finished} spectra of {len(rows)} members"
    if times:
        head += f", in nats per {' or '.join(times)}"
    cells = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    lines = [_line(line, widths) for line in cells]
    advice = [f"{r.name}: {r.columns['advice']}" for r in rows if not r.has_result]
    told = ["", *advice] if advice else []
    return "\n".join([head, "", *lines, *told])


def rows_summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows as a list of dicts that is valid JSON.

    Numbers that are not finite, as that of a dead direction, are None.
    """
    return [
        {name: _plain(row.columns[name]) for name in COLUMNS}
        | {name: [_plain(x) for x in values.tolist()] for name, values in row.spectra.items()}
        for row in rows
    ]


def _cells(row: Row) -> tuple[str, ...]:
    columns = row.columns
    if not row.has_result:
        return (row.name, "", "", "", "", "", columns["status"])
    forms = {
        "largest": ".6g",
        "largest_error": ".2g",
        "mean": ".6g",
        "kaplan_yorke_dimension": ".6g",
    }
    numbers = (_number(columns[name], form) for name, form in forms.items())
    return (row.name, str(columns["k"]), *numbers, columns["status"])


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers, status = cells
    middle = (f"{x:>{width}}" for x, width in zip(numbers, widths[1:-1], strict=True))
    return "   ".join([f"{name:<{widths[0]}}", *middle, status]).rstrip()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
