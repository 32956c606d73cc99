"""Reorthonormalization of row frames by recursive block Gram–Schmidt.

Blocks of a few rows are orthonormalized by modified Gram–Schmidt; in between, blocks of
doubling size are projected out of the next block by two matrix products.
"""

from __future__ import annotations

import math

from ...arrays import Array
from . import blas
from .jit import inlined, linked, spliced, vectorized
from .products import address, aligned, cross, subtract
from .simd.row_tiles import solve_tile
from .simd.tiles import PANEL

__all__ = ["BASE", "orthonormalize", "workspace"]

BASE = 8
LARGE = 128
# columns from which on the products of a block's rows pay
WIDE = 32

_SOLVE = solve_tile(BASE)


@linked
def orthonormalize(
    frame: Array,
    rows: int,
    columns: int,
    products: Array,
    log_r: Array,
    duals: Array,
    spread_limit: float,
    by_blas: bool,
) -> None:
    """Orthonormalize ``frame[:rows, :columns]`` in place; write log R_ii, and multiply by R⁻ᵀ.

    Parameters
    ----------
    frame : array (k, width), C-ordered
    products : array
        Of `workspace`.
    log_r : array (k,)
    duals : array (k,)
        A vector b on entry, R⁻ᵀ b on return; it follows the operations on the rows.
    spread_limit : float
        Largest max log R_ii − min log R_ii of a block that is projected out as if its rows
        were exactly orthonormal.
    by_blas : bool
        Leave the products of large blocks to BLAS.
    """
    start = 0
    while start < rows:
        stop = min(start + BASE, rows)
        whole = stop - start == BASE and columns >= WIDE
        if not whole or not _orthonormalize_whole(
            frame, start, columns, products, log_r, duals, spread_limit
        ):
            _orthonormalize_base(frame, start, stop, columns, log_r, duals)
        # the recursion, unrolled: after panel number c the last lowbit(c) panels are
        # projected out of as many after them
        done = stop // BASE
        block = (done & -done) * BASE
        end = min(stop + block, rows)
        if end > stop:
            low, high = extremes(log_r[stop - block : stop])
            careful = not high - low <= spread_limit
            if by_blas and block >= LARGE and not careful:
                _project_by_blas(frame, stop - block, stop, end, columns, products, duals)
            else:
                _project_block(frame, stop - block, stop, end, columns, products, careful, duals)
        start = stop


@inlined
def extremes(values: Array) -> tuple[float, float]:
    """Return the least and the largest number, or NaN for both where one is NaN."""
    low = high = values[0]
    for value in values:
        low = value if value < low or value != value else low
        high = value if value > high or value != value else high
    return low, high


@spliced
def _project_block(
    frame: Array,
    start: int,
    stop: int,
    end: int,
    columns: int,
    products: Array,
    careful: bool,
    duals: Array,
) -> None:
    """Project rows ``start:stop`` out of rows ``stop:end``.

    Rows orthonormal up to η leave η times the original norm of a projected row. Where η may
    matter, the coefficients are corrected by the products of the rows, to second order in η, as
    if the rows were projected out one by one.
    """
    stride = frame.shape[1]
    first, second = address(frame, stride * start), address(frame, stride * stop)
    b, n = stop - start, end - stop
    factors = address(products, 0)
    cross(second, stride, n, first, stride, b, columns, factors, b)
    if careful:
        own, corrected = address(products, b * b), address(products, 2 * b * b)
        cross(first, stride, b, first, stride, b, columns, own, b)
        for i in range(b):
            for j in range(i + 1):
                products[b * b + i * b + j] = 0.0
        # an assignment between slices would compile Numba's checks, and their messages
        for i in range(n * b):
            products[2 * b * b + i] = products[i]
        subtract(factors, b, n, b, own, b, b, corrected, b)
        factors = corrected
    _follow(products[2 * b * b :] if careful else products, duals, start, stop, end)
    # beyond the state lie auxiliary blocks, free for use, or nothing
    subtract(factors, b, n, b, first, stride, columns, second, stride)


@spliced
def _project_by_blas(
    frame: Array, start: int, stop: int, end: int, columns: int, products: Array, duals: Array
) -> None:
    """Project them out by BLAS, which can use several threads."""
    stride = frame.shape[1]
    first, second = address(frame, stride * start), address(frame, stride * stop)
    b, n, factors = stop - start, end - stop, address(products, 0)
    blas.multiply(1.0, second, stride, first, stride, True, 0.0, factors, b, n, columns, b)
    blas.multiply(-1.0, factors, b, first, stride, False, 1.0, second, stride, n, b, columns)
    _follow(products, duals, start, stop, end)


@spliced
def _follow(factors: Array, duals: Array, start: int, stop: int, end: int) -> None:
    """Apply the projection of the rows to ``duals``."""
    b = stop - start
    for i in range(end - stop):
        duals[stop + i] -= _dot(factors[i * b :], duals[start:], b)


@spliced
def _orthonormalize_whole(
    frame: Array,
    start: int,
    columns: int,
    products: Array,
    log_r: Array,
    duals: Array,
    spread_limit: float,
) -> bool:
    """Orthonormalize `BASE` rows by Cholesky's factors of their products, if that is safe.

    This leaves them orthonormal up to u exp(2 s), s the spread of the block, where modified
    Gram–Schmidt leaves u exp(s). Where that is too much, the frame is left as it is.
    """
    stride = frame.shape[1]
    z, factors = address(frame, stride * start), address(products, 0)
    cross(z, stride, BASE, z, stride, BASE, columns, factors, BASE)
    least = math.exp(-spread_limit)
    for i in range(BASE):
        row = BASE * i
        square = products[row + i]
        least_square = least * square
        for j in range(i):
            factor = products[row + j]
            for m in range(j):
                factor -= products[row + m] * products[BASE * j + m]
            factor *= products[(BASE + 1) * j]
            products[row + j] = factor
            square -= factor * factor
        # false for NaN and infinity too
        if not least_square < square < math.inf:
            return False
        products[row + i] = 1.0 / math.sqrt(square)
        log_r[start + i] = 0.5 * math.log(square)
    for i in range(BASE):
        row = BASE * i
        for j in range(i):
            duals[start + i] -= products[row + j] * duals[start + j]
        duals[start + i] *= products[row + i]
    _SOLVE((z, stride, -(-columns // PANEL) * PANEL, factors))
    return True


@spliced
def _orthonormalize_base(
    frame: Array, start: int, stop: int, columns: int, log_r: Array, duals: Array
) -> None:
    for i in range(start, stop):
        q = frame[i]
        norm = math.sqrt(_dot(q, q, columns))
        if norm == 0.0:
            log_r[i] = -math.inf
            duals[i] = 0.0
            _complete(frame, i, columns)
        else:
            log_r[i] = math.log(norm)
            inverse = 1.0 / norm
            duals[i] *= inverse
            for c in range(columns):
                q[c] *= inverse
        j = i + 1
        while j + 4 <= stop:
            d0, d1, d2, d3 = _project4(
                q, frame[j], frame[j + 1], frame[j + 2], frame[j + 3], columns
            )
            duals[j] -= d0 * duals[i]
            duals[j + 1] -= d1 * duals[i]
            duals[j + 2] -= d2 * duals[i]
            duals[j + 3] -= d3 * duals[i]
            j += 4
        while j < stop:
            duals[j] -= _project(q, frame[j], columns) * duals[i]
            j += 1


@vectorized
def _dot(a: Array, b: Array, columns: int) -> float:
    total = 0.0
    for c in range(columns):
        total += a[c] * b[c]
    return total


@vectorized
def _project(q: Array, z: Array, columns: int) -> float:
    d: float = _dot(q, z, columns)
    for c in range(columns):
        z[c] -= d * q[c]
    return d


@vectorized
def _project4(
    q: Array, z0: Array, z1: Array, z2: Array, z3: Array, columns: int
) -> tuple[float, float, float, float]:
    d0, d1, d2, d3 = 0.0, 0.0, 0.0, 0.0
    for c in range(columns):
        d0 += q[c] * z0[c]
        d1 += q[c] * z1[c]
        d2 += q[c] * z2[c]
        d3 += q[c] * z3[c]
    for c in range(columns):
        z0[c] -= d0 * q[c]
        z1[c] -= d1 * q[c]
        z2[c] -= d2 * q[c]
        z3[c] -= d3 * q[c]
    return d0, d1, d2, d3


@spliced
def _complete(frame: Array, i: int, columns: int) -> None:
    """Put a unit vector orthogonal to the rows above in place of a vanished row."""
    q = frame[i]
    for axis in range(columns):
        for c in range(columns):
            q[c] = 0.0
        q[(i + axis) % columns] = 1.0
        for _ in range(2):
            for j in range(i):
                _project(frame[j], q, columns)
        norm = math.sqrt(_dot(q, q, columns))
        if norm > 0.5 / math.sqrt(columns):
            for c in range(columns):
                q[c] /= norm
            return


def workspace(rows: int) -> Array:
    """Return the workspace of `orthonormalize` for ``rows`` rows."""
    half = BASE
    while 2 * half < rows:
        half *= 2
    return aligned(3 * half * half + PANEL)
