"""Matrices that change from step to step, made ready for a product."""

from __future__ import annotations

import numpy as np

from ...arrays import Array
from .jit import inlined
from .products import address
from .simd.tiles import PANEL, copy_tile, merge_tile

__all__ = ["merge", "merge_rows", "pack_transposed"]

_MERGE_1, _MERGE_2, _MERGE_3 = (merge_tile(terms, False) for terms in (1, 2, 3))
_MERGE_RIGHT = merge_tile(1, True)
_COPY = copy_tile()


@inlined
def merge(
    terms: Array,
    weights: Array,
    coefficients: Array,
    inner: int,
    first: int,
    columns: int,
    out: int,
    scratch: Array,
) -> None:
    """Write a panel of the packed sum of left ⊙ W ⊙ right[:, None] over ``terms``, to an address.

    Each W (inner, any) is the transpose of a term's matrix, packed; the panel has its
    ``columns`` from ``first`` on.
    """
    t = 0
    while t < len(terms):
        together = min(3, len(terms) - t)
        for s in range(together):
            term = terms[t + s]
            if term.right >= 0:
                together = 1
            for c in range(columns):
                left = coefficients[term.left + first + c] if term.left >= 0 else 1.0
                scratch[s * PANEL + c] = left
        add = np.int64(t > 0)
        l1, l2, l3 = address(scratch, 0), address(scratch, PANEL), address(scratch, 2 * PANEL)
        w1 = address(weights, terms[t].matrix + first * inner)
        if terms[t].right >= 0:
            right = address(coefficients, terms[t].right)
            _MERGE_RIGHT((out, inner, add, w1, l1, right))
            together = 1
        elif together == 1:
            _MERGE_1((out, inner, add, w1, l1))
        else:
            w2 = address(weights, terms[t + 1].matrix + first * inner)
            if together == 2:
                _MERGE_2((out, inner, add, w1, l1, w2, l2))
            else:
                w3 = address(weights, terms[t + 2].matrix + first * inner)
                _MERGE_3((out, inner, add, w1, l1, w2, l2, w3, l3))
        t += together


@inlined
def merge_rows(
    terms: Array, weights: Array, coefficients: Array, inner: int, columns: int, out: Array
) -> None:
    """Write the same sum row by row, for BLAS, of weights that are not packed."""
    for j in range(inner):
        target = out[j * columns : (j + 1) * columns]
        target[:] = 0.0
        for t in range(len(terms)):
            term = terms[t]
            source = weights[term.matrix + j * columns : term.matrix + (j + 1) * columns]
            factor = coefficients[term.right + j] if term.right >= 0 else 1.0
            if term.left >= 0:
                left = coefficients[term.left : term.left + columns]
                for i in range(columns):
                    target[i] += factor * source[i] * left[i]
            else:
                for i in range(columns):
                    target[i] += factor * source[i]


@inlined
def pack_transposed(matrix: int, inner: int, columns: int, out: int) -> None:
    """Pack the transpose of the matrix (columns, inner) at an address."""
    for j in range(0, columns, PANEL):
        for c in range(min(PANEL, columns - j)):
            row = matrix + 8 * (j + c) * inner
            _COPY((row, 1, inner, 1, out + 8 * (j * inner + c), PANEL))
