"""The CPU engine: forward pass and tangent kernel compiled by Numba."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from functools import cached_property

import numpy as np

from ...arrays import Array, stacked
from ...networks.program import Program
from ..graded.run import GradedRun, repeat_by_qr, well_conditioned
from ..interval import Control
from ..reference import Leg, Tangent
from ..state import Carry
from .elimination import Elimination, make_elimination
from .graded import GradedSums, advance_graded
from .layers import layer_forward
from .loop import ACCEPTED, BUFFER, REJECTED, STEP, Chunk, Sums, advance_frames
from .plan import CACHE, Plan, make_plan
from .products import SCRATCH, aligned, row_stride
from .qr import workspace
from .step import Memory

__all__ = ["CompiledTangent", "layer_forward"]

# from here on BLAS, which blocks its products for the caches, is the faster; measured
LARGE_STATE = 1000
LARGE_FRAME = 200


class CompiledTangent(Tangent):
    """The deviation vectors in compiled code, with tables and workspaces.

    Parameters
    ----------
    program : Program
    vectors : int
        Largest number of deviation vectors.
    blas : bool
        Leave all products to BLAS, which can use several threads.
    """

    def __init__(self, program: Program, vectors: int, blas: bool = False) -> None:
        super().__init__(program, vectors)
        large = program.state_size >= LARGE_STATE and vectors >= LARGE_FRAME
        self.blas = blas or large
        self.plan = make_plan(program, self.blas)
        self.stride = row_stride(max(each.width for each in (program, *program.stages)))
        self._space = np.zeros(0)

    @cached_property
    def memory(self) -> Memory:
        """The workspaces, but for frames: only the first of trajectories in lockstep needs them."""
        merged = aligned(self.plan.merged_size)
        return Memory(self._space, merged, aligned(SCRATCH), workspace(self.vectors))

    def _frames(self, *shape: int) -> Array:
        """Return workspace for frames, not cleared."""
        size = math.prod(shape) * self.stride
        if len(self._space) < size:
            self._space = aligned(size)
        return self._space[:size].reshape(*shape, self.stride)

    def most_together(self, k: int) -> int:
        """Return how many trajectories go in lockstep, at most.

        Frames are read once for each panel of the weights, which are read once for all of them.
        Where the weights are small, all of these are to stay in the cache.
        """
        if self.blas:
            return 1
        size = int(self.plan.weights.nbytes)
        room = size // 4 if size > CACHE else CACHE // 16
        return max(1, room // (8 * k * self.stride))

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, as `Tangent.advance` says."""
        leg = Leg(self, coefficients, ends, alive, carry, control)
        (growth,) = self.advance_all([leg])
        return growth

    @staticmethod
    def advance_all(legs: Sequence[Leg]) -> list[Array]:
        """Move frames through a chunk of time, as many as fit into the cache in lockstep."""
        first: CompiledTangent = legs[0].tangent
        most = first.most_together(len(legs[0].carry.state.frame))
        pieces = [legs[i : i + most] for i in range(0, len(legs), most)]
        return [growth for piece in pieces for growth in first._in_lockstep(piece)]

    def _in_lockstep(self, legs: Sequence[Leg]) -> list[Array]:
        k = len(legs[0].carry.state.frame)
        alive = stacked([leg.alive for leg in legs])
        growth = np.where(np.arange(k) < alive[:, :, None], 0.0, -np.inf)
        coefficients = stacked([leg.coefficients for leg in legs])
        walks = [leg.tangent._walk(leg, found) for leg, found in zip(legs, growth, strict=True)]
        starts = {b: next(walk, -1) for b, walk in enumerate(walks)}
        while waiting := [b for b, start in starts.items() if start >= 0]:
            some = [legs[b] for b in waiting]
            chunk = coefficients if len(some) == len(legs) else coefficients[waiting]
            reached = self._run(some, chunk, [starts[b] for b in waiting], growth, waiting)
            for b, start in zip(waiting, reached, strict=True):
                try:
                    starts[b] = walks[b].send(start)
                except StopIteration:
                    starts[b] = -1
        return list(growth)

    def _walk(self, leg: Leg, growth: Array) -> Generator[int, int, None]:
        """Yield the steps from which on the loop is to run, and receive where it stopped.

        The steps between are graded ones, which are taken here.
        """
        coefficients, ends, alive, carry, control = leg[1:]
        start, T = 0, len(coefficients)
        while start < T:
            tile = int(ends.searchsorted(start, "right"))
            if not alive[tile]:
                start = int(ends[tile])
                continue
            spread = 0.0
            if not (control.graded or carry.state.follows_tilt(control)):
                start = yield start
                if start == T:
                    break
                # the loop stops before a step that spreads too far
                spread = 2.0 * control.limit
                tile = int(ends.searchsorted(start, "right"))
            if alive[tile]:
                values, found = coefficients[start : ends[tile]], growth[tile, : alive[tile]]
                start += self._run_graded(values, carry, spread, control, found)
                if np.isnan(found).any():
                    break

    def _run(
        self,
        legs: Sequence[Leg],
        coefficients: Array,
        starts: Sequence[int],
        growth: Array,
        places: Sequence[int],
    ) -> list[int]:
        """Run the loop from some steps on; return the steps before which it stops."""
        B, D = len(legs), self.program.state_size
        states = [leg.carry.state for leg in legs]
        k = len(states[0].frame)
        frames = self._frames(B, 3, k)
        for b, state in enumerate(states):
            frames[b, 0, :, :D] = state.frame
        counts = np.zeros((B, 4), np.int64)
        counts[:, STEP] = starts
        errors = [leg.carry.statistics.error for leg in legs]
        sums = Sums(
            growth if len(growth) == B else growth[places],
            stacked(errors),
            stacked([state.since for state in states]),
            stacked([state.noise for state in states]),
            np.array([state.rate for state in states]),
            np.zeros(B),
            counts,
        )
        chunk = Chunk(coefficients, legs[0].ends, stacked([leg.alive for leg in legs]))
        memory = self.memory._replace(frames=frames)
        advance_frames(self.plan, chunk, memory, D, legs[0].control, sums)
        if len(growth) > B:
            growth[places] = sums.growth
        for b, leg in enumerate(legs):
            state, statistics, found = leg.carry.state, leg.carry.statistics, counts[b].tolist()
            state.frame[...] = frames[b, found[BUFFER], :, :D]
            statistics.error[:], state.since[:] = sums.error[b], sums.since[b]
            state.noise[:], state.rate = sums.noise[b], float(sums.rates[b])
            statistics.count(found[ACCEPTED], found[REJECTED], float(sums.spreads[b]))
        return [int(step) for step in counts[:, STEP]]

    def _run_graded(
        self, coefficients: Array, carry: Carry, spread: float, control: Control, growth: Array
    ) -> int:
        """Take graded steps, or one that overflows; return their number."""
        rows = len(growth)
        # a fixed interval of several steps stops the loop only where it overflows
        overflows = control.fixed > 1 and len(coefficients) > 1
        if overflows or not np.isfinite(carry.state.frame[:rows]).all():
            growth[:] = np.nan
            return 1
        advance = self._advance_graded
        found, steps = carry.take_graded_steps(advance, coefficients, rows, spread, control)
        growth += found
        return steps

    @cached_property
    def graded(self) -> tuple[Plan, Memory, Elimination]:
        """Products of the stages, and the workspaces of products and of eliminations."""
        plan = make_plan(self.program, self.blas, by_stages=True)
        memory = self.memory._replace(merged=aligned(plan.merged_size))
        return plan, memory, make_elimination(self.vectors, self.program.state_size)

    def _advance_graded(
        self, coefficients: Array, scales: Array, frame: Array, control: Control, rate: float
    ) -> GradedRun:
        k, D = frame.shape
        plan, memory, work = self.graded
        frames = self._frames(2, k)
        frames[0, :, :D] = frame
        sums = GradedSums(*np.zeros((3, k)))
        memory = memory._replace(frames=frames)
        arguments = plan, coefficients, scales, memory, work, k, D, control, rate, sums
        at, *reached = advance_graded(*arguments)
        run = GradedRun(frames[at, :, :D].copy(), *sums, *reached)
        if well_conditioned(run):
            return run
        return repeat_by_qr(self.program, coefficients, scales, frame, control, rate)
