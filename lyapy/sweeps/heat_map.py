"""The largest exponent over two hyperparameters, as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..spectra.figures import name_axes, new_figure
from .result import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_any", "plot_heat_map", "units", "values_of"]

CELLS_WITH_NUMBERS = 64


def plot_heat_map(sweep: Sweep, x: str, y: str, axes: Axes | None = None) -> Axes:
    """Plot the largest exponent over two columns; where several networks share both, their mean.

    Parameters
    ----------
    sweep : Sweep
    x, y : str
        Columns, of numbers or text; each value has a place of its own.
    axes : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there are no such columns, or no spectrum.
    """
    check_any(sweep)
    axes = new_figure(5.4, 3.8).subplots() if axes is None else axes
    from matplotlib.colors import Normalize

    columns, rows, mean, most = _grid(sweep, x, y)
    largest = float(np.nanmax(np.abs(mean))) or 1.0
    ends = Normalize(-largest, largest)
    image = axes.imshow(mean, cmap="RdBu_r", norm=ends, origin="lower", aspect="auto")
    axes.set_xticks(range(len(columns)), [_named(value) for value in columns])
    axes.set_yticks(range(len(rows)), [_named(value) for value in rows])
    if mean.size <= CELLS_WITH_NUMBERS:
        for (i, j), value in np.ndenumerate(mean):
            if np.isfinite(value):
                ink = "white" if abs(value) > 0.6 * largest else "black"
                text = f"{value:.2g}".replace("-", "−")
                axes.text(j, i, text, ha="center", va="center", color=ink, fontsize="small")
    name_axes(axes, x, y)
    of = r"$\lambda_1$" if most < 2 else rf"mean $\lambda_1$ of up to {most} networks"
    axes.figure.colorbar(image, ax=axes, label=f"{of} ({units(sweep)})")
    return axes


def check_any(sweep: Sweep) -> None:
    """Raise ValueError if there is no spectrum to draw."""
    if not any(row.has_result for row in sweep.rows):
        raise ValueError("the sweep has no spectrum; lyapy show tells why")


def units(sweep: Sweep) -> str:
    """Return what the exponents are in."""
    times = sorted({str(row.columns["time"]) for row in sweep.rows if row.has_result})
    return f"nats per {' or '.join(times)}"


def values_of(sweep: Sweep, name: str) -> list[Any]:
    """Return the values of a column among the rows with a result, sorted, each once."""
    column = sweep.column(name)
    has = np.array([row.has_result for row in sweep.rows])
    known = has & (column != "" if column.dtype.kind == "U" else np.isfinite(column))
    return list(np.unique(column[known]).tolist())


def _grid(sweep: Sweep, x: str, y: str) -> tuple[list[Any], list[Any], Array, int]:
    columns, rows = values_of(sweep, x), values_of(sweep, y)
    if not (columns and rows):
        raise ValueError(f"no network has both {x} and {y}")
    sums, counts = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)))
    found = zip(sweep.column(x), sweep.column(y), sweep.column("largest"), strict=True)
    for a, b, exponent in found:
        if a in columns and b in rows and np.isfinite(exponent):
            sums[rows.index(b), columns.index(a)] += exponent
            counts[rows.index(b), columns.index(a)] += 1
    mean = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return columns, rows, mean, int(counts.max())


def _named(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
