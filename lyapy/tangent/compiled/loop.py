"""The loop over tiles and intervals of any network's plan."""

from __future__ import annotations

import inspect
import math
from typing import NamedTuple

import numpy as np

from ...arrays import UNIT_ROUNDOFF, Array
from .. import interval
from ..interval import Control
from .jit import borrowed, compiled, inlined, spliced
from .plan import Plan
from .qr import extremes, orthonormalize
from .step import Memory, step

__all__ = ["IntervalSums", "Reached", "advance_frame"]

for _function in filter(inspect.isfunction, vars(interval).values()):
    inlined(_function)


class IntervalSums(NamedTuple):
    """Arrays (k,) of a carry that intervals change, see `lyapy.tangent.state`."""

    error: Array
    since: Array
    noise: Array


class Reached(NamedTuple):
    """Where the loop stops: buffer of the frame, step, rate, and counts of the intervals."""

    buffer: int
    step: int
    rate: float
    intervals: int
    rejections: int
    largest_spread: float


@spliced
def _image(plan: Plan, coefficients: Array, at: int, vectors: int, memory: Memory) -> int:
    """Apply all steps of ``coefficients`` to frame ``at``, which is kept; return the last's."""
    source = at
    target = (at + 1) % 3
    for t in range(len(coefficients)):
        frame, new = memory.frames[source], memory.frames[target]
        step(plan, plan.instructions, coefficients[t], frame, new, vectors, memory)
        source = target
        target = 3 - at - source
    return source


@spliced
def _count(
    log_r: Array, dual: Array, control: Control, columns: int, sums: IntervalSums, growth: Array
) -> None:
    """Count an accepted interval as `lyapy.tangent.state.Carry.absorb` does."""
    top, floor = extremes(log_r)[1], math.log(columns * UNIT_ROUNDOFF)
    lost = 0.0
    for i in range(len(log_r)):
        sums.since[i] += log_r[i]
        noise = interval.image_noise(log_r[i], top, dual[i])
        if UNIT_ROUNDOFF * noise > 1.0:
            lost = max(lost, noise)
        sums.noise[i] = max(noise, lost)
        sums.error[i] += UNIT_ROUNDOFF * sums.noise[i]
        growth[i] += interval.counted_growth(log_r[i], top, control.limit + control.slack, floor)


@compiled
def advance_frame(
    plan: Plan,
    coefficients: Array,
    start: int,
    ends: Array,
    alive: Array,
    memory: Memory,
    columns: int,
    control: Control,
    rate: float,
    sums: IntervalSums,
    growth: Array,
) -> Reached:
    """Move a frame through a chunk of time, tile by tile, as `Tangent.advance` says.

    The frame is the first of ``memory.frames``. Stops before a step that by itself spreads too
    far or overflows.
    """
    plan, coefficients, memory = borrowed(plan), borrowed(coefficients), borrowed(memory)
    sums, growth = borrowed(sums), borrowed(growth)
    at, limit, fixed = 0, control.limit, control.fixed
    caution = interval.block_spread_limit(limit)
    intervals, rejections, largest = 0, 0, 0.0
    logs, duals = np.empty(memory.frames.shape[1]), np.empty(memory.frames.shape[1])
    for tile in range(len(ends)):
        end = ends[tile]
        vectors = alive[tile]
        log_r, dual = logs[:vectors], duals[:vectors]
        while start < end and vectors > 0:
            steps = interval.first_steps(rate, end - start, limit, fixed)
            while True:
                image = _image(plan, coefficients[start : start + steps], at, vectors, memory)
                frame = memory.frames[image]
                for i in range(vectors):
                    dual[i] = interval.dual_sign(i)
                orthonormalize(
                    frame, vectors, columns, memory.projections, log_r, dual, caution, plan.blas
                )
                low, high = extremes(log_r)
                lowest_dual, highest_dual = extremes(dual)
                largest_dual = max(-lowest_dual, highest_dual)
                spread = interval.interval_spread(high, low, largest_dual, limit)
                shorter = interval.repeated_steps(steps, spread, limit, fixed)
                if shorter == 0:
                    break
                rejections += 1
                steps = shorter
            # an R_ii of zero is a bound in a fixed interval, as in those of more steps
            resolvable = spread < math.inf or fixed <= 1
            alone = steps == 1 and spread > limit + control.slack and resolvable
            if not high < math.inf or alone:
                return Reached(at, start, rate, intervals, rejections, largest)
            _count(log_r, dual, control, columns, sums, growth[tile])
            rate = interval.next_rate(rate, spread, steps)
            largest = max(largest, spread)
            intervals += 1
            at = image
            start += steps
        start = max(start, end)
    return Reached(at, start, rate, intervals, rejections, largest)
