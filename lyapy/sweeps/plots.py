"""Plots of many spectra: over training, over hyperparameters, against a metric."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array, check_choice
from ..spectra.exponents import QUANTITIES
from ..spectra.figures import (
    GREY,
    add_legend,
    axes_of,
    check_picture,
    colour_of,
    draw_zero,
    name_axes,
    new_figure,
    save_picture,
    styled,
)
from ..spectra.plots import name_places, places_of
from .association import FEWEST, correlate
from .rows import COLUMNS, Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LENGTH = 32
MOST_CELLS, MOST_TICKS = 8, 12
# most values of a column in a legend
ENTRIES = 6


def plot_spectra(
    sweep: Rows, over: str | None = None, ax: Axes | None = None, *, relative: bool | None = None,
    color: Any = None, label: str | None = None, **style: Any,
) -> Axes:  # fmt: skip
    """Plot all spectra together, coloured by a column such as the epoch, N or the gain.

    Dead exponents (−∞) are not drawn. Up to six values of the column have an entry each in the
    legend, more of them a colour bar. Raises ValueError if there is no such column, or no spectrum.

    Parameters
    ----------
    sweep : Sweep
    over : str, optional
        Column of numbers or text; without it, up to six networks have different colours.
    ax : matplotlib Axes, optional
        Those of a new figure by default.
    relative : bool, optional
        Place the i-th exponent at (i − 1/2)/D; by default where networks differ in D.
    color, label : optional
        Of all spectra, instead of the colours of ``over``.
    **style
        Of the curves, as for ``Axes.plot``.
    """
    finished = _finished(sweep)
    values = None if over is None else finished.column(over)
    if over is None and color is None and label is None and len(finished) <= ENTRIES:
        values = np.array(finished.names)
    ax = axes_of(ax, 5.4, 3.8)
    if relative is None:
        relative = len(set(finished.column("state_size").tolist())) > 1
    draw_zero(ax)
    if values is None or color is not None:
        shades = [colour_of(ax, color)] * len(finished)
    else:
        shades = _coded(ax, over, values)
    for number, (row, shade) in enumerate(zip(finished, shades, strict=True)):
        exponents = row.spectra["exponents"]
        places = places_of(len(exponents), row.columns["state_size"], relative)
        shown = np.where(np.isfinite(exponents), exponents, np.nan)
        own = {"marker": "o"} if len(exponents) < 3 else {}
        style_of = styled(style, color=shade, linewidth=1.2, alpha=0.8, **own)
        ax.plot(places, shown, **style_of, label=None if number else label)
    name_places(ax, relative)
    ax.set_ylabel(rf"Exponent $\lambda_i$ ({sweep.units})")
    if label is not None:
        add_legend(ax)
    return ax


def plot_measure(
    sweep: Rows, over: str, measure: str = "largest", ax: Axes | None = None, *,
    by: str | None = None, metric: str | None = None, per_dimension: bool = False,
    color: Any = None, label: str | None = None, **style: Any,
) -> Axes:  # fmt: skip
    """Plot a measure against a column such as the epoch or the gain, next to a metric.

    Points are networks, with standard errors where they are known; a line joins the means of
    networks with the same value of the column. Networks without a value, as where the errors leave
    open whether a dimension is above 0, are counted above the axes.

    Parameters
    ----------
    sweep : Sweep
    over : str
        Column of numbers.
    measure : str
        One of `Sweep.features`, or any other column of numbers.
    ax : matplotlib Axes, optional
        Those of a new figure by default.
    by : str, optional
        Column whose values have a line each.
    metric : str, optional
        Column of numbers, such as a loss, dashed and with an axis on the right.
    per_dimension : bool
        Divide the measure by D, the dimension of the state.
    color, label : optional
        Of the line; without ``by``.
    **style
        Of the points and lines, as for ``Axes.plot``.

    Raises
    ------
    ValueError
        If there is no such column, or no network has finite values.
    """
    finished = _finished(sweep)
    x = finished.numbers(over)
    y = finished.features().get(measure)
    y = finished.numbers(measure) if y is None else y
    has_error = f"{measure}_error" in COLUMNS
    error = finished.numbers(f"{measure}_error") if has_error else np.full(len(x), np.nan)
    size = finished.numbers("state_size") if per_dimension else np.ones(len(x))
    y, error = y / size, np.nan_to_num(error / size)
    second = None if metric is None else finished.numbers(metric)
    if not (np.isfinite(x) & np.isfinite(y)).any():
        raise ValueError(f"{measure}: no network has a finite value of it and of {over}")
    ax = axes_of(ax, 5.4, 3.8)
    right = None if metric is None else ax.twinx()
    if measure in ("largest", "mean"):
        draw_zero(ax)
    groups = np.zeros(len(x)) if by is None else finished.column(by)
    shades = [colour_of(ax, color)] * len(x) if by is None else _coded(ax, by, groups)
    for value in np.unique(groups):
        here = np.flatnonzero(groups == value)
        look = styled(style, color=shades[here[0]], linewidth=1.3, marker="o", markersize=4)
        _draw_means(ax, x[here], y[here], error[here], look, label)
        if right is not None and second is not None:
            look |= {"linestyle": "--", "linewidth": 1.1, "alpha": 0.7, "marker": "None"}
            _draw_means(right, x[here], second[here], np.zeros(len(here)), look, None)
    _keep_integers(ax, x)
    if unknown := np.count_nonzero(np.isfinite(x) & np.isnan(y)):
        _entitle(ax, f"not shown: {unknown} of {len(x)} networks, for which it is undetermined")
    per = " / $D$" if per_dimension else ""
    name_axes(ax, over, _label(sweep, measure, per))
    if right is not None:
        right.set_ylabel(f"{metric} (dashed)")
        right.spines["top"].set_visible(False)
    if label is not None:
        add_legend(ax)
    return ax


def _keep_integers(ax: Axes, values: Array) -> None:
    """Mark integers only, on the horizontal axis of integer values."""
    from matplotlib.ticker import MaxNLocator

    values = values[np.isfinite(values)]
    if np.all(values == np.round(values)):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _draw_means(
    ax: Axes, x: Array, y: Array, error: Array, look: dict[str, Any], label: str | None
) -> None:
    """Draw points with errors, and a line through the means of equal x."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y, error = x[known], y[known], error[known]
    places = np.unique(x)
    means = [y[x == place].mean() for place in places]
    ax.plot(places, means, **(look | {"marker": "None"}), label=label)
    if look["marker"] != "None":
        ax.errorbar(x, y, error, **(look | {"linestyle": "none"}), elinewidth=0.9)


def plot_heat_map(
    sweep: Rows, x: str, y: str, ax: Axes | None = None, *, cmap: str = "RdBu_r"
) -> Axes:
    """Plot the largest exponent over two columns; where several networks share both, their mean.

    Each value of the columns, of numbers or text, has a row or column of the map. ``cmap`` names
    its colours. Raises ValueError if there are no such columns, or no spectrum.
    """
    _finished(sweep)
    from matplotlib.colors import Normalize

    columns, rows, exponents = _values(sweep, x), _values(sweep, y), sweep.numbers("largest")
    if not (columns and rows):
        raise ValueError(f"no network has both {x} and {y}")
    ax = axes_of(ax, 5.4, 3.8)
    over_x, over_y = sweep.column(x), sweep.column(y)
    mean, most = np.full((len(rows), len(columns)), np.nan), 0
    for i, j in np.ndindex(mean.shape):
        here = (over_x == columns[j]) & (over_y == rows[i])
        found = exponents[here & np.isfinite(exponents)]
        if len(found):
            mean[i, j], most = found.mean(), max(most, len(found))
    largest = float(np.nanmax(np.abs(mean))) or 1.0
    ends = Normalize(-largest, largest)
    image = ax.imshow(mean, cmap=cmap, norm=ends, origin="lower", aspect="auto")
    for set_ticks, values in ((ax.set_xticks, columns), (ax.set_yticks, rows)):
        texts = [f"{value:g}" if isinstance(value, (int, float)) else value for value in values]
        every = -(-len(values) // MOST_TICKS)
        set_ticks(range(0, len(values), every), texts[::every])
    if max(mean.shape) <= MOST_CELLS:
        for (i, j), value in np.ndenumerate(mean):
            if np.isfinite(value):
                ink = "white" if abs(value) > 0.6 * largest else "black"
                text = f"{value:.2g}".replace("-", "−")
                ax.text(j, i, text, ha="center", va="center", color=ink, fontsize="small")
    name_axes(ax, x, y)
    of = r"$\lambda_1$" if most < 2 else rf"mean $\lambda_1$ of up to {most} networks"
    ax.figure.colorbar(image, ax=ax, label=f"{of} ({sweep.units})")
    return ax


def plot_metric(
    sweep: Rows, metric: str, feature: str = "largest", ax: Axes | None = None, *,
    color_by: str | None = None, color: Any = None, label: str | None = None, **style: Any,
) -> Axes:  # fmt: skip
    """Plot a column of numbers against one of `Sweep.features`, with its Pearson correlation.

    Raises ValueError if there is no such column, or no network has both.

    Parameters
    ----------
    sweep : Sweep
    metric, feature : str
        Column of numbers on the vertical axis, feature on the horizontal one.
    ax : matplotlib Axes, optional
        Those of a new figure by default.
    color_by : str, optional
        Column of numbers or text that colours the points.
    color, label : optional
        Of all points.
    **style
        Of the points, as for ``Axes.plot``.
    """
    y, features = sweep.numbers(metric), sweep.features()
    check_choice("feature", feature, features)
    x = features[feature]
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise ValueError(f"{metric}: no network has a finite value of it and of {feature}")
    codes = None if color_by is None else sweep.column(color_by)[known]
    ax = axes_of(ax, 4.6, 3.8)
    x, y = x[known], y[known]
    shades = [colour_of(ax, color)] * len(x) if codes is None else _coded(ax, color_by, codes)
    errors = np.zeros(len(x))
    if f"{feature}_error" in COLUMNS:
        errors = np.nan_to_num(sweep.numbers(f"{feature}_error"))[known]
    look = styled(style, marker="o", linestyle="none", markersize=4, alpha=0.7)
    for shade in dict.fromkeys(shades):
        here = [other == shade for other in shades]
        own: dict[str, Any] = {"xerr": errors[here], "elinewidth": 0.8, "label": label}
        ax.errorbar(x[here], y[here], **({"color": shade} | look), **own)
    name_axes(ax, _label(sweep, feature), metric)
    if label is not None:
        add_legend(ax)
    found = correlate(x, y)
    if len(x) >= FEWEST and np.isfinite(found.value):
        text = f"Pearson {found.value:.2f} ({found.low:.2f} to {found.high:.2f}), n = {len(x)}"
        _entitle(ax, text.replace("-", "−"))
    return ax


def _entitle(ax: Axes, text: str) -> None:
    """Put a text above the legend, or above the axes where there is none."""
    legend = ax.get_legend()
    if legend is None:
        ax.set_title(text, fontsize="small", color=GREY)
    else:
        small: Any = {"size": "small"}
        legend.set_title(text, prop=small)
        legend.get_title().set_color(GREY)


def plot_components(
    sweep: Rows, color_by: str | None = None, ax: Axes | None = None, *, length: int = LENGTH,
    color: Any = None, **style: Any,
) -> Axes:  # fmt: skip
    """Plot the first two principal components of the spectra, resampled to a common length.

    Networks with dead exponents (−∞) at these positions are left out. Raises ValueError if fewer
    than three are left, or there is no column ``color_by``.
    """
    table = sweep.resampled(length)
    known = np.isfinite(table).all(axis=1)
    if known.sum() < 3:
        found = f"need three spectra without dead exponents, not {known.sum()}"
        raise ValueError(f"components: {found}")
    codes = None if color_by is None else sweep.column(color_by)[known]
    ax = axes_of(ax, 4.8, 3.8)
    centred = table[known] - table[known].mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    # without the rounding of equal spectra
    sizes[sizes < 1e-12 * np.abs(table[known]).max()] = 0.0
    shares = np.append(sizes**2 / max(np.sum(sizes**2), np.finfo(float).tiny), 0.0)
    places = np.column_stack([left * sizes, np.zeros(len(left))])[:, :2]
    single = [colour_of(ax, color)] * len(places) if codes is None else None
    shades = single or _coded(ax, color_by, codes)
    look: dict[str, Any] = {"s": 26, "alpha": 0.9} | style
    ax.scatter(places[:, 0], places[:, 1], c=shades, **look)
    name_axes(ax, *(f"Component {i + 1} ({shares[i]:.0%} of the variance)" for i in (0, 1)))
    return ax


def plot_sweep(
    sweep: Rows, path: str | PathLike[str] | None = None, *, over: str | None = None,
    metric: str | None = None, between: tuple[str, str] | None = None, overwrite: bool = False,
) -> list[Axes]:  # fmt: skip
    """Draw one figure with all plots for which the sweep has columns, and return their axes.

    With a ``path`` (.png, .pdf or .svg) it is saved instead of shown. The column ``over`` colours
    the spectra, ``epoch`` where there is one; ``metric`` is compared with them; ``between`` are
    the columns of the map, by default the two others with the fewest values, but several, each
    shared by networks. Raises as the other plots, and OSError if the file cannot be written.
    """
    if path is not None:
        check_picture(path, overwrite=overwrite)
    _finished(sweep)
    over = "epoch" if over is None and "epoch" in sweep.metadata_names else over
    between = between or _hyperparameters(sweep, (over, metric))
    draw: list[Callable[[Axes], Axes]] = [lambda ax: plot_spectra(sweep, over, ax)]
    if between is not None:
        x, y = between
        draw.append(lambda ax: plot_heat_map(sweep, x, y, ax))
    if metric is not None:
        draw.append(lambda ax: plot_metric(sweep, metric, "largest", ax))
        if np.isfinite(sweep.features()["mean"]).any():
            draw.append(lambda ax: plot_metric(sweep, metric, "mean", ax))
    if np.isfinite(sweep.resampled(LENGTH)).all(axis=1).sum() > 2:
        draw.append(lambda ax: plot_components(sweep, metric or over, ax))
    lines, columns = (len(draw) + 1) // 2, min(len(draw), 2)
    figure = new_figure(5.2 * columns, 3.8 * lines, shown=path is None)
    drawn = [panel(figure.add_subplot(lines, columns, i)) for i, panel in enumerate(draw, 1)]
    if path is not None:
        save_picture(figure, path, overwrite=overwrite)
    return drawn


# by the names that `Sweep.plot` takes
KINDS: dict[str, Callable[..., Any]] = {
    "spectra": plot_spectra,
    "measure": plot_measure,
    "metric": plot_metric,
    "map": plot_heat_map,
    "components": plot_components,
    "summary": plot_sweep,
}


def _finished(sweep: Rows) -> Rows:
    """Return the rows with a result; raise ValueError if there are none."""
    found = type(sweep)([row for row in sweep if row.has_result])
    if not len(found):
        raise ValueError("the sweep has no spectrum; lyapy show reports why")
    return found


def _label(sweep: Rows, measure: str, per: str = "") -> str:
    """Return the name of a measure with its units, for an axis."""
    quantity = QUANTITIES.get(measure)
    label = quantity.label if quantity else ""
    label = label or ("number of positive exponents" if measure == "positive" else measure)
    unit = "" if quantity is None or quantity.units == "1" else f" ({sweep.units})"
    return f"{label[0].upper()}{label[1:]}{per}{unit}"


def _coded(ax: Axes, name: str | None, values: Array) -> list[Any]:
    """Return colours for the values, and show their meaning in a legend or a colour bar."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize
    from matplotlib.ticker import MaxNLocator

    numbers = values.dtype.kind in "fiu"
    known = np.isfinite(values) if numbers else values != ""
    distinct = np.unique(values[known])
    # the yellow end is hard to see on white
    map_ = ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.92, 256)))
    if numbers and len(distinct) > ENTRIES:
        scale = Normalize(distinct[0], distinct[-1])
        assert ax.figure is not None
        bar = ax.figure.colorbar(ScalarMappable(scale, map_), ax=ax, label=name or "")
        if np.all(distinct == np.round(distinct)):
            bar.locator = MaxNLocator(integer=True, min_n_ticks=1)
        return [
            tuple(map_(scale(value))) if ok else GREY
            for value, ok in zip(values, known, strict=True)
        ]
    shades = np.linspace(0.0, 1.0, max(len(distinct), 2))
    if numbers:
        codes: dict[Any, Any] = {
            value: tuple(map_(shade)) for value, shade in zip(distinct, shades, strict=False)
        }
    else:
        codes = {value: f"C{number % 10}" for number, value in enumerate(distinct)}
    for value, shade in codes.items():
        text = f"{value:g}" if numbers else str(value)
        ax.plot([], [], "o-", color=shade, ms=4, label=f"{name} = {text}" if name else text)
    if codes:
        add_legend(ax)
    return [codes.get(value, GREY) for value in values.tolist()]


def _hyperparameters(sweep: Rows, others: tuple[str | None, ...]) -> tuple[str, str] | None:
    counts = {n: len(_values(sweep, n)) for n in sweep.metadata_names if n not in others}
    shared = [name for name, count in counts.items() if 1 < count <= len(sweep) // 2]
    chosen = sorted(sorted(shared, key=counts.__getitem__)[:2])
    return (chosen[0], chosen[1]) if len(chosen) == 2 else None


def _values(sweep: Rows, name: str) -> list[Any]:
    """Return the values of a column among the rows with a result, sorted, each once."""
    column = sweep.column(name)
    has = np.array([row.has_result for row in sweep.rows])
    known = has & (column != "" if column.dtype.kind == "U" else np.isfinite(column))
    return list(np.unique(column[known]).tolist())
