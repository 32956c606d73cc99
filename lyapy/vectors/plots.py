"""Plots of covariant vectors: histograms of angles, and vectors as an image over the units."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..spectra.figures import axes_of, check_picture, name_axes, new_figure, save_picture
from .result import CovariantVectors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 45


def plot_angles(found: CovariantVectors, j: Any = None, ax: Axes | None = None) -> Axes:
    """Plot histograms of the least angles between the first j vectors' span and that of the others.

    Parameters
    ----------
    found : CovariantVectors
    j : int or sequence of int, optional
        1 by default.
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Axes
    """
    ax = axes_of(ax, 5.4, 3.8)
    for number in np.atleast_1d(1 if j is None else j).tolist():
        degrees = np.degrees(found.splitting_angle(number))
        degrees = degrees[np.isfinite(degrees)]
        label = f"first {number} and the others" if number > 1 else "first and the others"
        ax.hist(degrees, BINS, range=(0.0, 90.0), histtype="step", density=True, label=label)
    name_axes(ax, "Least angle (degrees)", "Density")
    ax.set_xlim(0.0, 90.0)
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_vectors(found: CovariantVectors, ax: Axes | None = None) -> Axes:
    """Plot the mean squared entries of each vector as an image, coordinates against vectors.

    A row of the image sums to 1: bright coordinates carry the vector.

    Parameters
    ----------
    found : CovariantVectors
    ax : matplotlib Axes, optional
        Those of a new figure by default.

    Returns
    -------
    Axes
    """
    ax = axes_of(ax, 6.4, 3.8)
    squares, known = found.vectors**2, found.converged[..., None]
    counts = np.maximum(known.sum(axis=0), 1)
    shares = np.where(known, squares, 0.0).sum(axis=0) / counts
    shares[~known.any(axis=(0, 2))] = np.nan
    from matplotlib.colors import PowerNorm

    # small entries show, too
    norm = PowerNorm(0.5, 0.0, 1.0)
    image = ax.imshow(shares, aspect="auto", cmap="magma", norm=norm, interpolation="nearest")
    figure: Any = ax.figure
    figure.colorbar(image, ax=ax, label="Mean squared entry")
    name_axes(ax, "Coordinate of the state", "Vector, from 0")
    return ax


def plot_vectors_summary(
    found: CovariantVectors, path: str | PathLike[str], *, overwrite: bool = False
) -> None:
    """Save one figure with the vectors as an image and a histogram of angles.

    Parameters
    ----------
    found : CovariantVectors
    path : str or path
        With the suffix .png, .pdf or .svg.
    overwrite : bool
        Replace a file that exists.
    """
    check_picture(path, overwrite=overwrite)
    figure = new_figure(10.5, 4.0)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    plot_vectors(found, left)
    if len(found.exponents) > 1:
        plot_angles(found, sorted({1, len(found.exponents) // 2}), right)
    save_picture(figure, path, overwrite=overwrite)
