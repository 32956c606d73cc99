"""The CPU engine: forward pass and tangent kernel compiled by Numba."""

from __future__ import annotations

import numpy as np

from ...arrays import Array
from ...networks.program import Program
from ..interval import Control
from ..reference import Tangent
from ..state import Carry
from .layers import layer_forward
from .loop import Sums, advance_frame
from .plan import make_plan
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
        self.plan = make_plan(program, blas or large)
        self.stride = row_stride(program.width)
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
            tile = int(np.searchsorted(ends, start, side="right"))
            if not alive[tile]:
                start = int(ends[tile])
                continue
            if not (control.graded or carry.state.tilted(control)):
                start = self._run(coefficients, start, ends, alive, carry, control, growth)
            tile = int(np.searchsorted(ends, start, side="right"))
            if start < len(coefficients) and alive[tile]:
                self._step_alone(coefficients[start], carry, control, growth[tile, : alive[tile]])
                start += 1
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
        sums, memory = Sums(counted.error, state.since, state.noise), self.memory
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

    def _step_alone(
        self, coefficients: Array, carry: Carry, control: Control, growth: Array
    ) -> None:
        """Take a step at which the loop stopped: a graded one, or one that overflows."""
        rows = len(growth)
        if control.fixed > 1 or not np.isfinite(carry.state.frame[:rows]).all():
            growth[:] = np.nan
            return
        spread = 2.0 * control.limit
        growth += carry.take_graded_step(self.program, coefficients, rows, spread, control)
