"""Matrix products put together of tiles, and the packing of their right-hand sides.

A packed matrix lies in panels of `PANEL` columns, concatenated, and the last one filled up with
zeros: each panel is read from its beginning to its end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from ...arrays import Array
from .jit import linked
from .simd.row_tiles import dot_tile, subtract_tile
from .simd.tiles import PANEL, ROWS, copy_tile, product_tile
from .simd.vectors import DOT_COLUMNS, WORD

__all__ = [
    "SCRATCH",
    "address",
    "aligned",
    "cross",
    "multiply",
    "pack",
    "packed_size",
    "row_stride",
    "subtract",
]

_PRODUCT, _SUBTRACT = product_tile(), subtract_tile()
_DOT_WIDE, _DOT_41 = dot_tile(4, DOT_COLUMNS), dot_tile(4, 1)
_DOT_12, _DOT_11 = dot_tile(1, 2), dot_tile(1, 1)
_COPY = copy_tile()

# numbers of workspace: two tiles and three rows of factors
SCRATCH = (2 * ROWS + 3) * PANEL


def aligned(size: int) -> Array:
    """Return ``size`` zeros that begin at a cache line."""
    memory = np.zeros(size + 8)
    start = -memory.ctypes.data // 8 % 8
    return memory[start : start + size]


def row_stride(width: int) -> int:
    """Return the numbers from one row of a frame to the next.

    Whole panels, and never a multiple of the caches' periods: rows of 64, 128 … numbers would
    all fall on the same few lines.
    """
    panels = -(-width // PANEL)
    return PANEL * (panels + (panels % 2 == 0))


def packed_size(inner: int, columns: int) -> int:
    """Return the numbers that a packed matrix (inner, columns) takes."""
    return -(-columns // PANEL) * PANEL * inner


def pack(matrix: Array) -> Array:
    """Return ``matrix`` (inner, columns) in panels."""
    inner, columns = matrix.shape
    panels = -(-columns // PANEL)
    padded = np.zeros((inner, panels * PANEL))
    padded[:, :columns] = matrix
    return np.ravel(padded.reshape(inner, panels, PANEL).transpose(1, 0, 2))


@intrinsic
def address(typingctx: Any, array: Any, number: Any) -> Any:
    """Return the address of a number of a contiguous array."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = context.make_array(array)(context, builder, arguments[0]).data
        return builder.ptrtoint(builder.gep(start, [arguments[1]]), WORD)

    return types.int64(array, types.int64), codegen


@linked
def multiply(
    a: int,
    a_stride: int,
    vectors: int,
    b: int,
    inner: int,
    columns: int,
    out: int,
    out_stride: int,
    spare: int,
    add: int,
    scale: int,
    left: int,
    other: int,
    other_stride: int,
    scratch: int,
) -> None:
    """Compute out = (out if add) + scale ⊙ (a @ b) + left ⊙ other for a packed b.

    Parameters
    ----------
    a, b, out, scale, left, other : int
        Addresses of arrays (vectors, inner), packed (inner, columns), (vectors, columns),
        (columns,), (columns,), (vectors, columns); a scale, left or other of 0 is absent.
    spare : int
        Numbers after each row of out that may be written, too.
    scratch : int
        Address of `SCRATCH` numbers.
    """
    near = scratch + 8 * ROWS * PANEL
    factors = near + 8 * ROWS * PANEL
    # a tile of few rows takes as long as one of half of all
    tiles = -(-vectors // ROWS)
    most = -(-vectors // tiles)
    for j in range(0, columns, PANEL):
        width = min(PANEL, columns - j)
        panel = b + 8 * j * inner
        scales = scale + 8 * j if scale != 0 else 0
        lefts = left + 8 * j if left != 0 else 0
        if width < PANEL:
            if scale != 0:
                _COPY((scales, 0, 1, width, factors, 0))
                scales = factors
            if left != 0:
                _COPY((lefts, 0, 1, width, factors + 8 * PANEL, 0))
                lefts = factors + 8 * PANEL
        for i in range(0, vectors, most):
            rows, at = min(most, vectors - i), a + 8 * i * a_stride
            to, to_stride = out + 8 * (j + i * out_stride), out_stride
            by, by_stride = other + 8 * (j + i * other_stride) if other != 0 else 0, other_stride
            if width < PANEL and other != 0:
                _COPY((by, by_stride, rows, width, near, PANEL))
                by, by_stride = near, PANEL
            aside = width + spare < PANEL
            if aside:
                # computed in the scratch: another block may lie next to the last columns
                if add != 0:
                    _COPY((to, to_stride, rows, width, scratch, PANEL))
                to, to_stride = scratch, PANEL
            _PRODUCT(rows, (
                at, a_stride, panel, PANEL, inner, to, to_stride, add, scales, lefts, by, by_stride
            ))  # fmt: skip
            if aside:
                _COPY((scratch, PANEL, rows, width, out + 8 * (j + i * out_stride), out_stride))


@linked
def cross(
    a: int,
    a_stride: int,
    rows: int,
    b: int,
    b_stride: int,
    columns: int,
    inner: int,
    out: int,
    out_stride: int,
) -> None:
    """Compute out = a @ b.T from addresses of a (rows, inner) and b (columns, inner)."""
    for i in range(0, rows - 3, 4):
        at = a + 8 * i * a_stride
        for j in range(0, columns - DOT_COLUMNS + 1, DOT_COLUMNS):
            to, other = out + 8 * (i * out_stride + j), b + 8 * j * b_stride
            _DOT_WIDE((at, a_stride, other, b_stride, inner, to, out_stride))
        for j in range(columns // DOT_COLUMNS * DOT_COLUMNS, columns):
            to, other = out + 8 * (i * out_stride + j), b + 8 * j * b_stride
            _DOT_41((at, a_stride, other, b_stride, inner, to, out_stride))
    for i in range(rows // 4 * 4, rows):
        at = a + 8 * i * a_stride
        for j in range(0, columns - 1, 2):
            to = out + 8 * (i * out_stride + j)
            _DOT_12((at, a_stride, b + 8 * j * b_stride, b_stride, inner, to, out_stride))
        if columns % 2:
            to = out + 8 * (i * out_stride + columns - 1)
            other = b + 8 * (columns - 1) * b_stride
            _DOT_11((at, a_stride, other, b_stride, inner, to, out_stride))


@linked
def subtract(
    a: int,
    a_stride: int,
    rows: int,
    inner: int,
    b: int,
    b_stride: int,
    columns: int,
    out: int,
    out_stride: int,
) -> None:
    """Compute out −= a @ b from addresses, in whole panels of b and out."""
    for j in range(0, columns, PANEL):
        for i in range(0, rows, ROWS):
            at, to = a + 8 * i * a_stride, out + 8 * (i * out_stride + j)
            count = min(ROWS, rows - i)
            _SUBTRACT(count, (at, a_stride, b + 8 * j, b_stride, inner, to, out_stride))
