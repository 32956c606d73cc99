"""The tangent kernel: it runs any network's linear program and knows no cell."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...arrays import UNIT_ROUNDOFF, Array
from .. import interval
from . import blas
from .jit import compiled, inlined
from .merging import merge, merge_rows, pack_transposed
from .plan import DIAGONAL, GIVEN, MERGED, PRODUCT, SPARSE, Plan
from .products import address, multiply
from .qr import orthonormalize
from .simd.tiles import PANEL
from .sparse_products import multiply_sparse

__all__ = ["advance_frame"]

block_spread_limit = inlined(interval.block_spread_limit)
disturbed_spread = inlined(interval.disturbed_spread)
dual_sign = inlined(interval.dual_sign)
effective_spread = inlined(interval.effective_spread)
next_interval = inlined(interval.next_interval)
next_rate = inlined(interval.next_rate)
shortened = inlined(interval.shortened)


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


@inlined
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


@inlined
def _scale(row: Array, coefficients: Array, new: Array, vectors: int) -> None:
    factors = coefficients[row.scale : row.scale + row.rows]
    for v in range(vectors):
        z = new[v, row.target : row.target + row.rows]
        for c in range(row.rows):
            z[c] *= factors[c]


@inlined
def _packed_product(
    plan: Plan,
    row: Array,
    coefficients: Array,
    frame: Array,
    new: Array,
    vectors: int,
    memory: Memory,
) -> None:
    """Compute target = (target if add) + scale ⊙ (source @ M.T) + left ⊙ other in one pass."""
    stride = frame.shape[1]
    matrix, width = address(memory.merged, 0), row.rows
    if row.op == PRODUCT:
        matrix = address(plan.weights, row.matrix)
    elif row.op == GIVEN:
        pack_transposed(address(coefficients, row.matrix), row.columns, row.rows, matrix)
    else:
        width = PANEL
    # a merged matrix is multiplied panel by panel, while each is still near
    for j in range(0, row.rows, width):
        columns = min(width, row.rows - j)
        if row.op == MERGED:
            terms = plan.terms[row.first : row.last]
            inner, scratch = row.columns, memory.scratch
            merge(terms, plan.weights, coefficients, inner, j, columns, matrix, scratch)
        multiply(
            address(new if row.new == 1 else frame, row.source),
            stride,
            vectors,
            matrix,
            row.columns,
            columns,
            address(new, row.target + j),
            stride,
            row.add,
            address(coefficients, row.scale + j) if row.scale >= 0 else 0,
            address(coefficients, row.left + j) if row.left >= 0 else 0,
            address(new if row.other_new == 1 else frame, row.other + j) if row.other >= 0 else 0,
            stride,
            address(memory.scratch, 0),
        )


@inlined
def _blas_product(
    plan: Plan,
    row: Array,
    coefficients: Array,
    frame: Array,
    new: Array,
    vectors: int,
    memory: Memory,
) -> None:
    """Compute the same by BLAS and two passes over the target."""
    stride = frame.shape[1]
    given = row.op == GIVEN
    matrix = address(memory.merged, 0)
    if given:
        matrix = address(coefficients, row.matrix)
    elif row.op == PRODUCT:
        matrix = address(plan.weights, row.matrix)
    else:
        terms = plan.terms[row.first : row.last]
        merge_rows(terms, plan.weights, coefficients, row.columns, row.rows, memory.merged)
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


@inlined
def _step(
    plan: Plan, coefficients: Array, frame: Array, new: Array, vectors: int, memory: Memory
) -> None:
    """Write the image of ``frame`` under one step's Jacobian into ``new``."""
    for i in range(len(plan.instructions)):
        row = plan.instructions[i]
        if row.op == SPARSE:
            source = new if row.new == 1 else frame
            panel, sums = memory.merged, memory.scratch
            multiply_sparse(plan, row, coefficients, source, new, vectors, panel, sums)
        elif row.op != DIAGONAL:
            if plan.blas:
                _blas_product(plan, row, coefficients, frame, new, vectors, memory)
            else:
                _packed_product(plan, row, coefficients, frame, new, vectors, memory)
            continue
        elif row.add == 0:
            new[:vectors, row.target : row.target + row.rows] = 0.0
        if row.other >= 0:
            _add_diagonal(row, coefficients, frame, new, vectors)


@inlined
def _interval(plan: Plan, coefficients: Array, at: int, vectors: int, memory: Memory) -> int:
    """Apply all steps of ``coefficients`` to frame ``at``, which is kept; return the last's."""
    source = at
    target = (at + 1) % 3
    for t in range(len(coefficients)):
        _step(plan, coefficients[t], memory.frames[source], memory.frames[target], vectors, memory)
        source = target
        target = 3 - at - source
    return source


@inlined
def _count(
    log_r: Array, noise: Array, alone: float, columns: int, error: Array, growth: Array
) -> None:
    """Add an interval's growth and estimated errors; see `lyapy.tangent.state.Carry.count`."""
    top = log_r.max()
    floor = columns * UNIT_ROUNDOFF * math.exp(top)
    for i in range(len(log_r)):
        error[i] += UNIT_ROUNDOFF * noise[i]
        if top - log_r[i] > alone:
            growth[i] += math.log(math.exp(log_r[i]) + floor)
        else:
            growth[i] += log_r[i]


@compiled
def advance_frame(
    plan: Plan,
    coefficients: Array,
    start: int,
    ends: Array,
    alive: Array,
    memory: Memory,
    columns: int,
    limit: float,
    alone: float,
    fixed: int,
    rate: float,
    error: Array,
    since: Array,
    noise: Array,
    growth: Array,
) -> tuple[int, int, float, int, int, float]:
    """Move a frame through a chunk of time, tile by tile, as `ArrayTangent.advance` does.

    The frame is the first of ``memory.frames``. Stops before a step that by itself
    spreads too far or overflows. Returns the number of the buffer in which the frame ends, the
    step reached, the rate, intervals, rejections, and the largest spread.
    """
    at = 0
    caution = block_spread_limit(limit)
    intervals, rejections, largest = 0, 0, 0.0
    logs, duals = np.empty(memory.frames.shape[1]), np.empty(memory.frames.shape[1])
    for tile in range(len(ends)):
        end = ends[tile]
        vectors = alive[tile]
        log_r, dual = logs[:vectors], duals[:vectors]
        while start < end and vectors > 0:
            steps = min(fixed, end - start) if fixed else next_interval(rate, end - start, limit)
            while True:
                image = _interval(plan, coefficients[start : start + steps], at, vectors, memory)
                frame = memory.frames[image]
                for i in range(vectors):
                    dual[i] = dual_sign(i)
                orthonormalize(
                    frame, vectors, columns, memory.projections, log_r, dual, caution, plan.blas
                )
                spread = effective_spread(log_r.max(), log_r.min(), limit)
                spread = disturbed_spread(spread, log_r.max(), np.abs(dual).max())
                if spread <= limit or steps == 1 or fixed:
                    break
                rejections += 1
                steps = shortened(steps, spread, limit)
            if not log_r.max() < math.inf or (steps == 1 and spread > alone):
                return at, start, rate, intervals, rejections, largest
            top = log_r.max()
            for i in range(vectors):
                since[i] += log_r[i]
                noise[i] = max(math.exp(top - log_r[i]), math.exp(top) * abs(dual[i]))
            _count(log_r, noise, alone, columns, error, growth[tile])
            rate = next_rate(rate, spread, steps)
            largest = max(largest, spread)
            intervals += 1
            at = image
            start += steps
        start = max(start, end)
    return at, start, rate, intervals, rejections, largest
