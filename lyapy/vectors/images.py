"""Images of a frame under some steps: compiled where the program can be, and plain otherwise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arrays import Array
from ..networks.apply import tangent_step
from ..networks.program import Program, by_products
from ..tangent.compiled import LARGE_FRAME, LARGE_STATE
from ..tangent.compiled.jit import compiled
from ..tangent.compiled.plan import Plan, make_plan
from ..tangent.compiled.products import SCRATCH, aligned, row_stride
from ..tangent.compiled.step import Memory, step

__all__ = ["Images", "images_of"]

# from coefficients (T, C) and a frame (k, D) to the frame's image after all T steps
Images = Callable[[Array, Array], Array]


def images_of(program: Program, vectors: int) -> Images:
    """Return the function that applies a program to up to ``vectors`` deviation vectors."""
    if by_products(program):
        return lambda coefficients, frame: _plain(program, coefficients, frame)
    D, stride = program.state_size, row_stride(program.width)
    plan = make_plan(program, D >= LARGE_STATE and vectors >= LARGE_FRAME)
    frames = aligned(3 * vectors * stride)
    memory = Memory(frames, aligned(plan.merged_size), aligned(SCRATCH), aligned(1))

    def images(coefficients: Array, frame: Array) -> Array:
        k = len(frame)
        own = memory._replace(frames=frames[: 3 * k * stride].reshape(3, k, stride))
        own.frames[0, :, :D] = frame
        return own.frames[_compiled(plan, coefficients, k, own), :, :D].copy()

    return images


def _plain(program: Program, coefficients: Array, frame: Array) -> Array:
    for step_coefficients in coefficients:
        frame = tangent_step(program, step_coefficients, frame)
    return np.array(frame)


def apply_steps(plan: Plan, coefficients: Array, vectors: int, memory: Memory) -> int:
    """Apply all steps to the first of ``memory.frames``; return which holds the last image."""
    at = 0
    for t in range(len(coefficients)):
        step(plan, coefficients[t], memory.frames[at], memory.frames[1 - at], vectors, memory)
        at = 1 - at
    return at


_compiled = compiled(apply_steps, __file__)
