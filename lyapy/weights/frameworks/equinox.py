"""Equinox's leaves without names (``.eqx``), by hint: weights, bias, and a GRU's ``bias_n``."""

from collections.abc import Iterable
from itertools import pairwise

from ..formats import Contents
from . import torch
from .layer import Hints, Stacks
from .readout import Readout, dense_layers

FIELDS = ("weight_ih", "weight_hh", "bias", "bias_n")


def find_layers(contents: Contents, hints: Hints) -> Stacks:
    """Return each cell among the leaves as a stack, by the place of its first leaf.

    A cell is recognised by successive shapes: (gn, m), (gn, n), then, unless it has no biases,
    (gn,) and for a GRU (n,).
    """
    names, leaves = list(contents.arrays), list(contents.arrays.values())
    found: Stacks = {}
    place = 0
    while place < len(leaves):
        count = _cell_leaves([leaf.shape for leaf in leaves[place : place + 4]])
        if count:
            fields = dict(zip(FIELDS, leaves[place : place + count], strict=False))
            ((layer,),) = torch.find_layers(Contents(fields, {}), hints).values()
            places = dict(zip(FIELDS, names[place : place + count], strict=False))
            layer.names = {role: places[name] for role, name in layer.names.items()}
            layer.others = set(places.values())
            found[f"{names[place]}."] = [layer]
        place += max(count, 1)
    return found


def find_readouts(contents: Contents, chosen: Stacks) -> Iterable[Readout]:
    """Yield the linear layers, each a weight (outputs, inputs) with the next leaf as its bias."""
    names = list(contents.arrays)
    biases = dict.fromkeys(names, "")
    for name, after in pairwise(names):
        if contents.arrays[after].shape == contents.arrays[name].shape[:1]:
            biases[name] = after
    return dense_layers(contents, biases, transposed=False)


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
