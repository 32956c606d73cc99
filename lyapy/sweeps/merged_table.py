"""Many spectra in words and numbers: a table with a line for each, a list for programs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .columns import COLUMNS, Row

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
    told = sorted(set().union(*(row.metadata for row in rows)))
    cells = [(HEAD[0], *told, *HEAD[1:]), *(_cells(row, told) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(line, widths) for line in cells]
    advice = [f"{r.name}: {r.columns['advice']}" for r in rows if not r.has_result]
    below = ["", *advice] if advice else []
    return "\n".join([head, "", *lines, *below])


def rows_summary(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows as a list of dicts that is valid JSON.

    Numbers that are not finite, as that of a dead direction, are None.
    """
    return [
        {name: _plain(row.columns[name]) for name in COLUMNS}
        | {name: _plain(value) for name, value in row.metadata.items()}
        | {name: [_plain(x) for x in values.tolist()] for name, values in row.spectra.items()}
        for row in rows
    ]


def _cells(row: Row, told: Sequence[str]) -> tuple[str, ...]:
    columns = row.columns
    own = [_text(row.metadata.get(name, "")) for name in told]
    if not row.has_result:
        return (row.name, *own, "", "", "", "", "", columns["status"])
    forms = {
        "largest": ".6g",
        "largest_error": ".2g",
        "mean": ".6g",
        "kaplan_yorke_dimension": ".6g",
    }
    numbers = (_number(columns[name], form) for name, form in forms.items())
    return (row.name, *own, str(columns["k"]), *numbers, columns["status"])


def _text(value: Any) -> str:
    return _number(value, ".6g") if isinstance(value, float) else str(value)


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers, status = cells
    middle = (f"{x:>{width}}" for x, width in zip(numbers, widths[1:-1], strict=True))
    return "   ".join([f"{name:<{widths[0]}}", *middle, status]).rstrip()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
