"""Images of a frame under some steps, and their QR: compiled where the program can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg import solve_triangular

from ..arrays import Array
from ..networks.apply import tangent_step
from ..networks.program import Program, by_products
from ..tangent.compiled import LARGE_FRAME, LARGE_STATE
from ..tangent.compiled.jit import borrowed, compiled, inlined
from ..tangent.compiled.plan import Plan, make_plan
from ..tangent.compiled.products import SCRATCH, address, aligned, cross, row_stride
from ..tangent.compiled.qr import orthonormalize, workspace
from ..tangent.compiled.step import Memory, step
from ..tangent.interval import block_spread_limit, dual_sign, interval_spread


class Factored(NamedTuple):
    """Orthonormal rows (k, D) of an image, R (k, k), and the spread of the interval."""

    frame: Array
    upper: Array
    spread: float


class Images(Protocol):
    """Applies a program to up to so many deviation vectors."""

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        """Return the image (k, D) of a frame after all steps (T, C)."""

    def factored(self, coefficients: Array, frame: Array, limit: float) -> Factored:
        """Return the QR of the image: its rows are those of Rᵀ Q′."""


def images_of(program: Program, vectors: int, qr: Qr | None = None) -> Images:
    """Return the images under a program; ``qr`` stands for the QR of special ones."""
    if qr is not None or by_products(program):
        return _Plain(program, qr or _positive_qr)
    return _Compiled(program, vectors)


Qr = Callable[[Array], tuple[Array, Array]]


class _Plain(Images):
    def __init__(self, program: Program, qr: Qr) -> None:
        self.program = program
        self.qr = qr

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        for step_coefficients in coefficients:
            frame = tangent_step(self.program, step_coefficients, frame)
        return np.array(frame)

    def factored(self, coefficients: Array, frame: Array, limit: float) -> Factored:
        image = self(coefficients, frame)
        if not np.isfinite(image).all():
            return Factored(image, image, np.inf)
        after, upper = self.qr(image)
        with np.errstate(divide="ignore"):
            log_r = np.log(np.diagonal(upper))
        dual = 0.0
        if log_r.min() > -np.inf:
            signs = np.array([dual_sign(i) for i in range(len(upper))])
            dual = np.abs(solve_triangular(upper, signs, trans=1, check_finite=False)).max()
        return Factored(after, upper, interval_spread(log_r.max(), log_r.min(), dual, limit))


class _Compiled(Images):
    def __init__(self, program: Program, vectors: int) -> None:
        D, self.stride = program.state_size, row_stride(program.width)
        self.columns = D
        self.plan = make_plan(program, D >= LARGE_STATE and vectors >= LARGE_FRAME)
        self.frames = aligned(3 * vectors * self.stride)
        merged, projections = aligned(self.plan.merged_size), workspace(vectors)
        self.memory = Memory(self.frames, merged, aligned(SCRATCH), projections)

    def _begin(self, frame: Array) -> Memory:
        k = len(frame)
        frames = self.frames[: 3 * k * self.stride].reshape(3, k, self.stride)
        frames[0, :, : self.columns] = frame
        return self.memory._replace(frames=frames)

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        memory = self._begin(frame)
        at = _image(self.plan, coefficients, len(frame), memory)
        return memory.frames[at, :, : self.columns].copy()

    def factored(self, coefficients: Array, frame: Array, limit: float) -> Factored:
        k, memory = len(frame), self._begin(frame)
        upper = np.empty((k, k))
        at, spread = _factored(
            self.plan, coefficients, k, memory, self.columns, limit, np.empty((3, k)), upper
        )
        return Factored(memory.frames[at, :, : self.columns].copy(), upper, spread)


def apply_steps(plan: Plan, coefficients: Array, vectors: int, memory: Memory) -> int:
    """Apply all steps to the first of ``memory.frames``; return which holds the last image."""
    plan, coefficients, memory = borrowed(plan), borrowed(coefficients), borrowed(memory)
    at = 0
    for t in range(len(coefficients)):
        source, target = memory.frames[at], memory.frames[1 - at]
        step(plan, plan.instructions, coefficients[t], source, target, vectors, memory)
        at = 1 - at
    return at


def image_of_steps(plan: Plan, coefficients: Array, vectors: int, memory: Memory) -> int:
    """Compile `apply_steps`."""
    return apply_steps(plan, coefficients, vectors, memory)


def factor_image(
    plan: Plan,
    coefficients: Array,
    vectors: int,
    memory: Memory,
    columns: int,
    limit: float,
    rows: Array,
    upper: Array,
) -> tuple[int, float]:
    """Apply all steps, orthonormalize the image twice, and write R; return the frame's buffer.

    Gram–Schmidt leaves rows orthonormal up to u exp(spread) only, and products with them would
    put that into R; the second time leaves u. Returned too is the spread. ``rows`` (3, k) are
    workspace.
    """
    at = apply_steps(plan, coefficients, vectors, memory)
    frame, image, caution = memory.frames[at], memory.frames[2], block_spread_limit(limit)
    image[:, :columns] = frame[:, :columns]
    log_r, duals, unused = rows[0], rows[1], rows[2]
    for i in range(vectors):
        duals[i] = dual_sign(i)
        unused[i] = 0.0
    orthonormalize(frame, vectors, columns, memory.projections, log_r, duals, caution, plan.blas)
    largest, smallest = log_r.max(), log_r.min()
    orthonormalize(frame, vectors, columns, memory.projections, log_r, unused, caution, plan.blas)
    stride = frame.shape[1]
    q, z = address(frame, 0), address(image, 0)
    cross(q, stride, vectors, z, stride, vectors, columns, address(upper, 0), vectors)
    for i in range(vectors):
        for j in range(i):
            upper[i, j] = 0.0
    return at, interval_spread(largest, smallest, np.abs(duals).max(), limit)


def _positive_qr(image: Array) -> tuple[Array, Array]:
    """Return the orthonormal rows (k, D) of an image and R (k, k), whose diagonal is positive."""
    columns, R = np.linalg.qr(image.T)
    signs = np.where(np.diagonal(R) < 0.0, -1.0, 1.0)
    return np.ascontiguousarray((columns * signs).T), R * signs[:, None]


inlined(apply_steps)
_image, _factored = (compiled(function, __file__) for function in (image_of_steps, factor_image))
