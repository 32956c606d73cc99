"""Equinox's leaves without names (``.eqx``), by hint: weights, bias, and a GRU's ``bias_n``."""

from __future__ import annotations

from ..formats import Contents
from .layer import Hints, Stacks
from .torch import find_layers as find_named

__all__ = ["find_layers"]

FIELDS = ("weight_ih", "weight_hh", "bias", "bias_n")


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return each cell among the leaves as a stack, by the place of its first leaf.

    Cells are recognised by their shapes in a row: (gn, m), (gn, n), then, unless the cell has no
    biases, (gn,) and for a GRU (n,).

    Raises
    ------
    WeightsError
        If shapes do not fit.
    """
    names, arrays = list(contents.arrays), list(contents.arrays.values())
    shapes = [array.shape for array in arrays]
    named = {}
    place = 0
    while place < len(arrays):
        count = _cell_leaves(shapes[place : place + 4])
        for field, array in zip(FIELDS, arrays[place : place + count], strict=False):
            named[f"{names[place]}.{field}"] = array
        place += max(count, 1)
    return find_named(path, Contents(named, {}), hints)


def _cell_leaves(shapes: list[tuple[int, ...]]) -> int:
    """Return how many of the leaves, from the first, make a cell."""
    if len(shapes) < 2 or len(shapes[0]) != 2 or len(shapes[1]) != 2:
        return 0
    (rows, _), (same, n) = shapes[:2]
    if rows != same or not n or rows not in (3 * n, 4 * n):
        return 0
    if shapes[2:3] != [(rows,)]:
        return 2
    if rows == 4 * n:
        return 3
    return 4 if shapes[3:] == [(n,)] else 0
