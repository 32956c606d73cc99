"""The run of graded steps of `lyapy.tangent.graded.run`, compiled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...arrays import UNIT_ROUNDOFF, Array
from .. import interval
from ..interval import Control
from .elimination import Elimination, eliminate, restore
from .jit import borrowed, compiled, inlined, spliced
from .plan import Plan
from .products import address
from .qr import extremes, orthonormalize
from .simd.elimination_tiles import sizes_tile
from .simd.vectors import PANEL
from .step import Memory, step

__all__ = ["GradedSums", "advance_graded"]

_SIZES = sizes_tile()


class GradedSums(NamedTuple):
    """Arrays (k,) that the run adds to: see `GradedRun`."""

    log_r: Array
    growth: Array
    error: Array


class Reached(NamedTuple):
    """Buffer of the frame, steps taken, rate, largest spread, and |R⁻ᵀ b|, ∞ after an overflow."""

    buffer: int
    steps: int
    rate: float
    spread: float
    dual: float


# slices and methods of arrays would compile Numba's checks, and their messages, for seconds
@inlined
def _fill(target: Array, value: float) -> None:
    for i in range(len(target)):
        target[i] = value


@inlined
def _scale(frame: Array, rows: int, columns: int, factor: float) -> None:
    for i in range(rows):
        row = frame[i]
        for d in range(columns):
            row[d] *= factor


@spliced
def _replace(image: Array, rows: int, columns: int, order: Array, growth: Array) -> None:
    """Put another in the place of each vector that vanished, but for coordinates before it."""
    for i in range(rows):
        if growth[i] == 0.0:
            row = image[i]
            for d in range(columns):
                row[order[d]] = 0.0 if d < i else interval.filling(i, order[d])


@spliced
def _add_underflowed(image: Array, rows: int, columns: int, largest: Array, least: Array) -> None:
    """Move coordinates in which numbers underflow, as `add_underflowed` does."""
    size = math.exp(interval.UNDERFLOW)
    for d in range(columns):
        # larger numbers do not change
        if least[d] < interval.TINY or largest[d] == 0.0:
            for i in range(rows):
                if abs(image[i, d]) < 1e20 * size:
                    image[i, d] += size * interval.filling(i, d)
                    largest[d] = max(largest[d], abs(image[i, d]))


@compiled
def advance_graded(
    plan: Plan,
    coefficients: Array,
    scales: Array,
    memory: Memory,
    work: Elimination,
    rows: int,
    columns: int,
    control: Control,
    rate: float,
    sums: GradedSums,
) -> Reached:
    """Advance the first of ``memory.frames`` by graded steps, as `graded_run` does."""
    plan, coefficients, memory = borrowed(plan), borrowed(coefficients), borrowed(memory)
    work, stride = borrowed(work), memory.frames.shape[2]
    whole = -(-columns // PANEL) * PANEL
    floor, admitted = math.log(columns * UNIT_ROUNDOFF), interval.admitted_ratio(control.limit)
    largest, least = np.empty(stride), np.empty(stride)
    diagonal, terms, logs = np.empty(rows), np.empty(rows), np.empty(rows)
    growth, rounded = np.empty(rows), np.empty(rows)
    at, scale, widest, steps = 0, 1.0, 0.0, 0
    for t in range(len(coefficients)):
        factorized = False
        _fill(logs, 0.0)
        for stage in range(len(plan.ends)):
            if scales[t] != 1.0:
                _scale(memory.frames[at], rows, columns, scales[t])
                scale *= scales[t]
            first = plan.ends[stage - 1] if stage > 0 else 0
            instructions = plan.instructions[first : plan.ends[stage]]
            source, target = memory.frames[at], memory.frames[1 - at]
            step(plan, instructions, coefficients[t], source, target, rows, memory)
            at = 1 - at
            image = memory.frames[at]
            tops, bottoms = address(largest, 0), address(least, 0)
            _SIZES((address(image, 0), stride, rows, whole, tops, bottoms))
            if scales[t] != 1.0:
                _add_underflowed(image, rows, columns, largest, least)
            low, high = extremes(largest[:columns])
            if not high < math.inf:
                return Reached(at, t + 1, rate, widest, math.inf)
            last = stage == len(plan.ends) - 1
            if high <= admitted * low and (factorized or not last):
                continue
            factorized = True
            eliminate(image, rows, columns, work, diagonal, terms, plan.blas)
            if extremes(diagonal)[0] == 0.0:
                for i in range(rows):
                    growth[i], rounded[i] = diagonal[i], terms[i]
                _replace(image, rows, columns, work.order, growth)
                eliminate(image, rows, columns, work, diagonal, terms, plan.blas)
                for i in range(rows):
                    if growth[i] == 0.0:
                        diagonal[i], terms[i] = 0.0, rounded[i]
            restore(work, image, rows, columns)
            for i in range(rows):
                log = math.log(diagonal[i] / scale) if diagonal[i] != 0.0 else -math.inf
                top = math.log(terms[i] / scale) if terms[i] > 0.0 else -math.inf
                counted = interval.eliminated_growth(log, top, floor)
                logs[i] += log
                sums.growth[i] += counted.growth
                sums.error[i] += counted.error
                if log < interval.UNDERFLOW:
                    for j in range(i, rows):
                        sums.error[j] = math.inf
                widest = max(widest, counted.spread)
            scale = 1.0
        for i in range(rows):
            sums.log_r[i] += logs[i]
        steps = t + 1
        rate = interval.next_rate(rate, interval.eliminated_spread(logs), 1)
        if interval.leaves_run(rate, control):
            break
    for i in range(rows):
        diagonal[i] = interval.dual_sign(i)
    caution = interval.block_spread_limit(control.limit)
    frame = memory.frames[at]
    orthonormalize(frame, rows, columns, memory.projections, logs, diagonal, caution, plan.blas)
    for i in range(rows):
        sums.log_r[i] += logs[i] - math.log(scale)
        sums.growth[i] += logs[i] - math.log(scale)
    low, high = extremes(diagonal)
    return Reached(at, steps, rate, widest, max(-low, high))
