"""Equinox's leaves without names (``.eqx``), by hint: weights, bias, and a GRU's ``bias_n``."""

from __future__ import annotations

from ..formats import Contents
from .layer import Hints, Stacks
from .torch import find_layers as find_named

__all__ = ["find_layers"]

FIELDS = ("weight_ih", "weight_hh", "bias", "bias_n")


def find_layers(path: str, contents: Contents, hints: Hints) -> Stacks:
    """Return each cell among the leaves as a stack, by the place of its first leaf.

    Cells are recognised by their shapes in a row: (gn, m), (gn, n), (gn,) and for a GRU (n,).

    Raises
    ------
    WeightsError
        If shapes do not fit.
    """
    arrays = list(contents.arrays.values())
    names = list(contents.arrays)
    named = {}
    for i in range(len(arrays) - 2):
        W, U, b = (a.shape for a in arrays[i : i + 3])
        if len(W) == len(U) == 2 and W[0] == U[0] and b == (U[0],):
            n = U[1]
            last = 4 if U[0] == 3 * n and i + 3 < len(arrays) and arrays[i + 3].shape == (n,) else 3
            if n and (U[0] == 4 * n or last == 4):
                for field, array in zip(FIELDS[:last], arrays[i : i + last], strict=True):
                    named[f"{names[i]}.{field}"] = array
    return find_named(path, Contents(named, {}), hints)
