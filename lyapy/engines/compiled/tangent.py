"""The tangent kernel: it runs any network's linear program and knows no cell."""

from __future__ import annotations

import math

import numpy as np

from ...types import Array
from .. import interval
from .blas import multiply
from .jit import compiled, inlined
from .plan import DIAGONAL, PRODUCT
from .qr import orthonormalize

__all__ = ["advance_frame"]

UNIT_ROUNDOFF = interval.UNIT_ROUNDOFF
block_spread_limit = inlined(interval.block_spread_limit)
effective_spread = inlined(interval.effective_spread)
next_interval = inlined(interval.next_interval)
next_rate = inlined(interval.next_rate)
shortened = inlined(interval.shortened)


@inlined
def _merge(row: Array, terms: Array, weights: Array, coefficients: Array, out: Array) -> None:
    """Write the transpose of the sum of diag(left) W diag(right) over the terms of ``row``."""
    n = row.rows
    for j in range(row.columns):
        target = out[j * n : (j + 1) * n]
        if row.last - row.first == 3 and row.plain:
            _merge_three(row, terms, weights, coefficients, j, target)
            continue
        target[:] = 0.0
        for k in range(row.first, row.last):
            term = terms[k]
            source = weights[term.matrix + j * n : term.matrix + (j + 1) * n]
            factor = coefficients[term.right + j] if term.right >= 0 else 1.0
            if term.left >= 0:
                left = coefficients[term.left : term.left + n]
                for i in range(n):
                    target[i] += factor * source[i] * left[i]
            else:
                for i in range(n):
                    target[i] += factor * source[i]


@inlined
def _merge_three(
    row: Array, terms: Array, weights: Array, coefficients: Array, j: int, target: Array
) -> None:
    """Write column ``j`` of a sum of three gates, as of a GRU or an LSTM, in one pass."""
    n = row.rows
    first, second, third = terms[row.first], terms[row.first + 1], terms[row.first + 2]
    a = weights[first.matrix + j * n : first.matrix + (j + 1) * n]
    b = weights[second.matrix + j * n : second.matrix + (j + 1) * n]
    d = weights[third.matrix + j * n : third.matrix + (j + 1) * n]
    p = coefficients[first.left : first.left + n]
    q = coefficients[second.left : second.left + n]
    s = coefficients[third.left : third.left + n]
    for i in range(n):
        target[i] = p[i] * a[i] + q[i] * b[i] + s[i] * d[i]


@inlined
def _diagonal(row: Array, coefficients: Array, source: Array, target: Array, vectors: int) -> None:
    """Compute target = scale * target (if add) + left * source, row by row."""
    n = row.rows
    left = coefficients[max(row.left, 0) : max(row.left, 0) + n]
    scale = coefficients[max(row.scale, 0) : max(row.scale, 0) + n]
    for v in range(vectors):
        z = target[v, row.target : row.target + n]
        q = source[v, row.source : row.source + n]
        if not row.columns:
            for c in range(n):
                z[c] *= scale[c]
        elif row.add and row.scale >= 0 and row.left >= 0:
            for c in range(n):
                z[c] = scale[c] * z[c] + left[c] * q[c]
        elif not row.add and row.left >= 0:
            for c in range(n):
                z[c] = left[c] * q[c]
        else:
            if not row.add:
                z[:] = 0.0
            elif row.scale >= 0:
                for c in range(n):
                    z[c] *= scale[c]
            if row.left >= 0:
                for c in range(n):
                    z[c] += left[c] * q[c]
            else:
                for c in range(n):
                    z[c] += q[c]


@inlined
def _step(
    instructions: Array,
    terms: Array,
    weights: Array,
    coefficients: Array,
    frame: Array,
    new: Array,
    vectors: int,
    merged: Array,
) -> None:
    """Write the image of ``frame`` under one step's Jacobian into ``new``."""
    width = frame.shape[1]
    for i in range(len(instructions)):
        row = instructions[i]
        source = new if row.new else frame
        if row.op == DIAGONAL:
            _diagonal(row, coefficients, source, new, vectors)
            continue
        per_step = row.op == PRODUCT and row.per_step == 1
        if row.op == PRODUCT:
            matrix = (coefficients if per_step else weights).ctypes.data + 8 * row.matrix
        else:
            _merge(row, terms, weights, coefficients, merged)
            matrix = merged.ctypes.data
        multiply(
            1.0,
            source.ctypes.data + 8 * row.source,
            width,
            matrix,
            max(row.columns, 1) if per_step else row.rows,
            per_step,
            1.0 if row.add else 0.0,
            new.ctypes.data + 8 * row.target,
            width,
            vectors,
            row.columns,
            row.rows,
        )


@inlined
def _interval(
    instructions: Array,
    terms: Array,
    weights: Array,
    coefficients: Array,
    buffers: Array,
    at: int,
    vectors: int,
    merged: Array,
) -> int:
    """Apply all steps of ``coefficients`` to buffer ``at``, which is kept; return the last's."""
    source = at
    target = (at + 1) % 3
    for t in range(len(coefficients)):
        _step(
            instructions,
            terms,
            weights,
            coefficients[t],
            buffers[source],
            buffers[target],
            vectors,
            merged,
        )
        source = target
        target = 3 - at - source
    return source


@inlined
def _count(log_r: Array, limit: float, columns: int, error: Array, growth: Array) -> None:
    """Add an interval's growth and estimated errors; see `lyapy.engines.carry.Carry.count`."""
    top = log_r.max()
    floor = columns * UNIT_ROUNDOFF * math.exp(top)
    for i in range(len(log_r)):
        error[i] += UNIT_ROUNDOFF * math.exp(top - log_r[i])
        if top - log_r[i] > limit:
            growth[i] += math.log(math.exp(log_r[i]) + floor)
        else:
            growth[i] += log_r[i]


@compiled
def advance_frame(
    instructions: Array,
    terms: Array,
    weights: Array,
    coefficients: Array,
    start: int,
    ends: Array,
    alive: Array,
    buffers: Array,
    columns: int,
    merged: Array,
    products: Array,
    limit: float,
    fixed: int,
    rate: float,
    error: Array,
    growth: Array,
) -> tuple[int, int, float, int, int, float]:
    """Move a frame through a chunk of time, tile by tile, as `ArrayTangent.advance` does.

    The frame is ``buffers[0]`` of the three (k, width). Stops before a step that by itself
    spreads too far or overflows. Returns the number of the buffer in which the frame ends, the
    step reached, the rate, intervals, rejections, and the largest spread.
    """
    at = 0
    caution = block_spread_limit(limit)
    intervals, rejections, largest = 0, 0, 0.0
    logs = np.empty(buffers.shape[1])
    for tile in range(len(ends)):
        end = ends[tile]
        vectors = alive[tile]
        log_r = logs[:vectors]
        while start < end and vectors > 0:
            steps = min(fixed, end - start) if fixed else next_interval(rate, end - start, limit)
            while True:
                span = coefficients[start : start + steps]
                image = _interval(instructions, terms, weights, span, buffers, at, vectors, merged)
                orthonormalize(buffers[image], vectors, columns, products, log_r, caution)
                spread = effective_spread(log_r.max(), log_r.min(), limit)
                if spread <= limit or steps == 1 or fixed:
                    break
                rejections += 1
                steps = shortened(steps, spread, limit)
            if not log_r.max() < math.inf or (steps == 1 and spread > limit):
                return at, start, rate, intervals, rejections, largest
            _count(log_r, limit, columns, error, growth[tile])
            rate = next_rate(rate, spread, steps)
            largest = max(largest, spread)
            intervals += 1
            at = image
            start += steps
        start = max(start, end)
    return at, start, rate, intervals, rejections, largest
