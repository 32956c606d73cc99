"""One step of a plan: its instructions, carried out on a frame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from . import blas
from .jit import inlined, linked, spliced
from .plan import DIAGONAL, GIVEN, MERGED, PRODUCT, SPARSE, Plan
from .products import address, multiply
from .simd.tiles import PANEL, copy_tile, merge_tile
from .sparse_products import multiply_sparse

__all__ = ["Memory", "can_be_cut", "carry_out", "step"]

_MERGE_1, _MERGE_2, _MERGE_3 = (merge_tile(terms, False) for terms in (1, 2, 3))
_MERGE_RIGHT = merge_tile(1, True)
_COPY = copy_tile()


class Memory(NamedTuple):
    """Workspaces of one trajectory.

    Attributes
    ----------
    frames : array (3, k, stride)
    merged : array
        For one matrix, or panel of one, that is rebuilt at every step, or the source of a
        sparse product.
    scratch : array of `SCRATCH` numbers
    projections : array of `qr.workspace_size` numbers
    """

    frames: Array
    merged: Array
    scratch: Array
    projections: Array


@spliced
def _add_diagonal(row: Array, coefficients: Array, frame: Array, new: Array, vectors: int) -> None:
    """Add left ⊙ other to the target, row by row."""
    n = row.rows
    left = coefficients[max(row.left, 0) : max(row.left, 0) + n]
    source = new if row.other_new == 1 else frame
    for v in range(vectors):
        z = new[v, row.target : row.target + n]
        q = source[v, row.other : row.other + n]
        if row.left >= 0:
            for c in range(n):
                z[c] += left[c] * q[c]
        else:
            for c in range(n):
                z[c] += q[c]


@spliced
def _scale(row: Array, coefficients: Array, new: Array, vectors: int) -> None:
    factors = coefficients[row.scale : row.scale + row.rows]
    for v in range(vectors):
        z = new[v, row.target : row.target + row.rows]
        for c in range(row.rows):
            z[c] *= factors[c]


@spliced
def _packed_product(
    plan: Plan,
    row: Array,
    coefficients: Array,
    frame: Array,
    new: Array,
    vectors: int,
    merged: Array,
    scratch: Array,
    first: int,
    last: int,
) -> None:
    """Compute target = (target if add) + scale ⊙ (source @ M.T) + left ⊙ other in one pass.

    Only the columns of the target from ``first`` to ``last`` are computed, whole panels of them.
    """
    stride = frame.shape[1]
    matrix, width = address(merged, 0), last - first
    if row.op == PRODUCT:
        matrix = address(plan.weights, row.matrix + first * row.columns)
    elif row.op == GIVEN:
        _pack_transposed(address(coefficients, row.matrix), row.columns, row.rows, matrix)
    else:
        width = PANEL
    # behind the last columns in use lie numbers that nobody reads
    spare = stride - plan.width if row.target + last == plan.width else 0
    # a merged matrix is multiplied panel by panel, while each is still in the cache
    for j in range(first, last, width):
        columns = min(width, last - j)
        if row.op == MERGED:
            terms = plan.terms[row.first : row.last]
            inner = row.columns
            _merge(terms, plan.weights, coefficients, inner, j, columns, matrix, scratch)
        multiply(
            address(new if row.new == 1 else frame, row.source),
            stride,
            vectors,
            matrix,
            row.columns,
            columns,
            address(new, row.target + j),
            stride,
            spare,
            row.add,
            address(coefficients, row.scale + j) if row.scale >= 0 else 0,
            address(coefficients, row.left + j) if row.left >= 0 else 0,
            address(new if row.other_new == 1 else frame, row.other + j) if row.other >= 0 else 0,
            stride,
            address(scratch, 0),
        )


@linked
def _blas_product(
    plan: Plan,
    row: Array,
    coefficients: Array,
    frame: Array,
    new: Array,
    vectors: int,
    merged: Array,
) -> None:
    """Compute it by BLAS and two passes over the target."""
    stride = frame.shape[1]
    given = row.op == GIVEN
    matrix = address(merged, 0)
    if given:
        matrix = address(coefficients, row.matrix)
    elif row.op == PRODUCT:
        matrix = address(plan.weights, row.matrix)
    else:
        terms = plan.terms[row.first : row.last]
        _merge_rows(terms, plan.weights, coefficients, row.columns, row.rows, merged)
    blas.multiply(
        1.0,
        address(new if row.new == 1 else frame, row.source),
        stride,
        matrix,
        row.columns if given else row.rows,
        given,
        1.0 if row.add else 0.0,
        address(new, row.target),
        stride,
        vectors,
        row.columns,
        row.rows,
    )
    if row.scale >= 0:
        _scale(row, coefficients, new, vectors)
    if row.other >= 0:
        _add_diagonal(row, coefficients, frame, new, vectors)


@linked
def step(
    plan: Plan,
    instructions: Array,
    coefficients: Array,
    frame: Array,
    new: Array,
    vectors: int,
    memory: Memory,
) -> None:
    """Write the image of ``frame`` by ``instructions`` of a plan into ``new``."""
    merged, scratch = memory.merged, memory.scratch
    for i in range(len(instructions)):
        row = instructions[i]
        carry_out(plan, row, coefficients, frame, new, vectors, merged, scratch, 0, row.rows)


@spliced
def carry_out(
    plan: Plan,
    row: Array,
    coefficients: Array,
    frame: Array,
    new: Array,
    vectors: int,
    merged: Array,
    scratch: Array,
    first: int,
    last: int,
) -> None:
    """Carry out one instruction, on the columns ``first`` to ``last`` where it `can_be_cut`."""
    if row.op == SPARSE:
        source = new if row.new == 1 else frame
        multiply_sparse(plan, row, coefficients, source, new, vectors, merged, scratch)
    elif row.op != DIAGONAL:
        if plan.blas:
            _blas_product(plan, row, coefficients, frame, new, vectors, merged)
        else:
            _packed_product(
                plan, row, coefficients, frame, new, vectors, merged, scratch, first, last
            )
    elif row.add == 0:
        new[:vectors, row.target : row.target + row.rows] = 0.0
    if row.other >= 0 and (row.op == SPARSE or row.op == DIAGONAL):
        _add_diagonal(row, coefficients, frame, new, vectors)


@inlined
def can_be_cut(plan: Plan, row: Array) -> bool:
    """Whether the columns of an instruction's target can be computed panel by panel."""
    return not plan.blas and (row.op == PRODUCT or row.op == MERGED)


@spliced
def _merge(
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


@spliced
def _merge_rows(
    terms: Array, weights: Array, coefficients: Array, inner: int, columns: int, out: Array
) -> None:
    """Write the sum row by row, for BLAS, of weights that are not packed."""
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


@spliced
def _pack_transposed(matrix: int, inner: int, columns: int, out: int) -> None:
    """Pack the transpose of the matrix (columns, inner) at an address."""
    for j in range(0, columns, PANEL):
        for c in range(min(PANEL, columns - j)):
            row = matrix + 8 * (j + c) * inner
            _COPY((row, 1, inner, 1, out + 8 * (j * inner + c), PANEL))
