"""Many spectra as a table for other programs."""

from __future__ import annotations

import csv
import io
from typing import Any

from .result import Sweep

__all__ = ["csv_text"]


def csv_text(sweep: Sweep) -> str:
    """Return all columns and exponents as CSV, one line for each network.

    Numbers have all their digits; what is not known is empty, a dead direction is ``-inf``.
    """
    columns = sweep.columns(spectra=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for line in zip(*(values.tolist() for values in columns.values()), strict=True):
        writer.writerow([_field(value) for value in line])
    return text.getvalue()


def _field(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else repr(value)
    return str(value)
