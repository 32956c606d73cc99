"""The CPU engine: forward pass and tangent kernel compiled by Numba."""

from __future__ import annotations

import numpy as np

from ...program import Program
from ...types import Array
from ..carry import Carry
from ..interval import Control
from .forward import layer_forward
from .plan import make_plan
from .qr import workspace_size
from .tangent import advance_frame

__all__ = ["CompiledTangent", "layer_forward"]


class CompiledTangent:
    """The tangent kernel with the tables and workspaces of one trajectory.

    Parameters
    ----------
    program : Program
    vectors : int
        Number k of deviation vectors.
    """

    def __init__(self, program: Program, vectors: int) -> None:
        self.plan = make_plan(program)
        self.columns = program.state_size
        self.buffers = np.zeros((3, vectors, program.width))
        self.merged = np.empty(self.plan.merged_size)
        self.products = np.empty(workspace_size(vectors))

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time; as `ArrayTangent.advance` does."""
        plan = self.plan
        growth = np.empty((len(ends), len(carry.frame)))
        self.buffers[0, :, : self.columns] = carry.frame
        at, rate, intervals, rejections, spread, finite = advance_frame(
            plan.instructions,
            plan.terms,
            plan.weights,
            coefficients,
            ends,
            alive,
            self.buffers,
            self.columns,
            self.merged,
            self.products,
            control.limit,
            control.fixed,
            carry.rate,
            carry.error,
            growth,
        )
        carry.frame[...] = self.buffers[at, :, : self.columns]
        carry.rate = rate
        carry.intervals += intervals
        carry.rejections += rejections
        carry.largest_spread = max(carry.largest_spread, spread)
        if not finite:
            growth[:] = np.nan
        return growth
