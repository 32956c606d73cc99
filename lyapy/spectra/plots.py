"""Plots of a spectrum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import Array
from .exponents import Exponents
from .figures import (
    GREY,
    add_legend,
    axes_of,
    check_picture,
    colour_of,
    draw_zero,
    name_axes,
    new_figure,
    once,
    save_picture,
    styled,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# beyond this, single markers merge into a line
MANY = 48
CURVES = 8
# a tail this much deeper than the leading quarter hides whether that is above zero
DEEP_TAIL = 5.0
# right and upper end of the inset with its title, in the axes' own units
INSET_RIGHT = 0.56
INSET_TOP = 0.64
INSET = "leading quarter"
DECADE = 10
# below, an error is rounding, as on a periodic orbit
NO_ERROR = 1e-7


def plot_spectrum(
    spectrum: Exponents, ax: Axes | None = None, *, relative: bool = False,
    inset: bool | None = None, color: Any = None, label: str | None = None, **style: Any,
) -> Axes:  # fmt: skip
    """Plot the exponents against their index, with standard errors.

    Dead directions (−∞) are crosses at the lower edge, upper bounds open triangles that point down.
    Spectra drawn into the same axes have different colours and, with a label, an entry each in the
    legend.

    Parameters
    ----------
    spectrum : Spectrum
    ax : matplotlib Axes, optional
        Those of a new figure by default.
    relative : bool
        Place the i-th exponent at (i − 1/2)/D, to compare networks of different size.
    inset : bool, optional
        Show the leading quarter in an inset where the tail would flatten it; by default only in a
        new figure.
    color, label : optional
        The next colour of the axes, and no label.
    **style
        Of the curve, as for ``Axes.plot``.

    Returns
    -------
    Axes
        ``ax.figure.savefig("spectrum.pdf")`` saves it.

    Raises
    ------
    ModuleNotFoundError
        Without matplotlib.
    """
    _check(spectrum)
    inset = ax is None if inset is None else inset
    if ax is not None:
        for child in [child for child in ax.child_axes if child.get_gid() == INSET]:
            child.remove()
    ax = axes_of(ax, 5.4, 3.8)
    curve = _Curve(spectrum, relative, colour_of(ax, color), label, style)
    curve.draw(ax, len(spectrum.exponents))
    dead = np.isneginf(spectrum.exponents)
    if dead.any():
        ax.margins(y=0.1)
        place: dict[str, Any] = {
            "transform": ax.get_xaxis_transform(),
            "label": once(ax, "dead: −∞"),
        }
        height = np.full(np.count_nonzero(dead), 0.025)
        ax.plot(curve.places[dead], height, "x", color=curve.colour, ms=4, **place)
    ax.margins(x=0.03)
    name_places(ax, relative)
    ax.set_ylabel(rf"Exponent $\lambda_i$ ({spectrum.units})")
    if label is not None or len(ax.get_legend_handles_labels()[0]) > 1:
        add_legend(ax)
    if inset and _has_deep_tail(spectrum):
        _draw_inset(ax, curve, len(spectrum.exponents) // 4)
    return ax


def name_places(ax: Axes, relative: bool) -> None:
    """Name the axis of the exponents' indices, or relative positions."""
    from matplotlib.ticker import MaxNLocator

    if not relative:
        ticks = MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
        ax.xaxis.set_major_locator(ticks)
    name_axes(ax, "Position in the spectrum $(i - 1/2)/D$" if relative else "Index $i$", "")


def places_of(count: int, state_size: int, relative: bool) -> Array:
    """Return the indices (count,) of exponents, or their relative positions."""
    index = np.arange(1, count + 1)
    return (index - 0.5) / state_size if relative else index


def plot_convergence(
    spectrum: Exponents, ax: Axes | None = None, *, indices: Sequence[int] | None = None,
    color: Any = None, label: str | None = None, **style: Any,
) -> Axes:  # fmt: skip
    """Plot running means of the exponents against the counted steps, or against time with ``dt``.

    The legend has the final values with their standard errors.

    Parameters
    ----------
    spectrum : Spectrum
    ax : matplotlib Axes, optional
        Those of a new figure by default.
    indices : sequence of int, optional
        Which exponents, counted from 1; by default eight of the leading quarter, evenly spaced.
    color : optional
        Of all curves; by default shades from the first to the last.
    label : str, optional
        Put before each entry of the legend.
    **style
        Of the curves, as for ``Axes.plot``.
    """
    _check(spectrum)
    ax = axes_of(ax, 6.4, 3.8)
    from matplotlib import colormaps
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    shown = _shown_curves(spectrum.exponents) if indices is None else _chosen(spectrum, indices)
    times, history = spectrum.growth_steps * spectrum.dt, spectrum.convergence()
    draw_zero(ax)
    for i, shade in zip(shown, np.linspace(0.0, 0.88, len(shown)), strict=True):
        colour = colormaps["viridis"](shade) if color is None else color
        ax.plot(times, history[:, i], **styled(style, color=colour, linewidth=1.3))
        value, error = spectrum.exponents[i], spectrum.standard_error[i]
        before = "" if label is None else f"{label}: "
        ax.errorbar(
            times[-1], value, np.nan_to_num(error), color=colour, fmt="o", ms=3.5, clip_on=False,
            label=f"{before}$\\lambda_{{{i + 1}}}$ = {_with_error(value, error)}",
        )  # fmt: skip
    ax.margins(x=0.0)
    if times[-1] > DECADE * times[0]:
        ax.set_xscale("log")
        few = times[-1] < 50 * times[0]
        ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:.12g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    time = "Counted steps" if spectrum.time == "step" else "Time"
    name_axes(ax, time, rf"Running mean of $\lambda_i$ ({spectrum.units})")
    if len(shown):
        ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize="small")
    return ax


def plot_finite_time(
    spectrum: Exponents, window: int, ax: Axes | None = None, *,
    indices: Sequence[int] = (1, 2, 3), color: Any = None, label: str | None = None, **style: Any,
) -> Axes:  # fmt: skip
    """Plot histograms of finite-time exponents, as densities, with their means.

    Parameters
    ----------
    spectrum : Spectrum
    window : int
        Steps, as in `Spectrum.finite_time_exponents`.
    ax : matplotlib Axes, optional
        Those of a new figure by default.
    indices : sequence of int
        Which exponents, counted from 1; those beyond the spectrum are left out.
    color : optional
        Of all histograms; by default shades from the first to the last.
    label : str, optional
        Put before each entry of the legend.
    **style
        Of the histograms, as for ``Axes.hist``.

    Raises
    ------
    ValueError
        If the window does not fit, or none of the exponents is finite.
    """
    _check(spectrum)
    found = spectrum.finite_time_exponents(window)
    shown = [i for i in _chosen(spectrum, indices) if np.isfinite(found[:, :, i]).all()]
    if not shown:
        raise ValueError(f"indices is {tuple(indices)}; none of these exponents is finite")
    ax = axes_of(ax, 5.4, 3.8)
    from matplotlib import colormaps

    for i, shade in zip(shown, np.linspace(0.0, 0.75, len(shown)), strict=True):
        colour = colormaps["viridis"](shade) if color is None else color
        values = found[:, :, i].ravel()
        before = "" if label is None else f"{label}: "
        text = f"{before}$\\lambda_{{{i + 1}}}$, standard deviation {values.std():.2g}"
        defaults = {"bins": _bins(values), "density": True, "histtype": "stepfilled", "alpha": 0.45}
        ax.hist(values, **(defaults | style), color=colour, label=text)
        ax.axvline(values.mean(), color=colour, lw=1.3)
    over = f"{window} steps" if spectrum.time == "step" else f"a time of {window * spectrum.dt:g}"
    name_axes(ax, f"Exponent over {over} ({spectrum.units})", "Density")
    add_legend(ax)
    return ax


def plot_summary(
    spectrum: Exponents, path: str | PathLike[str] | None = None, *, overwrite: bool = False
) -> tuple[Axes, Axes]:
    """Plot the spectrum next to the convergence of its exponents, in a new figure.

    Parameters
    ----------
    spectrum : Spectrum
    path : str or path, optional
        Save it here instead of showing it, with the suffix .png, .pdf or .svg.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    (Axes, Axes)

    Raises
    ------
    ValueError
        If the suffix is another.
    OSError
        If the file exists and ``overwrite`` is False, or cannot be written.
    """
    _check(spectrum)
    if path is not None:
        check_picture(path, overwrite=overwrite)
    figure = new_figure(10.5, 4.0, shown=path is None)
    left, right = figure.subplots(1, 2)
    plot_spectrum(spectrum, left, inset=True)
    plot_convergence(spectrum, right)
    if path is not None:
        save_picture(figure, path, overwrite=overwrite)
    return left, right


# by the names that `Spectrum.plot` takes
KINDS: dict[str, Callable[..., Any]] = {
    "spectrum": plot_spectrum,
    "convergence": plot_convergence,
    "finite_time": plot_finite_time,
    "summary": plot_summary,
}


def _check(spectrum: Any) -> None:
    if not isinstance(spectrum, Exponents):
        raise TypeError(
            f"spectrum is a {type(spectrum).__name__}; give a lyapy.Spectrum, of lyapunov_spectrum "
            "or Spectrum.load; exponents alone are drawn by matplotlib's plot"
        )


class _Curve(NamedTuple):
    """A spectrum in its colour and style."""

    spectrum: Exponents
    relative: bool
    colour: Any
    label: str | None
    style: dict[str, Any]

    @property
    def places(self) -> Array:
        spectrum = self.spectrum
        return places_of(len(spectrum.exponents), spectrum.state_size, self.relative)

    def draw(self, ax: Axes, count: int) -> None:
        """Draw the leading ``count`` exponents that are finite."""
        spectrum, places = self.spectrum, self.places[:count]
        exponents, bounds = spectrum.exponents[:count], spectrum.bounded[:count]
        values = np.where(np.isfinite(exponents), exponents, np.nan)
        sound = np.where(bounds, np.nan, values)
        errors = np.where(np.isnan(sound), np.nan, spectrum.standard_error[:count])
        draw_zero(ax)
        own = once(ax, "± standard error") if np.isfinite(errors).any() else None
        if count > MANY:
            style = styled(self.style, color=self.colour, linewidth=1.6, label=self.label)
            ax.plot(places, sound, **style)
            band: dict[str, Any] = {"color": self.colour, "alpha": 0.3, "lw": 0}
            text = own if self.label is None else None
            ax.fill_between(places, sound - errors, sound + errors, **band, label=text)
        else:
            size = 4 if count <= MANY // 2 else 2.5
            style = styled(
                self.style, color=self.colour, linewidth=0.6, marker="o", markersize=size
            )
            style |= {"elinewidth": 1.2, "capsize": size / 2, "label": None if self.label else own}
            drawn = ax.errorbar(places, sound, np.nan_to_num(errors), **style)
            if self.label is not None:
                # lines are in the legend in the order of drawing, error bars after all lines
                drawn.lines[0].set_label(self.label)
        if bounds.any():
            text = once(ax, "not resolved: upper bound")
            style = {"color": self.colour, "mfc": "none", "ms": 4, "mew": 0.9, "label": text}
            ax.plot(places[bounds], values[bounds], "v", **style)


def _has_deep_tail(spectrum: Exponents) -> bool:
    finite = spectrum.exponents[np.isfinite(spectrum.exponents)]
    quarter = len(spectrum.exponents) // 4
    if quarter < CURVES or len(finite) <= quarter:
        return False
    # the inset must not lie on the curve, which passes above its right corner
    bottom, top = finite[-1], max(finite[0], 0.0)
    clear = finite[int(INSET_RIGHT * len(finite))] - bottom > INSET_TOP * (top - bottom)
    return bool(clear and finite[0] - bottom > DEEP_TAIL * (finite[0] - finite[quarter - 1]))


def _draw_inset(ax: Axes, curve: _Curve, count: int) -> None:
    inset = ax.inset_axes((0.14, 0.13, INSET_RIGHT - 0.14, INSET_TOP - 0.22), gid=INSET)
    curve.draw(inset, count)
    inset.tick_params(labelsize="x-small")
    inset.set_title(INSET, fontsize="small", color=GREY, pad=3)
    inset.spines[["top", "right"]].set_visible(False)


def _chosen(spectrum: Exponents, indices: Sequence[int]) -> list[int]:
    return [i - 1 for i in indices if 1 <= i <= len(spectrum.exponents)]


def _shown_curves(exponents: Array) -> Array:
    finite = np.flatnonzero(np.isfinite(exponents))
    if len(finite) <= CURVES:
        return finite
    last = max(len(exponents) // 4, CURVES)
    return np.unique(np.linspace(0, min(last, len(finite)) - 1, CURVES).round().astype(int))


def _bins(values: Array) -> Array:
    """Return the edges of a histogram's bins, about the square root of the values in number."""
    low, high = float(values.min()), float(values.max())
    # the same values throughout, but for rounding
    if high - low <= NO_ERROR:
        low, high = low - NO_ERROR, high + NO_ERROR
    return np.linspace(low, high, min(max(math.isqrt(len(values)), 4), 60) + 1)


def _with_error(value: float, error: float) -> str:
    if not error > NO_ERROR:
        return f"{value:.6g}".replace("-", "−")
    decimals = max(1 - math.floor(math.log10(error)), 0)
    return f"{value:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")
