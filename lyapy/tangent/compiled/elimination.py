"""Gauss's elimination of row frames, recursive in the vectors, as `lyapy.tangent.graded` says.

The frame is transposed first: a coordinate is a row then, and the exchange of two of them is of
contiguous numbers. Panels of as many vectors as a register has numbers are eliminated one by one;
in between, blocks of doubling size are eliminated from the next block by products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from . import blas
from .jit import linked, spliced
from .products import address, aligned, row_stride, subtract
from .simd.elimination_tiles import (
    exchange_tile,
    largest_tile,
    restore_tile,
    terms_tile,
    transpose_tile,
    vector_tile,
)
from .simd.row_tiles import solve_tile, subtract_tile
from .simd.vectors import LANES, PANEL, ROWS

__all__ = ["Elimination", "eliminate", "make_elimination", "restore"]

_TRANSPOSE, _RESTORE, _TERMS = transpose_tile(), restore_tile(), terms_tile()
_LARGEST, _VECTOR, _EXCHANGE = largest_tile(), vector_tile(), exchange_tile()
_SOLVE, _SUBTRACT_NARROW = solve_tile(LANES), subtract_tile(1)
LARGE = 128
# the inverse of a smaller number may overflow
TINY_PIVOT = 1e-300


class Elimination(NamedTuple):
    """Workspaces of an elimination.

    Attributes
    ----------
    packed : array (D, stride)
        A row for each coordinate, in the order of the pivots: U, and L without its diagonal.
    order, places : array (D,) of int64
        The coordinates in the order of the rows, and the rows of the coordinates.
    panel : array (`LANES`, stride)
        The vectors of a panel, as rows.
    factors : array (`LANES` * `LANES`,)
        Of a panel.
    found : array (1,) of int64
        The place of a pivot.
    """

    packed: Array
    order: Array
    places: Array
    panel: Array
    factors: Array
    found: Array


def make_elimination(vectors: int, columns: int) -> Elimination:
    """Return the workspaces for so many vectors and coordinates."""
    rows, stride, width = -(-columns // LANES) * LANES, row_stride(vectors), row_stride(columns)
    packed = aligned(rows * stride).reshape(rows, stride)
    panel = aligned(LANES * width).reshape(LANES, width)
    order, places = np.zeros((2, rows), np.int64)
    return Elimination(packed, order, places, panel, aligned(LANES * LANES), np.zeros(1, np.int64))


@linked
def eliminate(
    frame: Array,
    rows: int,
    columns: int,
    memory: Elimination,
    diagonal: Array,
    terms: Array,
    by_blas: bool,
) -> None:
    """Factorize ``frame[:rows, :columns]`` into ``memory``.

    Written are |U_ii|, and the sizes of the terms of which each U_ii is the sum.
    """
    packed, order = memory.packed, memory.order
    stride, width = frame.shape[1], packed.shape[1]
    for i in range(0, rows, LANES):
        whole = -(-columns // LANES) * LANES
        target = address(packed, i)
        _TRANSPOSE((address(frame, i * stride), stride, rows - i, whole, target, width))
    for d in range(columns):
        order[d] = d
    start = 0
    while start < rows:
        stop = min(start + LANES, rows)
        _eliminate_panel(memory, start, stop, columns, diagonal)
        # the recursion, unrolled: after panel number c the last lowbit(c) panels are
        # eliminated from as many after them
        done = stop // LANES
        block = (done & -done) * LANES
        end = min(stop + block, rows)
        if end > stop:
            _eliminate_block(memory, stop - block, stop, end, columns, by_blas)
        start = stop
    _add_terms(memory, rows, diagonal, terms)


@spliced
def restore(memory: Elimination, frame: Array, rows: int, columns: int) -> None:
    """Write L into the frame, the coordinates in their own order."""
    packed, order, places = memory.packed, memory.order, memory.places
    stride, width = frame.shape[1], packed.shape[1]
    for d in range(columns):
        places[order[d]] = d
    for i in range(0, rows, LANES):
        whole = -(-columns // LANES) * LANES
        source, target = address(packed, i), address(frame, i * stride)
        _RESTORE((source, width, address(places, 0), i, whole, target, stride, rows - i))


@spliced
def _add_terms(memory: Elimination, rows: int, diagonal: Array, terms: Array) -> None:
    packed, sums = memory.packed, memory.factors
    stride = packed.shape[1]
    for start in range(0, rows, LANES):
        left, right = address(packed, start * stride), address(packed, start)
        _TERMS((left, right, stride, start, address(sums, 0)))
        for i in range(start, min(start + LANES, rows)):
            terms[i] = diagonal[i] + sums[i - start]
            for m in range(start, i):
                terms[i] += abs(packed[i, m] * packed[m, i])


@spliced
def _eliminate_panel(
    memory: Elimination, start: int, stop: int, columns: int, diagonal: Array
) -> None:
    """Eliminate vectors ``start:stop`` from one another, as rows, and exchange coordinates."""
    packed, panel, order, found = memory.packed, memory.panel, memory.order, memory.found
    width, stride = packed.shape[1], panel.shape[1]
    inverse, place = address(memory.factors, 0), address(found, 0)
    for d in range(start, columns, LANES):
        source = address(packed, d * width + start)
        _TRANSPOSE((source, width, columns - d, LANES, address(panel, d), stride))
    whole = -(-columns // LANES) * LANES
    for j in range(LANES):
        for d in range(columns, whole):
            panel[j, d] = 0.0
    _LARGEST((address(panel, start), columns - start, place))
    for i in range(start, stop):
        # where all numbers are zero, none is found
        row, pivot = panel[i - start], max(start + found[0], i)
        if pivot != i:
            order[i], order[pivot] = order[pivot], order[i]
            _EXCHANGE((address(packed, i * width), address(packed, pivot * width), width))
            for j in range(LANES):
                panel[j, i], panel[j, pivot] = panel[j, pivot], panel[j, i]
        diagonal[i] = abs(row[i])
        memory.factors[0] = 1.0
        if diagonal[i] >= TINY_PIVOT:
            memory.factors[0] = 1.0 / row[i]
        elif diagonal[i] > 0.0:
            for d in range(i + 1, columns):
                row[d] /= row[i]
        here = address(panel, (i - start) * stride + start)
        _VECTOR(stop - i, (here, stride, i - start, columns - start, inverse, place))
    source, target = address(panel, start), address(packed, start * width + start)
    _TRANSPOSE((source, stride, LANES, whole - start, target, width))


@spliced
def _eliminate_block(
    memory: Elimination, first: int, start: int, end: int, columns: int, by_blas: bool
) -> None:
    """Eliminate vectors ``first:start`` from vectors ``start:end``."""
    packed, factors = memory.packed, memory.factors
    width, inner, count = packed.shape[1], start - first, -(-(end - start) // LANES) * LANES
    for q in range(first, start, LANES):
        for i in range(LANES):
            for j in range(i):
                factors[i * LANES + j] = packed[q + i, q + j]
            factors[i * LANES + i] = 1.0
        known = address(packed, q * width + start)
        _SOLVE((known, width, count, address(factors, 0)))
        after = q + LANES
        left, out = address(packed, after * width + q), address(packed, after * width + start)
        _subtract(left, width, start - after, LANES, known, count, out)
    left, out = address(packed, start * width + first), address(packed, start * width + start)
    known = address(packed, first * width + start)
    if by_blas and inner >= LARGE:
        rows = columns - start
        blas.multiply(-1.0, left, width, known, width, False, 1.0, out, width, rows, inner, count)
    else:
        _subtract(left, width, columns - start, inner, known, count, out)


@linked
def _subtract(
    left: int, stride: int, rows: int, inner: int, right: int, columns: int, out: int
) -> None:
    """Compute out −= left @ right for addresses in one array, and whole registers of columns."""
    whole = columns // PANEL * PANEL
    subtract(left, stride, rows, inner, right, stride, whole, out, stride)
    for i in range(0, rows if whole < columns else 0, ROWS):
        at, to = left + 8 * i * stride, out + 8 * (i * stride + whole)
        count = min(ROWS, rows - i)
        _SUBTRACT_NARROW(count, (at, stride, right + 8 * whole, stride, inner, to, stride))
