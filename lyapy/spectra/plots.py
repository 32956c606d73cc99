"""Plots of a spectrum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from .figures import BLUE, GREY, RED, check_picture, name_axes, new_figure, save_picture
from .spectrum import Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_convergence", "plot_finite_time", "plot_spectrum", "plot_summary"]

# beyond this, single markers merge into a line
MANY = 48
CURVES = 8
# a tail this much deeper than the leading quarter hides whether that is above zero
DEEP_TAIL = 5.0
# right and upper end of the inset with its title, in the axes' own units
INSET_RIGHT = 0.56
INSET_TOP = 0.64
DECADE = 10
# below, an error is rounding, as on a periodic orbit
NO_ERROR = 1e-7


def plot_spectrum(spectrum: Spectrum, axes: Axes | None = None) -> Axes:
    """Plot the exponents against their index, with standard errors.

    Dead directions (−∞) are crosses at the lower edge, upper bounds open triangles that point down.
    Where the tail would flatten the leading quarter, an inset shows it.

    Parameters
    ----------
    spectrum : Spectrum
    axes : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Axes
        ``axes.figure.savefig("spectrum.pdf")`` saves it.

    Raises
    ------
    ModuleNotFoundError
        Without matplotlib.
    """
    _check(spectrum)
    axes = new_figure(5.4, 3.8).subplots() if axes is None else axes
    from matplotlib.ticker import MaxNLocator

    count = len(spectrum.exponents)
    _draw_exponents(axes, spectrum, count)
    dead = np.flatnonzero(np.isneginf(spectrum.exponents)) + 1
    if len(dead):
        axes.margins(y=0.1)
        place = axes.get_xaxis_transform()
        height = np.full(len(dead), 0.025)
        axes.plot(dead, height, "x", color=RED, ms=4, label="dead: −∞", transform=place)
    axes.set_xlim(0.8 - 0.03 * count, 1.03 * count + 0.2)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    name_axes(axes, "Index $i$", rf"Exponent $\lambda_i$ ({spectrum.units})")
    if len(axes.get_legend_handles_labels()[0]) > 1:
        # above, as exponents can be anywhere
        style: dict[str, Any] = {"frameon": False, "fontsize": "small", "columnspacing": 1.2}
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, **style)
    if _has_deep_tail(spectrum):
        _draw_inset(axes, spectrum, count // 4)
    return axes


def plot_convergence(spectrum: Spectrum, axes: Axes | None = None) -> Axes:
    """Plot running means of the exponents against the counted steps.

    Of more than eight exponents, eight of the leading quarter are shown, evenly spaced. The legend
    has the final values with their standard errors.

    Parameters
    ----------
    spectrum : Spectrum
    axes : matplotlib Axes, optional
        Those of a new figure by default.
    """
    _check(spectrum)
    axes = new_figure(6.4, 3.8).subplots() if axes is None else axes
    from matplotlib import colormaps
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    shown = _shown_curves(spectrum.exponents)
    steps, history = spectrum.growth_steps, spectrum.convergence()
    axes.axhline(0.0, color=GREY, lw=0.8, zorder=0)
    for i, shade in zip(shown, np.linspace(0.0, 0.88, len(shown)), strict=True):
        colour = colormaps["viridis"](shade)
        axes.plot(steps, history[:, i], color=colour, lw=1.3)
        value, error = spectrum.exponents[i], spectrum.standard_error[i]
        axes.errorbar(
            steps[-1], value, np.nan_to_num(error), color=colour, fmt="o", ms=3.5, clip_on=False,
            label=f"$\\lambda_{{{i + 1}}}$ = {_with_error(value, error)}",
        )  # fmt: skip
    if len(steps) > 1:
        axes.set_xlim(steps[0], steps[-1])
    if steps[-1] > DECADE * steps[0]:
        axes.set_xscale("log")
        few = steps[-1] < 50 * steps[0]
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    name_axes(axes, "Counted steps", rf"Running mean of $\lambda_i$ ({spectrum.units})")
    if len(shown):
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize="small")
    return axes


def plot_finite_time(
    spectrum: Spectrum,
    window: int,
    axes: Axes | None = None,
    *,
    indices: Sequence[int] = (1, 2, 3),
) -> Axes:
    """Plot histograms of finite-time exponents, as densities, with their means.

    Parameters
    ----------
    spectrum : Spectrum
    window : int
        Steps, as in `Spectrum.finite_time_exponents`.
    axes : matplotlib Axes, optional
        Those of a new figure by default.
    indices : sequence of int
        Which exponents, counted from 1; those beyond the spectrum are left out.

    Raises
    ------
    ValueError
        If the window does not fit, or none of the exponents is finite.
    """
    _check(spectrum)
    found = spectrum.finite_time_exponents(window)
    finite = np.isfinite(found).all(axis=(0, 1))
    shown = [i - 1 for i in indices if 1 <= i <= len(finite) and finite[i - 1]]
    if not shown:
        raise ValueError(f"indices is {tuple(indices)}; none of these exponents is finite")
    axes = new_figure(5.4, 3.8).subplots() if axes is None else axes
    from matplotlib import colormaps

    for i, shade in zip(shown, np.linspace(0.0, 0.75, len(shown)), strict=True):
        colour = colormaps["viridis"](shade)
        values = found[:, :, i].ravel()
        style: dict[str, Any] = {"bins": _bins(values), "density": True, "histtype": "stepfilled"}
        label = f"$\\lambda_{{{i + 1}}}$, standard deviation {values.std():.2g}"
        axes.hist(values, color=colour, alpha=0.45, label=label, **style)
        axes.axvline(values.mean(), color=colour, lw=1.3)
    name_axes(axes, f"Exponent over {window} steps ({spectrum.units})", "Density")
    # above, as histograms can be anywhere
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, fontsize="small")
    return axes


def plot_summary(spectrum: Spectrum, path: str | PathLike[str], *, overwrite: bool = False) -> None:
    """Save one figure with the spectrum and the convergence of its exponents.

    Parameters
    ----------
    spectrum : Spectrum
    path : str or path
        With the suffix .png, .pdf or .svg.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ValueError
        If the suffix is another.
    OSError
        If the file exists and ``overwrite`` is False, or cannot be written.
    """
    check_picture(path, overwrite=overwrite)
    figure = new_figure(10.5, 4.0)
    left, right = figure.subplots(1, 2)
    plot_spectrum(spectrum, left)
    plot_convergence(spectrum, right)
    save_picture(figure, path, overwrite=overwrite)


def _check(spectrum: Any) -> None:
    if not isinstance(spectrum, Spectrum):
        raise TypeError(
            f"spectrum is a {type(spectrum).__name__}; give a lyapy.Spectrum, of lyapunov_spectrum "
            "or Spectrum.load; exponents alone are drawn by matplotlib's plot"
        )


def _draw_exponents(axes: Axes, spectrum: Spectrum, count: int) -> None:
    """Draw the leading ``count`` exponents that are finite."""
    index = np.arange(1, count + 1)
    values = np.where(np.isfinite(spectrum.exponents), spectrum.exponents, np.nan)[:count]
    sound = np.where(spectrum.bounded[:count], np.nan, values)
    errors = np.where(np.isnan(sound), np.nan, spectrum.standard_error[:count])
    axes.axhline(0.0, color=GREY, lw=0.8, zorder=0)
    label = "± standard error" if np.isfinite(errors).any() else None
    if count > MANY:
        axes.plot(index, sound, color=BLUE, lw=1.6)
        low, high = sound - errors, sound + errors
        axes.fill_between(index, low, high, color=BLUE, alpha=0.3, lw=0, label=label)
    else:
        axes.plot(index, sound, color=BLUE, lw=0.6, alpha=0.5)
        size = 4 if count <= MANY // 2 else 2.5
        style: dict[str, Any] = {"fmt": "o", "ms": size, "elinewidth": 1.2, "capsize": size / 2}
        axes.errorbar(index, sound, np.nan_to_num(errors), color=BLUE, label=label, **style)
    bounds = spectrum.bounded[:count]
    if bounds.any():
        style = {"color": RED, "mfc": "none", "ms": 4, "mew": 0.9}
        text = "not resolved: upper bound"
        axes.plot(index[bounds], values[bounds], "v", label=text, **style)


def _has_deep_tail(spectrum: Spectrum) -> bool:
    finite = spectrum.exponents[np.isfinite(spectrum.exponents)]
    quarter = len(spectrum.exponents) // 4
    if quarter < CURVES or len(finite) <= quarter:
        return False
    # the inset must not lie on the curve, which passes above its right corner
    bottom, top = finite[-1], max(finite[0], 0.0)
    clear = finite[int(INSET_RIGHT * len(finite))] - bottom > INSET_TOP * (top - bottom)
    return bool(clear and finite[0] - bottom > DEEP_TAIL * (finite[0] - finite[quarter - 1]))


def _draw_inset(axes: Axes, spectrum: Spectrum, count: int) -> None:
    inset = axes.inset_axes((0.14, 0.13, INSET_RIGHT - 0.14, INSET_TOP - 0.22))
    _draw_exponents(inset, spectrum, count)
    inset.tick_params(labelsize="x-small")
    inset.set_title("leading quarter", fontsize="small", color=GREY, pad=3)
    inset.spines[["top", "right"]].set_visible(False)


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
