"""The plot of fixed points: eigenvalues in the plane, points in that of a trajectory."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array, as_real
from ..spectra.figures import (
    BLUE,
    GREY,
    RED,
    check_picture,
    name_axes,
    new_figure,
    save_picture,
)
from .result import FixedPoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# as stable, unstable and slow
COLOURS = {"stable": BLUE, "unstable": RED, "slow": GREY}


def plot_fixed_points(
    points: FixedPoints,
    trajectory: Any = None,
    path: str | PathLike[str] | None = None,
    *,
    overwrite: bool = False,
) -> Figure:
    """Plot eigenvalues in the complex plane, and the points in the plane of a trajectory.

    Parameters
    ----------
    points : FixedPoints
    trajectory : array (T, D), optional
        States whose first two principal components are the axes of the second panel; without
        them, those of the points.
    path : path, optional
        A .png, .pdf or .svg file to write.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no point, or the trajectory does not fit.
    ModuleNotFoundError
        Without matplotlib.
    """
    if not len(points):
        raise ValueError("points is empty; give more starts to lyapy.fixed_points")
    D = points.cycles.shape[-1]
    states = points.cycles.reshape(-1, D)
    path_states = states if trajectory is None else as_real("trajectory", trajectory)
    if path_states.ndim != 2 or path_states.shape[1] != D:
        raise ValueError(f"trajectory has shape {path_states.shape}; it must be (T, {D})")
    if path is not None:
        check_picture(path, overwrite=overwrite)
    figure = new_figure(9.0, 4.2)
    left, right = figure.subplots(1, 2)
    kinds = [
        "slow" if label == "slow" else "unstable" if unstable else "stable"
        for label, unstable in zip(points.labels, points.unstable, strict=True)
    ]
    _draw_eigenvalues(left, points, kinds)
    centre, axes = _principal_plane(path_states)
    if trajectory is not None:
        right.plot(*((path_states - centre) @ axes).T, ".", ms=2, color=GREY, zorder=0)
    for cycle, kind in zip(points.cycles, kinds, strict=True):
        right.plot(*((cycle - centre) @ axes).T, "o", ms=5, color=COLOURS[kind])
    name_axes(right, "First principal component", "Second principal component")
    if path is not None:
        save_picture(figure, path, overwrite=overwrite)
    return figure


def _draw_eigenvalues(axes: Axes, points: FixedPoints, kinds: list[str]) -> None:
    circle = np.exp(2j * np.pi * np.linspace(0.0, 1.0, 200))
    axes.plot(circle.real, circle.imag, color=GREY, lw=0.8, zorder=0)
    for kind in dict.fromkeys(kinds):
        values = points.eigenvalues[np.array(kinds) == kind].ravel()
        axes.plot(values.real, values.imag, "o", ms=3, color=COLOURS[kind], label=kind)
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(frameon=False, fontsize="small")
    of = "eigenvalue" if points.period == 1 else "eigenvalue of a period"
    name_axes(axes, f"Real part of the {of}", "Imaginary part")


def _principal_plane(states: Array) -> tuple[Array, Array]:
    """Return the mean and the first two principal axes (D, 2), the second zero where D is 1."""
    centre = states.mean(axis=0)
    axes = np.linalg.svd(states - centre, full_matrices=False)[2][:2].T
    return centre, np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
