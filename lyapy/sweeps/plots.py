"""Pictures of many spectra: over training, over hyperparameters, beside a metric."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..spectra.figures import BLUE, GREY, check_picture, name_axes, new_figure, save_picture
from .association import FEWEST, correlate, numbers_of
from .heat_map import check_any, plot_heat_map, units, values_of
from .result import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

__all__ = ["plot_components", "plot_metric", "plot_spectra", "plot_sweep"]

LENGTH = 32


def plot_spectra(sweep: Sweep, over: str | None = None, axes: Axes | None = None) -> Axes:
    """Plot all spectra on one another, coloured by a column such as the epoch.

    Parameters
    ----------
    sweep : Sweep
    over : str, optional
        A column of numbers.
    axes : matplotlib Axes, optional
        Where to; those of a new figure by default.

    Returns
    -------
    Axes
        The exponents stand at their index, or at (i − 1/2)/D where networks differ in D. Dead
        exponents (−∞) are not drawn.

    Raises
    ------
    ValueError
        If there is no such column of numbers, or no spectrum.
    """
    check_any(sweep)
    axes = new_figure(5.4, 3.8).subplots() if axes is None else axes
    from matplotlib.ticker import MaxNLocator

    values = numbers_of(sweep, over) if over is not None else np.zeros(len(sweep))
    colour, scale = _colours(values)
    sizes = {int(row.columns["state_size"]) for row in sweep.rows if row.has_result}
    axes.axhline(0.0, color=GREY, lw=0.8, zorder=0)
    for row, value in zip(sweep.rows, values, strict=True):
        if not row.has_result:
            continue
        exponents = np.where(
            np.isfinite(row.spectra["exponents"]), row.spectra["exponents"], np.nan
        )
        places = np.arange(1, len(exponents) + 1) if len(sizes) == 1 else _shares(row, exponents)
        marker = "o" if len(exponents) < 3 else None
        shade = colour(scale(value)) if over is not None and np.isfinite(value) else BLUE
        axes.plot(places, exponents, color=shade, lw=1.2, alpha=0.8, marker=marker)
    if len(sizes) == 1:
        axes.xaxis.set_major_locator(
            MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
        )
    x = "Index $i$" if len(sizes) == 1 else "Position in the spectrum $(i - 1/2)/D$"
    name_axes(axes, x, rf"Exponent $\lambda_i$ ({units(sweep)})")
    if over is not None:
        _colour_bar(axes, colour, scale, over, _is_whole(values))
    return axes


def plot_metric(
    sweep: Sweep, metric: str, feature: str = "largest", axes: Axes | None = None
) -> Axes:
    """Plot a column against a feature of the spectra, with both correlations.

    Parameters
    ----------
    sweep : Sweep
    metric : str
        A column of numbers.
    feature : str
        As in `Sweep.features`.
    axes : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If there is no such column, or no network has both.
    """
    y, features = numbers_of(sweep, metric), sweep.features()
    if feature not in features:
        raise ValueError(f"feature is {feature!r}; it must be one of {', '.join(features)}")
    x = features[feature]
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise ValueError(f"{metric}: no network has a finite value of it and of {feature}")
    axes = new_figure(4.6, 3.8).subplots() if axes is None else axes
    errors = None
    if feature in ("largest", "mean"):
        errors = np.nan_to_num(sweep.column(f"{feature}_error").astype(np.float64))[known]
    style: dict[str, Any] = {"fmt": "o", "ms": 4, "alpha": 0.7, "elinewidth": 0.8}
    axes.errorbar(x[known], y[known], xerr=errors, color=BLUE, **style)
    names = {"largest": r"Largest exponent $\lambda_1$", "mean": "Mean exponent"}
    unit = f" ({units(sweep)})" if feature in names or feature == "entropy_rate" else ""
    name_axes(axes, names.get(feature, feature.replace("_", " ").capitalize()) + unit, metric)
    if known.sum() >= FEWEST:
        found = correlate(x[known], y[known])
        told = f"Pearson {found.value:.2f} ({found.low:.2f} to {found.high:.2f}), n = {known.sum()}"
        axes.set_title(told.replace("-", "−"), fontsize="small", color=GREY)
    return axes


def plot_components(
    sweep: Sweep, colour_by: str | None = None, axes: Axes | None = None, *, length: int = LENGTH
) -> Axes:
    """Plot the first two principal components of the spectra, resampled to a common length.

    Parameters
    ----------
    sweep : Sweep
    colour_by : str, optional
        A column of numbers.
    axes : matplotlib Axes, optional
    length : int

    Returns
    -------
    Axes
        Networks with dead exponents (−∞) at these positions are left out.

    Raises
    ------
    ValueError
        If there are fewer than three spectra, or no such column.
    """
    table = sweep.resampled(length)
    known = np.isfinite(table).all(axis=1)
    if known.sum() < 3:
        raise ValueError(
            f"components: need three spectra without dead exponents, not {known.sum()}"
        )
    axes = new_figure(4.8, 3.8).subplots() if axes is None else axes
    centred = table[known] - table[known].mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    shares = np.append(sizes**2 / max(np.sum(sizes**2), np.finfo(float).tiny), 0.0)
    places = np.column_stack([left * sizes, np.zeros(len(left))])[:, :2]
    if colour_by is None:
        axes.plot(places[:, 0], places[:, 1], "o", color=BLUE, ms=5, alpha=0.8)
    else:
        values = numbers_of(sweep, colour_by)[known]
        colour, scale = _colours(values)
        told = np.isfinite(values)
        shade = [colour(scale(value)) for value in values[told]]
        axes.scatter(places[told, 0], places[told, 1], c=shade, s=26, alpha=0.9)
        axes.plot(places[~told, 0], places[~told, 1], "x", color=GREY, ms=4)
        _colour_bar(axes, colour, scale, colour_by, _is_whole(values))
    names = [f"Component {i + 1} ({shares[i]:.0%} of the variance)" for i in (0, 1)]
    name_axes(axes, *names)
    return axes


def plot_sweep(
    sweep: Sweep,
    path: str | PathLike[str],
    *,
    over: str | None = None,
    metric: str | None = None,
    between: tuple[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Save one figure with all pictures that a sweep's columns allow.

    Parameters
    ----------
    sweep : Sweep
    path : str or path
        With the suffix .png, .pdf or .svg.
    over : str, optional
        Column that colours the spectra, ``epoch`` where there is one.
    metric : str, optional
        Column to compare with the spectra.
    between : (str, str), optional
        Columns of the map of the largest exponent. By default the two others with several values,
        but the fewest, which many networks share.
    overwrite : bool

    Raises
    ------
    ValueError, OSError, ModuleNotFoundError
        As the other pictures.
    """
    check_picture(path, overwrite=overwrite)
    check_any(sweep)
    names = sweep.metadata_names
    over = "epoch" if over is None and "epoch" in names else over
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


def _shares(row: Any, exponents: Array) -> Array:
    return (np.arange(len(exponents)) + 0.5) / int(row.columns["state_size"])


def _colours(values: Array) -> tuple[Any, Normalize]:
    from matplotlib import colormaps
    from matplotlib.colors import Normalize

    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    # the yellow end is hard to see on white
    return lambda x: colormaps["viridis"](0.92 * x), Normalize(low, high if high > low else low + 1)


def _colour_bar(axes: Axes, colour: Any, scale: Normalize, name: str, is_whole: bool) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap
    from matplotlib.ticker import MaxNLocator

    shades = ListedColormap([colour(x) for x in np.linspace(0.0, 1.0, 256)])
    bar = axes.figure.colorbar(ScalarMappable(scale, shades), ax=axes, label=name)
    if is_whole:
        bar.locator = MaxNLocator(integer=True, min_n_ticks=1)


def _hyperparameters(sweep: Sweep, others: tuple[str | None, ...]) -> tuple[str, str] | None:
    counts = {n: len(values_of(sweep, n)) for n in sweep.metadata_names if n not in others}
    shared = [name for name, count in counts.items() if 1 < count <= len(sweep) // 2]
    chosen = sorted(sorted(shared, key=counts.__getitem__)[:2])
    return (chosen[0], chosen[1]) if len(chosen) == 2 else None


def _is_whole(values: Array) -> bool:
    finite = values[np.isfinite(values)]
    return bool(np.all(finite == np.round(finite)))
