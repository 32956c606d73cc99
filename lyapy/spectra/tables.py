"""A result for pandas, xarray, notebooks and spreadsheets."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import visible
from .exponents import QUANTITIES, Exponents
from .figures import new_figure, picture_bytes
from .plots import plot_spectrum
from .status import status_of
from .text import exponent_cells, exponent_statuses, facts_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset

# facts below a notebook's picture
SHOWN = ("mean exponent", "Kaplan-Yorke dimension", "entropy rate", "trajectories", "steps")
# how spreadsheets know a formula
FORMULAS = ("=", "+", "-", "@")
CELL = "text-align:right;padding:1px 0.7em"


def exponent_columns(spectrum: Exponents) -> dict[str, Any]:
    """Return the quantities of each exponent as columns (k,), with its index and status."""
    per_exponent = [name for name, q in QUANTITIES.items() if q.axes == ("exponent",)]
    found = {"index": np.arange(1, len(spectrum.exponents) + 1)}
    found |= {name: getattr(spectrum, name) for name in per_exponent}
    return found | {"status": exponent_statuses(spectrum)}


def data_frame(columns: Mapping[str, Any], index: str, **attributes: Any) -> DataFrame:
    """Return the columns as a pandas DataFrame with ``attrs``, indexed by one of them."""
    frame: DataFrame = _library("pandas").DataFrame(dict(columns)).set_index(index)
    frame.attrs.update(attributes)
    return frame


def dataset_of(spectrum: Exponents) -> Dataset:
    """Return all quantities as an xarray Dataset with named axes, units and descriptions."""
    variables = {
        name: (
            QUANTITIES[name].axes,
            values,
            {
                "units": QUANTITIES[name].units.format(time=spectrum.time),
                "description": QUANTITIES[name].text,
            },
        )
        for name, values in spectrum.report().items()
    }
    status = status_of(spectrum)
    dataset: Dataset = _library("xarray").Dataset(
        variables,
        coords={"exponent": np.arange(1, len(spectrum.exponents) + 1)},
        attrs={"status": status.code, "advice": status.advice},
    )
    return dataset.set_coords("growth_steps")


def csv_text(columns: Mapping[str, Any]) -> str:
    """Return columns as CSV: all digits of numbers, empty for NaN, ``-inf`` if dead.

    A text that a spreadsheet would compute as a formula stands after an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, columns))
    for line in zip(*(np.asarray(values).tolist() for values in columns.values()), strict=True):
        writer.writerow(["" if value != value else _cell(value) for value in line])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.lstrip().startswith(FORMULAS) else text


def spectrum_html(spectrum: Exponents) -> str:
    """Return exponents, measures, status and picture, as a notebook shows them."""
    head = f"{len(spectrum.exponents)} of {spectrum.state_size} Lyapunov exponents"
    status, facts = status_of(spectrum), facts_of(spectrum)
    heads = ("i", "exponent", "standard error", "d.o.f.", "")
    columns = zip(*exponent_cells(spectrum), strict=True)
    cells = {name: list(column) for name, column in zip(heads, columns, strict=True)}
    named = {name: facts[name] for name in SHOWN if name in facts} | {"status": status.code}
    lines = [f"{name}: {escape(text)}" for name, text in named.items()]
    lines[-1] = f"<b>{lines[-1]}</b> {escape(status.advice)}"
    return (
        '<div style="display:flex;flex-wrap:wrap;align-items:flex-start;gap:1.5em"><div>'
        f"<b>{head}</b>, in {spectrum.units}{table_html(cells)}</div>"
        f'<div style="max-width:34em">{_picture(spectrum)}'
        f"<div>{'<br>'.join(lines)}</div></div></div>"
    )


def table_html(columns: Mapping[str, Sequence[str]]) -> str:
    """Return columns of text as an HTML table."""
    heads = "".join(f'<th style="{CELL}">{escape(name)}</th>' for name in columns)
    lines = [
        "".join(f'<td style="{CELL}">{escape(cell)}</td>' for cell in line)
        for line in zip(*columns.values(), strict=True)
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _picture(spectrum: Exponents) -> str:
    try:
        figure = new_figure(5.4, 3.4)
    except ModuleNotFoundError:
        return ""
    plot_spectrum(spectrum, figure.subplots(), inset=True)
    png = base64.b64encode(picture_bytes(figure, "png", 96)).decode()
    return f'<img alt="exponents" style="max-width:100%" src="data:image/png;base64,{png}">'


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"this needs {name}, which is not installed; python -m pip install 'lyapy[{name}]'"
        ) from None
