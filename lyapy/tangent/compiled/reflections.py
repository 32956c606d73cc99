"""Householder's QR of rows, with the size of the rounding in every entry.

A reflector x − v (τ vᵀx) leaves rounding in entry d of x in proportion to v_d w, with w = τ vᵀx.
The sizes |v_d w| are added up while the reflectors are applied, to the image and to the unit
vectors of which the frame is made. Where a frame hardly mixes the units, most of them are far
smaller than the norms of the map's rows, which bound them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from .jit import compiled, inlined
from .products import address
from .simd.row_tiles import reflect_tile
from .simd.vectors import LANES

__all__ = ["Workspace", "factor", "workspace"]

_REFLECT = reflect_tile()


class Workspace(NamedTuple):
    """Reflectors v, which begin with zeros and a one, their τ, the current row, its rounding."""

    reflectors: Array
    factors: Array
    row: Array
    sizes: Array
    signs: Array


def workspace(k: int, D: int) -> Workspace:
    """Return the workspace of k rows of D numbers, in whole vectors of the processor."""
    width = -(-D // LANES) * LANES
    return Workspace(
        np.zeros((k, width)), np.empty(k), np.empty(width), np.empty(width), np.empty(k)
    )


def _factor(
    image: Array,
    order: Array,
    memory: Workspace,
    upper: Array,
    frame: Array,
    in_image: Array,
    in_frame: Array,
) -> None:
    """Orthonormalize the rows of ``image`` (k, D) with its columns taken in ``order`` (D,).

    Written are R, ``upper`` (k, k), with a diagonal that is not negative, the ``frame`` (k, D),
    and the sizes of the rounding in both, (k, D), over the roundoff.
    """
    k = len(image)
    reflectors, factors, row, sizes, signs = memory
    for j in range(k):
        row[:], sizes[:] = 0.0, 0.0
        for d in range(len(order)):
            row[d] = image[j, order[d]]
            sizes[d] = abs(row[d])
        for m in range(j):
            _apply(m, memory)
        factors[j] = _reflector(row[j:], reflectors[j, j:])
        _apply(j, memory)
        signs[j] = -1.0 if row[j] < 0.0 else 1.0
        for i in range(k):
            upper[i, j] = signs[i] * row[i] if i <= j else 0.0
        _unsort(sizes, order, in_image[j])
    for j in range(k):
        row[:], sizes[:] = 0.0, 0.0
        row[j] = signs[j]
        for m in range(j, -1, -1):
            _apply(m, memory)
        _unsort(row, order, frame[j])
        _unsort(sizes, order, in_frame[j])


@inlined
def _reflector(row: Array, reflector: Array) -> float:
    """Write the v, with v_0 = 1, that turns ``row`` into a multiple of the first unit vector.

    Returns τ. The exponent is taken out first, so that no square underflows.
    """
    exponent = math.frexp(np.abs(row).max())[1]
    squares = 0.0
    for d in range(len(row)):
        reflector[d] = math.ldexp(row[d], -exponent)
        squares += reflector[d] ** 2
    first = reflector[0]
    reflector[0] = 1.0
    # a rest too small for the norm still counts: it may be all of a later R_ii
    if not reflector[1:].any():
        return 0.0
    target = -math.copysign(math.sqrt(squares), first)
    reflector[1:] /= first - target
    return float((target - first) / target)


@inlined
def _apply(m: int, memory: Workspace) -> None:
    """Apply reflector ``m``, which begins at entry m, to the row and its sizes."""
    reflectors, factors, row, sizes, _ = memory
    start, width = m - m % LANES, len(row)
    _REFLECT(
        (
            address(reflectors, m * width + start),
            address(row, start),
            address(sizes, start),
            width - start,
            address(factors, m),
        )
    )


@inlined
def _unsort(values: Array, order: Array, out: Array) -> None:
    for d in range(len(order)):
        out[order[d]] = values[d]


factor = compiled(_factor)
