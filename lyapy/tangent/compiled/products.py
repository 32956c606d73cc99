"""Matrix products put together of tiles, and the packing of their right-hand sides.

A packed matrix lies in panels of `PANEL` columns, concatenated, and the last one filled up with
zeros: each panel is read from its beginning to its end.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Array
from .jit import inlined
from .simd.row_tiles import dot_tile, subtract_tile
from .simd.tiles import PANEL, ROWS, copy_tile, product_tile
from .simd.vectors import DOT_COLUMNS

__all__ = [
    "SCRATCH",
    "address",
    "aligned",
    "cross",
    "multiply",
    "multiply_panel",
    "pack",
    "packed_size",
    "row_stride",
    "subtract",
]

_P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8 = (product_tile(rows) for rows in range(1, 9))
_S1, _S2, _S3, _S4, _S5, _S6, _S7, _S8 = (subtract_tile(rows) for rows in range(1, 9))
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


@inlined
def address(array: Array, number: int) -> int:
    """Return the address of a number of a contiguous array."""
    return np.int64(array.ctypes.data) + 8 * number  # type: ignore[return-value]


@inlined
def multiply_panel(
    a: int,
    a_stride: int,
    vectors: int,
    b: int,
    b_stride: int,
    inner: int,
    out: int,
    out_stride: int,
    add: int,
    scale: int,
    left: int,
    other: int,
    other_stride: int,
) -> None:
    """Compute `PANEL` columns of a product for all rows, as `tiles.product_tile` says."""
    i = 0
    while i < vectors:
        at, to, beside = a + 8 * i * a_stride, out + 8 * i * out_stride, other
        if other != 0:
            beside = other + 8 * i * other_stride
        what = (
            at,
            a_stride,
            b,
            b_stride,
            inner,
            to,
            out_stride,
            add,
            scale,
            left,
            beside,
            other_stride,
        )
        rows = min(ROWS, vectors - i)
        if rows == 8:
            _P8(what)
        elif rows == 7:
            _P7(what)
        elif rows == 6:
            _P6(what)
        elif rows == 5:
            _P5(what)
        elif rows == 4:
            _P4(what)
        elif rows == 3:
            _P3(what)
        elif rows == 2:
            _P2(what)
        else:
            _P1(what)
        i += rows


@inlined
def multiply(
    a: int,
    a_stride: int,
    vectors: int,
    b: int,
    inner: int,
    columns: int,
    out: int,
    out_stride: int,
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
    scratch : int
        Address of `SCRATCH` numbers.
    """
    whole = columns // PANEL * PANEL
    for j in range(0, whole, PANEL):
        multiply_panel(
            a,
            a_stride,
            vectors,
            b + 8 * j * inner,
            PANEL,
            inner,
            out + 8 * j,
            out_stride,
            add,
            scale + 8 * j if scale != 0 else 0,
            left + 8 * j if left != 0 else 0,
            other + 8 * j if other != 0 else 0,
            other_stride,
        )
    rest = columns - whole
    if rest == 0:
        return
    # the last columns are computed in the scratch: next to them another block may lie
    near = scratch + 8 * ROWS * PANEL
    factors = near + 8 * ROWS * PANEL
    if scale != 0:
        _COPY((scale + 8 * whole, 0, 1, rest, factors, 0))
    if left != 0:
        _COPY((left + 8 * whole, 0, 1, rest, factors + 8 * PANEL, 0))
    for i in range(0, vectors, ROWS):
        rows = min(ROWS, vectors - i)
        place = out + 8 * (whole + i * out_stride)
        if add != 0:
            _COPY((place, out_stride, rows, rest, scratch, PANEL))
        if other != 0:
            _COPY((other + 8 * (whole + i * other_stride), other_stride, rows, rest, near, PANEL))
        multiply_panel(
            a + 8 * i * a_stride,
            a_stride,
            rows,
            b + 8 * whole * inner,
            PANEL,
            inner,
            scratch,
            PANEL,
            add,
            factors if scale != 0 else 0,
            factors + 8 * PANEL if left != 0 else 0,
            near if other != 0 else 0,
            PANEL,
        )
        _COPY((scratch, PANEL, rows, rest, place, out_stride))


@inlined
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
            to, beside = out + 8 * (i * out_stride + j), b + 8 * j * b_stride
            _DOT_WIDE((at, a_stride, beside, b_stride, inner, to, out_stride))
        for j in range(columns // DOT_COLUMNS * DOT_COLUMNS, columns):
            to, beside = out + 8 * (i * out_stride + j), b + 8 * j * b_stride
            _DOT_41((at, a_stride, beside, b_stride, inner, to, out_stride))
    for i in range(rows // 4 * 4, rows):
        at = a + 8 * i * a_stride
        for j in range(0, columns - 1, 2):
            to = out + 8 * (i * out_stride + j)
            _DOT_12((at, a_stride, b + 8 * j * b_stride, b_stride, inner, to, out_stride))
        if columns % 2:
            to = out + 8 * (i * out_stride + columns - 1)
            beside = b + 8 * (columns - 1) * b_stride
            _DOT_11((at, a_stride, beside, b_stride, inner, to, out_stride))


@inlined
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
            what = (at, a_stride, b + 8 * j, b_stride, inner, to, out_stride)
            count = min(ROWS, rows - i)
            if count == 8:
                _S8(what)
            elif count == 7:
                _S7(what)
            elif count == 6:
                _S6(what)
            elif count == 5:
                _S5(what)
            elif count == 4:
                _S4(what)
            elif count == 3:
                _S3(what)
            elif count == 2:
                _S2(what)
            else:
                _S1(what)
