"""The tangent kernel: it runs any network's linear program and knows no cell."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...types import Array
from .. import interval
from .jit import compiled, inlined
from .plan import DIAGONAL, GIVEN, PRODUCT, Plan
from .products import address, merge, multiply, pack_transposed
from .qr import orthonormalize

__all__ = ["advance_frame"]

UNIT_ROUNDOFF = interval.UNIT_ROUNDOFF
block_spread_limit = inlined(interval.block_spread_limit)
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
        For one matrix that is rebuilt at every step.
    scratch : array of `SCRATCH` numbers
    projections : array of `qr.workspace_size` numbers
    """

    frames: Array
    merged: Array
    scratch: Array
    projections: Array


@inlined
def _diagonal(row: Array, add: bool, coefficients: Array, frame: Array, new: Array, vectors: int) -> None:
    """Compute target = (target if add) + left ⊙ other, row by row."""
    n = row.rows
    left = coefficients[max(row.left, 0) : max(row.left, 0) + n]
    source = new if row.other_new == 1 else frame
    for v in range(vectors):
        z = new[v, row.target : row.target + n]
        if not add:
            z[:] = 0.0
        if row.other >= 0:
            q = source[v, row.other : row.other + n]
            if row.left >= 0:
                for c in range(n):
                    z[c] += left[c] * q[c]
            else:
                for c in range(n):
                    z[c] += q[c]


@inlined
def _matrix(row: Array, terms: Array, weights: Array, coefficients: Array, memory: Memory) -> int:
    """Return the address of the packed matrix of a product, building it where it changes."""
    if row.op == PRODUCT:
        return address(weights, row.matrix)
    merged = address(memory.merged, 0)
    if row.op == GIVEN:
        pack_transposed(address(coefficients, row.matrix), row.columns, row.rows, merged)
    else:
        own = terms[row.first : row.last]
        merge(own, weights, coefficients, row.columns, row.rows, merged, memory.scratch)
    return merged


@inlined
def _step(
    plan: Plan, coefficients: Array, frame: Array, new: Array, vectors: int, memory: Memory
) -> None:
    """Write the image of ``frame`` under one step's Jacobian into ``new``."""
    stride = frame.shape[1]
    for i in range(len(plan.instructions)):
        row = plan.instructions[i]
        if row.op == DIAGONAL:
            _diagonal(row, row.add == 1, coefficients, frame, new, vectors)
            continue
        source = new if row.new == 1 else frame
        other = new if row.other_new == 1 else frame
        multiply(
            address(source, row.source),
            stride,
            vectors,
            _matrix(row, plan.terms, plan.weights, coefficients, memory),
            row.columns,
            row.rows,
            address(new, row.target),
            stride,
            row.add,
            address(coefficients, row.scale) if row.scale >= 0 else 0,
            address(coefficients, row.left) if row.left >= 0 else 0,
            address(other, row.other) if row.other >= 0 else 0,
            stride,
            address(memory.scratch, 0),
        )


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
    plan: Plan,
    coefficients: Array,
    start: int,
    ends: Array,
    alive: Array,
    memory: Memory,
    columns: int,
    limit: float,
    fixed: int,
    rate: float,
    error: Array,
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
    logs = np.empty(memory.frames.shape[1])
    for tile in range(len(ends)):
        end = ends[tile]
        vectors = alive[tile]
        log_r = logs[:vectors]
        while start < end and vectors > 0:
            steps = min(fixed, end - start) if fixed else next_interval(rate, end - start, limit)
            while True:
                image = _interval(plan, coefficients[start : start + steps], at, vectors, memory)
                frame = memory.frames[image]
                orthonormalize(frame, vectors, columns, memory.projections, log_r, caution)
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
