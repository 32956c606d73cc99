"""The CPU engine: forward pass and tangent kernel compiled by Numba."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ...arrays import Array
from ...networks.program import Program
from ..graded.run import GradedRun, repeat_by_qr, well_conditioned
from ..interval import Control
from ..reference import Tangent
from ..state import Carry
from .elimination import Elimination, make_elimination
from .graded import Sums, advance_graded
from .layers import layer_forward
from .loop import IntervalSums, advance_frame
from .plan import Plan, make_plan
from .products import SCRATCH, aligned, row_stride
from .qr import workspace
from .step import Memory

__all__ = ["CompiledTangent", "layer_forward"]

# from here on BLAS, which blocks its products for the caches, is the faster; measured
LARGE_STATE = 1000
LARGE_FRAME = 200


class CompiledTangent(Tangent):
    """The deviation vectors in compiled code, with the tables and workspaces of one trajectory.

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
        self.frames = aligned(3 * vectors * self.stride)
        merged = aligned(self.plan.merged_size)
        self.memory = Memory(self.frames, merged, aligned(SCRATCH), workspace(vectors))

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, as `Tangent.advance` says."""
        rows = np.arange(len(carry.state.frame))
        growth = np.where(rows < alive[:, None], 0.0, -np.inf)
        start = 0
        while start < len(coefficients):
            tile = int(ends.searchsorted(start, "right"))
            if not alive[tile]:
                start = int(ends[tile])
                continue
            spread = 0.0
            if not (control.graded or carry.state.follows_tilt(control)):
                start = self._run(coefficients, start, ends, alive, carry, control, growth)
                # the loop stops before a step that spreads too far
                spread = 2.0 * control.limit
            tile = int(ends.searchsorted(start, "right"))
            if start < len(coefficients) and alive[tile]:
                values, found = coefficients[start : ends[tile]], growth[tile, : alive[tile]]
                start += self._run_graded(values, carry, spread, control, found)
            if np.isnan(growth).any():
                break
        return growth

    def _run(
        self,
        coefficients: Array,
        start: int,
        ends: Array,
        alive: Array,
        carry: Carry,
        control: Control,
        growth: Array,
    ) -> int:
        """Run the loop from step ``start`` on; return the step before which it stops."""
        state, counted, D = carry.state, carry.statistics, self.program.state_size
        k = len(state.frame)
        frames = self.frames[: 3 * k * self.stride].reshape(3, k, self.stride)
        frames[0, :, :D] = state.frame
        sums, memory = IntervalSums(counted.error, state.since, state.noise), self.memory
        at, start, state.rate, *counts = advance_frame(
            self.plan,
            coefficients,
            start,
            ends,
            alive,
            memory._replace(frames=frames),
            D,
            control,
            state.rate,
            sums,
            growth,
        )
        state.frame[...] = frames[at, :, :D]
        counted.count(*counts)
        return int(start)

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
        frames = self.frames[: 2 * k * self.stride].reshape(2, k, self.stride)
        frames[0, :, :D] = frame
        sums = Sums(*np.zeros((3, k)))
        memory = memory._replace(frames=frames)
        arguments = plan, coefficients, scales, memory, work, k, D, control, rate, sums
        at, *reached = advance_graded(*arguments)
        run = GradedRun(frames[at, :, :D].copy(), *sums, *reached)
        if well_conditioned(run):
            return run
        return repeat_by_qr(self.program, coefficients, scales, frame, control, rate)
