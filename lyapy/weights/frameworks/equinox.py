"""Equinox's leaves without names (``.eqx``), by hint: weights, bias, and a GRU's ``bias_n``."""

from __future__ import annotations

from ..formats import Contents
from . import torch
from .layer import Hints, Stacks

__all__ = ["find_layers"]

FIELDS = ("weight_ih", "weight_hh", "bias", "bias_n")


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each cell among the leaves as a stack, by the place of its first leaf.

    A cell is recognised by successive shapes: (gn, m), (gn, n), then, unless it has no biases,
    (gn,) and for a GRU (n,).
    """
    leaves = list(contents.arrays.items())
    named = {}
    place = 0
    while place < len(leaves):
        count = _cell_leaves([array.shape for _, array in leaves[place : place + 4]])
        for field, (_, array) in zip(FIELDS, leaves[place : place + count], strict=False):
            named[f"{leaves[place][0]}.{field}"] = array
        place += max(count, 1)
    return torch.find_layers(Contents(named, {}), hints)


def _cell_leaves(shapes: list[tuple[int, ...]]) -> int:
    """Return how many of the leaves, from the first, belong to a cell."""
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
