"""The loop over tiles and intervals of any network's plan, for trajectories in lockstep.

Each trajectory takes its own intervals. But in lockstep all take a step of theirs at the same time,
panel by panel of the weights, which are then read once for all of them. The numbers of one do not
depend on the others.
"""

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
from .simd.tiles import PANEL
from .step import Memory, can_be_cut, carry_out

__all__ = ["Chunk", "Sums", "advance_frames"]

for _function in filter(inspect.isfunction, vars(interval).values()):
    inlined(_function)


class Chunk(NamedTuple):
    """A chunk of time: coefficients (B, T, C) of the trajectories, and its tiles.

    ``ends`` (tiles,) are the steps at which these end, ``alive`` (B, tiles) the directions that are
    not dead there.
    """

    coefficients: Array
    ends: Array
    alive: Array


class Sums(NamedTuple):
    """Arrays of each trajectory that intervals change.

    Attributes
    ----------
    growth : array (B, tiles, k)
    error, since, noise : array (B, k)
        Of a carry, see `lyapy.tangent.state`.
    rates, spreads : array (B,)
        Expected spread per step, and the largest so far.
    counts : array (B, 4)
        The step reached, the buffer of the frame, accepted intervals and rejected ones.
    """

    growth: Array
    error: Array
    since: Array
    noise: Array
    rates: Array
    spreads: Array
    counts: Array


STEP, BUFFER, ACCEPTED, REJECTED = range(4)


class Interval(NamedTuple):
    """The interval that each trajectory (B,) is in.

    Its tile, its steps, and how many of them are done; which frame has their image, and which is
    the next one's; the directions that are alive.
    """

    tile: Array
    steps: Array
    done: Array
    source: Array
    target: Array
    vectors: Array


@spliced
def _count(
    log_r: Array, dual: Array, control: Control, columns: int, sums: Sums, b: int, tile: int
) -> None:
    """Count an accepted interval as `lyapy.tangent.state.Carry.absorb` does."""
    top, floor = extremes(log_r)[1], math.log(columns * UNIT_ROUNDOFF)
    since, noises, error = sums.since[b], sums.noise[b], sums.error[b]
    growth = sums.growth[b, tile]
    lost = 0.0
    for i in range(len(log_r)):
        since[i] += log_r[i]
        noise = interval.image_noise(log_r[i], top, dual[i], control.fixed)
        if UNIT_ROUNDOFF * noise > 1.0:
            lost = max(lost, noise)
        noises[i] = max(noise, lost)
        error[i] += UNIT_ROUNDOFF * noises[i]
        growth[i] += interval.counted_growth(log_r[i], top, control.limit + control.slack, floor)


@spliced
def _step(
    plan: Plan, chunk: Chunk, memory: Memory, running: Array, now: Interval, sums: Sums
) -> None:
    """Take one step of each ``running`` trajectory, of whose intervals it is the next."""
    together, merged, scratch = len(running), memory.merged, memory.scratch
    for i in range(len(plan.instructions)):
        row = plan.instructions[i]
        cut = together > 1 and can_be_cut(plan, row)
        width = PANEL if cut else max(row.rows, 1)
        for first in range(0, row.rows, width):
            for m in range(together):
                b = running[m]
                frame, new = memory.frames[b, now.source[b]], memory.frames[b, now.target[b]]
                values = chunk.coefficients[b, sums.counts[b, STEP] + now.done[b]]
                last, vectors = min(first + width, row.rows), now.vectors[b]
                carry_out(plan, row, values, frame, new, vectors, merged, scratch, first, last)
    for m in range(together):
        b = running[m]
        at = sums.counts[b, BUFFER]
        now.source[b] = now.target[b]
        now.target[b] = 3 - at - now.source[b]
        now.done[b] += 1


@inlined
def _begin(b: int, steps: int, now: Interval, sums: Sums) -> None:
    """Begin an interval, or repeat it with fewer steps."""
    at = sums.counts[b, BUFFER]
    now.steps[b], now.done[b] = steps, 0
    now.source[b], now.target[b] = at, (at + 1) % 3


@inlined
def _next(b: int, chunk: Chunk, control: Control, now: Interval, sums: Sums) -> bool:
    """Begin the next interval, if there is one."""
    while now.tile[b] < len(chunk.ends):
        tile, start = now.tile[b], sums.counts[b, STEP]
        end, vectors = chunk.ends[tile], chunk.alive[b, tile]
        if start < end and vectors > 0:
            now.vectors[b] = vectors
            steps = interval.first_steps(sums.rates[b], end - start, control.limit, control.fixed)
            _begin(b, steps, now, sums)
            return True
        sums.counts[b, STEP] = max(start, end)
        now.tile[b] += 1
    return False


@spliced
def _conclude(
    b: int,
    plan: Plan,
    chunk: Chunk,
    memory: Memory,
    columns: int,
    control: Control,
    rows: Array,
    now: Interval,
    sums: Sums,
) -> bool:
    """Reorthonormalize at the end of an interval, and accept it or not; return whether to go on.

    ``rows`` (2, k) are workspace.
    """
    limit, fixed, steps = control.limit, control.fixed, now.steps[b]
    vectors, counts = now.vectors[b], sums.counts[b]
    log_r, dual, frame = rows[0, :vectors], rows[1, :vectors], memory.frames[b, now.source[b]]
    for i in range(vectors):
        dual[i] = interval.dual_sign(i)
    caution = interval.block_spread_limit(limit)
    orthonormalize(frame, vectors, columns, memory.projections, log_r, dual, caution, plan.blas)
    low, high = extremes(log_r)
    lowest_dual, highest_dual = extremes(dual)
    largest_dual = max(-lowest_dual, highest_dual)
    spread = interval.interval_spread(high, low, largest_dual, limit)
    shorter = interval.repeated_steps(steps, spread, limit, fixed)
    going = True
    if shorter > 0:
        counts[REJECTED] += 1
        _begin(b, shorter, now, sums)
    else:
        # an R_ii of zero is a bound in a fixed interval, as in those of more steps
        resolvable = spread < math.inf or fixed <= 1
        alone = steps == 1 and spread > limit + control.slack and resolvable
        going = high < math.inf and not alone
        if going:
            _count(log_r, dual, control, columns, sums, b, now.tile[b])
            sums.rates[b] = interval.next_rate(sums.rates[b], spread, steps)
            sums.spreads[b] = max(sums.spreads[b], spread)
            counts[ACCEPTED] += 1
            counts[BUFFER] = now.source[b]
            counts[STEP] += steps
            going = _next(b, chunk, control, now, sums)
    return going


@compiled
def advance_frames(
    plan: Plan,
    chunk: Chunk,
    memory: Memory,
    columns: int,
    control: Control,
    sums: Sums,
) -> None:
    """Move frames through a chunk of time, tile by tile, as `Tangent.advance` says.

    The frame of each trajectory is the first of its ``memory.frames`` (B, 3, k, stride). Stops
    before a step that by itself spreads too far or overflows.
    """
    plan, chunk, memory, sums = borrowed(plan), borrowed(chunk), borrowed(memory), borrowed(sums)
    B = len(chunk.coefficients)
    places = np.zeros((7, B), np.int64)
    now = Interval(places[0], places[1], places[2], places[3], places[4], places[5])
    running, count = places[6], 0
    rows = np.empty((2, memory.frames.shape[2]))
    for b in range(B):
        if _next(b, chunk, control, now, sums):
            running[count] = b
            count += 1
    while count > 0:
        _step(plan, chunk, memory, running[:count], now, sums)
        kept = 0
        for m in range(count):
            b, going = running[m], True
            if now.done[b] == now.steps[b]:
                going = _conclude(b, plan, chunk, memory, columns, control, rows, now, sums)
            if going:
                running[kept] = b
                kept += 1
        count = kept
