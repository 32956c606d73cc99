"""Plots of many spectra: over training, over hyperparameters, against a metric."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..spectra.exponents import QUANTITIES
from ..spectra.figures import BLUE, GREY, check_picture, name_axes, new_figure, save_picture
from .association import FEWEST, correlate
from .result import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

__all__ = ["plot_components", "plot_heat_map", "plot_metric", "plot_spectra", "plot_sweep"]

LENGTH = 32
CELLS_WITH_NUMBERS = 64


def plot_spectra(sweep: Sweep, over: str | None = None, axes: Axes | None = None) -> Axes:
    """Plot all spectra together, coloured by a column of numbers such as the epoch.

    The exponents are drawn at their index, or at (i − 1/2)/D where networks differ in D; dead ones
    (−∞) are not drawn. Raises ValueError if there is no such column, or no spectrum.
    """
    _check_any(sweep)
    axes = new_figure(5.4, 3.8).subplots() if axes is None else axes
    from matplotlib.ticker import MaxNLocator

    values = sweep.numbers(over) if over is not None else np.full(len(sweep), np.nan)
    colour, scale = _colours(values)
    same_size = len({row.columns["state_size"] for row in sweep.rows if row.has_result}) == 1
    axes.axhline(0.0, color=GREY, lw=0.8, zorder=0)
    for row, value in zip(sweep.rows, values, strict=True):
        if not row.has_result:
            continue
        exponents = row.spectra["exponents"]
        index = np.arange(1, len(exponents) + 1)
        places = index if same_size else (index - 0.5) / row.columns["state_size"]
        shade = colour(scale(value)) if np.isfinite(value) else BLUE
        shown = np.where(np.isfinite(exponents), exponents, np.nan)
        marker = "o" if len(exponents) < 3 else None
        axes.plot(places, shown, color=shade, lw=1.2, alpha=0.8, marker=marker)
    if same_size:
        ticks = MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
        axes.xaxis.set_major_locator(ticks)
    x = "Index $i$" if same_size else "Position in the spectrum $(i - 1/2)/D$"
    name_axes(axes, x, rf"Exponent $\lambda_i$ ({sweep.units})")
    if over is not None:
        _add_colour_bar(axes, colour, scale, over, values)
    return axes


def plot_heat_map(sweep: Sweep, x: str, y: str, axes: Axes | None = None) -> Axes:
    """Plot the largest exponent over two columns; where several networks share both, their mean.

    Each value of the columns, of numbers or text, has a row or column of the map. Raises
    ValueError if there are no such columns, or no spectrum.
    """
    _check_any(sweep)
    axes = new_figure(5.4, 3.8).subplots() if axes is None else axes
    from matplotlib.colors import Normalize

    columns, rows, exponents = _values(sweep, x), _values(sweep, y), sweep.numbers("largest")
    if not (columns and rows):
        raise ValueError(f"no network has both {x} and {y}")
    over_x, over_y = sweep.column(x), sweep.column(y)
    mean, most = np.full((len(rows), len(columns)), np.nan), 0
    for i, j in np.ndindex(mean.shape):
        here = (over_x == columns[j]) & (over_y == rows[i])
        found = exponents[here & np.isfinite(exponents)]
        if len(found):
            mean[i, j], most = found.mean(), max(most, len(found))
    largest = float(np.nanmax(np.abs(mean))) or 1.0
    ends = Normalize(-largest, largest)
    image = axes.imshow(mean, cmap="RdBu_r", norm=ends, origin="lower", aspect="auto")
    for set_ticks, values in ((axes.set_xticks, columns), (axes.set_yticks, rows)):
        texts = [f"{value:g}" if isinstance(value, (int, float)) else value for value in values]
        set_ticks(range(len(values)), texts)
    if mean.size <= CELLS_WITH_NUMBERS:
        for (i, j), value in np.ndenumerate(mean):
            if np.isfinite(value):
                ink = "white" if abs(value) > 0.6 * largest else "black"
                text = f"{value:.2g}".replace("-", "−")
                axes.text(j, i, text, ha="center", va="center", color=ink, fontsize="small")
    name_axes(axes, x, y)
    of = r"$\lambda_1$" if most < 2 else rf"mean $\lambda_1$ of up to {most} networks"
    axes.figure.colorbar(image, ax=axes, label=f"{of} ({sweep.units})")
    return axes


def plot_metric(
    sweep: Sweep, metric: str, feature: str = "largest", axes: Axes | None = None
) -> Axes:
    """Plot a column of numbers against one of `Sweep.features`, with its Pearson correlation.

    Raises ValueError if there is no such column, or no network has both.
    """
    y, features = sweep.numbers(metric), sweep.features()
    if feature not in features:
        raise ValueError(f"feature is {feature!r}; it must be one of {', '.join(features)}")
    x = features[feature]
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise ValueError(f"{metric}: no network has a finite value of it and of {feature}")
    axes = new_figure(4.6, 3.8).subplots() if axes is None else axes
    errors = None
    if feature in ("largest", "mean"):
        errors = np.nan_to_num(sweep.numbers(f"{feature}_error"))[known]
    style: dict[str, Any] = {"fmt": "o", "ms": 4, "alpha": 0.7, "elinewidth": 0.8}
    axes.errorbar(x[known], y[known], xerr=errors, color=BLUE, **style)
    label, unit = "number of positive exponents", ""
    if feature in QUANTITIES:
        quantity = QUANTITIES[feature]
        label, unit = quantity.label, "" if quantity.units == "1" else f" ({sweep.units})"
    name_axes(axes, f"{label[0].upper()}{label[1:]}{unit}", metric)
    found = correlate(x[known], y[known])
    if known.sum() >= FEWEST and np.isfinite(found.value):
        text = f"Pearson {found.value:.2f} ({found.low:.2f} to {found.high:.2f}), n = {known.sum()}"
        axes.set_title(text.replace("-", "−"), fontsize="small", color=GREY)
    return axes


def plot_components(
    sweep: Sweep, colour_by: str | None = None, axes: Axes | None = None, *, length: int = LENGTH
) -> Axes:
    """Plot the first two principal components of the spectra, resampled to a common length.

    Networks with dead exponents (−∞) at these positions are left out. Raises ValueError if fewer
    than three are left, or there is no column ``colour_by`` of numbers.
    """
    table = sweep.resampled(length)
    known = np.isfinite(table).all(axis=1)
    if known.sum() < 3:
        found = f"need three spectra without dead exponents, not {known.sum()}"
        raise ValueError(f"components: {found}")
    axes = new_figure(4.8, 3.8).subplots() if axes is None else axes
    centred = table[known] - table[known].mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    # without the rounding of equal spectra
    sizes[sizes < 1e-12 * np.abs(table[known]).max()] = 0.0
    shares = np.append(sizes**2 / max(np.sum(sizes**2), np.finfo(float).tiny), 0.0)
    places = np.column_stack([left * sizes, np.zeros(len(left))])[:, :2]
    if colour_by is None:
        axes.plot(*places.T, "o", color=BLUE, ms=5, alpha=0.8)
    else:
        values = sweep.numbers(colour_by)[known]
        colour, scale = _colours(values)
        finite = np.isfinite(values)
        shade = [colour(scale(value)) for value in values[finite]]
        axes.scatter(places[finite, 0], places[finite, 1], c=shade, s=26, alpha=0.9)
        axes.plot(*places[~finite].T, "x", color=GREY, ms=4)
        _add_colour_bar(axes, colour, scale, colour_by, values)
    name_axes(axes, *(f"Component {i + 1} ({shares[i]:.0%} of the variance)" for i in (0, 1)))
    return axes


def plot_sweep(
    sweep: Sweep, path: str | PathLike[str], *, over: str | None = None, metric: str | None = None,
    between: tuple[str, str] | None = None, overwrite: bool = False,
) -> None:  # fmt: skip
    """Save one figure (.png, .pdf or .svg) with all plots for which the sweep has columns.

    The column ``over`` colours the spectra, ``epoch`` where there is one; ``metric`` is compared
    with them; ``between`` are the columns of the map, by default the two others with the fewest
    values, but several, each shared by networks. Raises as the other plots, and OSError if the
    file cannot be written.
    """
    check_picture(path, overwrite=overwrite)
    _check_any(sweep)
    over = "epoch" if over is None and "epoch" in sweep.metadata_names else over
    between = between or _hyperparameters(sweep, (over, metric))
    draw: list[Callable[[Axes], Axes]] = [lambda axes: plot_spectra(sweep, over, axes)]
    if between is not None:
        x, y = between
        draw.append(lambda axes: plot_heat_map(sweep, x, y, axes))
    if metric is not None:
        draw.append(lambda axes: plot_metric(sweep, metric, "largest", axes))
        if np.isfinite(sweep.features()["mean"]).any():
            draw.append(lambda axes: plot_metric(sweep, metric, "mean", axes))
    if np.isfinite(sweep.resampled(LENGTH)).all(axis=1).sum() > 2:
        draw.append(lambda axes: plot_components(sweep, metric or over, axes))
    lines, columns = (len(draw) + 1) // 2, min(len(draw), 2)
    figure = new_figure(5.2 * columns, 3.8 * lines)
    for place, panel in enumerate(draw, 1):
        panel(figure.add_subplot(lines, columns, place))
    save_picture(figure, path, overwrite=overwrite)


def _check_any(sweep: Sweep) -> None:
    if not any(row.has_result for row in sweep.rows):
        raise ValueError("the sweep has no spectrum; lyapy show reports why")


def _colours(values: Array) -> tuple[Any, Normalize]:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    # the yellow end is hard to see on white
    return lambda x: colormaps["viridis"](0.92 * x), Normalize(low, high if high > low else low + 1)


def _add_colour_bar(axes: Axes, colour: Any, scale: Normalize, name: str, values: Array) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap
    from matplotlib.ticker import MaxNLocator

    shades = ListedColormap([colour(x) for x in np.linspace(0.0, 1.0, 256)])
    bar = axes.figure.colorbar(ScalarMappable(scale, shades), ax=axes, label=name)
    finite = values[np.isfinite(values)]
    if np.all(finite == np.round(finite)):
        bar.locator = MaxNLocator(integer=True, min_n_ticks=1)


def _hyperparameters(sweep: Sweep, others: tuple[str | None, ...]) -> tuple[str, str] | None:
    counts = {n: len(_values(sweep, n)) for n in sweep.metadata_names if n not in others}
    shared = [name for name, count in counts.items() if 1 < count <= len(sweep) // 2]
    chosen = sorted(sorted(shared, key=counts.__getitem__)[:2])
    return (chosen[0], chosen[1]) if len(chosen) == 2 else None


def _values(sweep: Sweep, name: str) -> list[Any]:
    """Return the values of a column among the rows with a result, sorted, each once."""
    column = sweep.column(name)
    has = np.array([row.has_result for row in sweep.rows])
    known = has & (column != "" if column.dtype.kind == "U" else np.isfinite(column))
    return list(np.unique(column[known]).tolist())
