"""Colours, figures and labels of all plots, and their files."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ..storage.atomic import check_output, write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BLUE", "GREY", "RED", "check_picture", "name_axes", "new_figure", "save_picture"]

BLUE, RED, GREY = "#1f5fa8", "#c0392b", "#8a8a8a"
SUFFIXES = (".png", ".pdf", ".svg")


def new_figure(width: float, height: float) -> Figure:
    """Return a figure of this size in inches; raise ModuleNotFoundError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "plots need matplotlib, which is not installed; python -m pip install 'lyapy[plot]'"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def check_picture(path: str | PathLike[str], *, overwrite: bool) -> None:
    """Raise an error unless `save_picture` can write the file.

    ValueError for an unsupported suffix, OSError as `lyapy.storage.atomic.check_output`.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path}: unsupported type of plot file; give one of {', '.join(SUFFIXES)}"
        )
    check_output(path, overwrite=overwrite)


def save_picture(figure: Figure, path: str | PathLike[str], *, overwrite: bool) -> None:
    """Write a figure in the format of the file's suffix."""
    memory = io.BytesIO()
    figure.savefig(memory, format=Path(path).suffix[1:].lower(), dpi=200)
    write_whole(path, memory.getvalue(), overwrite=overwrite)


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Name the axes, and leave out the upper and the right line."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
