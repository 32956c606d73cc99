"""Colours, figures and labels of all plots, and their files."""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..storage.atomic import check_output, write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREY = "#1f5fa8", "#c0392b", "#8a8a8a"
ZERO = "zero"
SUFFIXES = (".png", ".pdf", ".svg")


def new_figure(width: float, height: float, *, shown: bool = False) -> Figure:
    """Return a figure of this size in inches; raise ModuleNotFoundError without matplotlib.

    One that is ``shown`` is pyplot's: notebooks show it, and ``plt.show()`` opens a window.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "plots need matplotlib, which is not installed; python -m pip install 'lyapy[plot]'"
        ) from None
    if not shown:
        return Figure(figsize=(width, height), layout="constrained")
    from matplotlib import pyplot

    return pyplot.figure(figsize=(width, height), layout="constrained")


def axes_of(ax: Axes | None, width: float, height: float) -> Axes:
    """Return ``ax``, or the axes of a new figure that is shown."""
    return new_figure(width, height, shown=True).subplots() if ax is None else ax


def colour_of(ax: Axes, color: Any) -> Any:
    """Return ``color``, or the next one of the axes' cycle."""
    if color is not None:
        return color
    (line,) = ax.plot([], [])
    line.remove()
    return line.get_color()


def styled(style: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Return matplotlib's keywords of a line, by their full names, over the defaults."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return defaults | normalize_kwargs(style, Line2D)


def draw_zero(ax: Axes) -> None:
    """Draw a line at an exponent of zero, unless the axes have one."""
    if not any(line.get_gid() == ZERO for line in ax.get_lines()):
        ax.axhline(0.0, color=GREY, lw=0.8, zorder=0, gid=ZERO)


def once(ax: Axes, label: str) -> str | None:
    """Return the label unless the legend has it."""
    return None if label in ax.get_legend_handles_labels()[1] else label


def add_legend(ax: Axes) -> None:
    """Put the legend above the axes, as curves and points can be anywhere in them."""
    style: dict[str, Any] = {"frameon": False, "fontsize": "small", "columnspacing": 1.2}
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, **style)


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
    contents = picture_bytes(figure, Path(path).suffix[1:].lower(), 200)
    write_whole(path, contents, overwrite=overwrite)


def picture_bytes(figure: Figure, form: str, dpi: int) -> bytes:
    """Return a figure as a file of the format."""
    memory = io.BytesIO()
    figure.savefig(memory, format=form, dpi=dpi)
    return memory.getvalue()


def name_axes(axes: Axes, x: str, y: str) -> None:
    """Name the axes, and leave out the upper and the right line."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
