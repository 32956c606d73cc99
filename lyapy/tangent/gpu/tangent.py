"""Large frames (B, k, width) of many trajectories on their way through a chunk of time.

A tangent step takes few launches. Terms with one source become one matrix for each trajectory,
which a kernel writes, and one product. A constant weight alone is one large product over the rows
of all trajectories. A kernel for each assignment adds diagonal terms and products.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...cells import sparse
from ...networks.program import Coefficient, Program, Term
from ..interval import Control, accept_interval, next_rate
from ..lowering import Lowered, Product, Sum, lower
from ..state import UNKNOWN_RATE
from .device import Device
from .kernel_text import Launcher, matrix_text, moved_matrices, sum_text, trajectory_kernel
from .orthonormalize import Orthonormalizer

__all__ = ["BatchStep", "BatchTangent", "Found"]

FINITE = float(np.finfo(np.float64).max)
# Terms are added into one matrix for each trajectory from so many vectors per column on: adding
# n × n matrices is as much traffic as a product with n / 2 vectors
MERGED_SHARE = 0.5
# rows begin at multiples of so many entries, as cuBLAS's fast products want it
ALIGNMENT = 8
# takes coefficients (B, C) and vectors (B, k, n), and writes an array (B, k, m)
Multiply = Callable[[Array, Array, Array], None]


def row_width(program: Program) -> int:
    """Return the distance of a frame's rows: the state, auxiliary blocks, and one entry more."""
    return -(-max(program.width, program.state_size + 1) // ALIGNMENT) * ALIGNMENT


class BatchStep:
    """The tangent step of a program on the frames of many trajectories, of k = ``vectors`` rows."""

    def __init__(self, program: Program, vectors: int, device: Device) -> None:
        self.device, self.vectors = device, vectors
        self.width = row_width(program)
        given, many = Coefficient, self._many
        lowered = lower(program, lambda t: isinstance(t.matrix, given) or many(t.source.size))
        self._matrices = moved_matrices(lowered, device)
        self._sums = [(one, *self._make(one, lowered)) for one in lowered.sums]

    def _many(self, columns: int) -> bool:
        return self.vectors >= MERGED_SHARE * columns

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        """Return ``frame @ J.T``, for coefficients (B, C) and frames (B, k, width)."""
        B, k, _ = frame.shape
        if frame.strides[0] != k * frame.strides[1]:
            frame = frame.copy()
        new = self.device.new(B, k, self.width)
        for (target, products, _), multiplied, add_up in self._sums:
            found = []
            for product, multiply in zip(products, multiplied, strict=True):
                out = self.device.new(B, k, target.size) if add_up else new[..., target.columns]
                found.append(out)
                rows = (new if product.new else frame)[..., product.source.columns]
                multiply(coefficients, rows, out)
            if add_up is not None:
                arrays = coefficients, frame, new, *found
                add_up(B, k * target.size, *arrays, k, coefficients.shape[1])
        return new

    def _make(self, one: Sum, lowered: Lowered) -> tuple[list[Multiply], Launcher | None]:
        """Return a sum's products, and the kernel that adds them; None if one alone is the sum."""
        multiplied, scaled, diagonal = list[Multiply](), list[str](), one.diagonal
        for i, product in enumerate(one.products):
            (matrix, left, right), *more = product.summands
            merged = bool(more) or isinstance(matrix, Coefficient)
            # a constant matrix alone multiplies vectors that are scaled themselves, if few
            few = lowered.is_sparse(product) or not self._many(one.target.size)
            merged |= right is not None and not few
            if merged:
                inside = diagonal if _fits(one) else ()
                multiplied.append(self._merged(product, one.target.size, inside))
                diagonal = () if inside else diagonal
            else:
                assert isinstance(matrix, int)
                multiplied.append(self._constant(self._matrices[matrix], right))
            before = f"values[{left.start} + c] * " if left and not merged else ""
            scaled.append(f"{before}p{i}[i]")
        plain = scaled == ["p0[i]"] and not diagonal
        return multiplied, None if plain else self._adding(one, scaled, diagonal)

    def _merged(self, product: Product, rows: int, diagonal: tuple[Term, ...]) -> Multiply:
        """Return the product with a matrix for each trajectory, which a kernel writes."""
        size, columns = rows * product.source.size, product.source.size
        numbers = [s.matrix for s in product.summands if isinstance(s.matrix, int)]
        constants = {f"const real* m{i}": self._matrices[i] for i in numbers}
        body = f"""    const real* values = coefficients + b * C;
    real* matrix = matrices + b * {size};{matrix_text(product, rows, diagonal)}"""
        given = ["const real* coefficients", "real* matrices", *constants, "long long C"]
        merge = Launcher(self.device, trajectory_kernel("merge", given, body), "merge")

        def multiply(coefficients: Array, vectors: Array, out: Array) -> None:
            (B, C), matrices = coefficients.shape, self.device.new(len(out), columns, rows)
            merge(B, size, coefficients, matrices, *constants.values(), C)
            self.device.multiply(vectors, matrices, out)

        return multiply

    def _constant(self, matrix: Any, right: Coefficient | None) -> Multiply:
        """Return the product with a constant matrix, of vectors with a factor."""

        def multiply(coefficients: Array, vectors: Array, out: Array) -> None:
            if right is not None:
                vectors = vectors * coefficients[:, None, right.entries]
            if hasattr(matrix, "nnz"):
                rows = vectors.reshape(-1, vectors.shape[2])
                out[...] = sparse.product(rows, matrix).reshape(out.shape)
            else:
                self.device.multiply(vectors, matrix, out)

        return multiply

    def _adding(self, one: Sum, scaled: list[str], diagonal: tuple[Term, ...]) -> Launcher:
        found = [f"p{i} += b * rows * {one.target.size};" for i in range(len(scaled))]
        body = f"""    const real* values = coefficients + b * C;
    const real* frame = frames + b * rows * ROW;
    real* result = results + b * rows * ROW;
    {" ".join(found)}{sum_text(one, scaled, diagonal)}"""
        given = ["const real* coefficients", "const real* frames", "real* results"]
        given += [f"const real* p{i}" for i in range(len(scaled))]
        given += ["long long rows", "long long C"]
        text = trajectory_kernel("add_up", given, body, f"#define ROW {self.width}")
        return Launcher(self.device, text, "add_up")


def _fits(one: Sum) -> bool:
    """Whether the diagonal terms can stand in the matrix of the only product."""
    if len(one.products) > 1:
        return False
    source, new = one.products[0][:2]
    same = all((term.source, term.new) == (source, new) for term in one.diagonal)
    return same and source.size == one.target.size


class Found(NamedTuple):
    """What B trajectories add in a chunk of tiles; on the host."""

    # (tiles, B, k): sum of log R_ii over each tile; −∞ for dead directions
    growth: Array
    # (B, k): its estimated rounding error
    error: Array
    # (B, k): rounding of each vector's image in the last interval, relative, over the roundoff
    noise: Array
    # (B,): accepted and rejected intervals, and the largest spread of the accepted ones
    intervals: Array
    rejections: Array
    spread: Array
    # (B,): trajectories that the device cannot take through the chunk
    failed: Array


class BatchTangent:
    """The deviation vectors of a program along B trajectories, with one interval for all.

    It follows from the largest spread among them, which is read once at the end of an interval.
    Given are frames (B, k, D) and the spreads expected per step (B,), of the host. ``frames`` are
    on the device, and replaced, never changed in place; columns from D on are of no use.
    """

    def __init__(
        self, program: Program, frames: Array, rates: Array, device: Device, control: Control
    ) -> None:
        self.device, self.control = device, control
        self.program, self.state_size = program, program.state_size
        self.rates = np.full(len(rates), rates.max() or UNKNOWN_RATE)
        self.frames: Any = device.new(*frames.shape[:2], row_width(program))
        self.replace(range(len(frames)), frames, rates)

    # compiled when they are needed: a host may do all

    @cached_property
    def _step(self) -> BatchStep:
        return BatchStep(self.program, self.frames.shape[1], self.device)

    @cached_property
    def _qr(self) -> Orthonormalizer:
        return Orthonormalizer(self.frames.shape[1], self.state_size, self.device, self.control)

    @cached_property
    def _zeros(self) -> Any:
        B, k, _ = self.frames.shape
        return self.device.to_device(np.zeros((B, 3, k)))

    def host_frames(self, at: Any = slice(None), frames: Any = None) -> Array:
        """Return frames (k, D) of some trajectories, those now or earlier ones, in float64."""
        frames = self.frames if frames is None else frames
        found: Array = self.device.to_host(frames[at][..., : self.state_size])
        return found.astype(np.float64)

    def replace(self, at: Any, frames: Array, rates: Array) -> None:
        """Replace the frames (k, D) of some trajectories, and their expected spreads."""
        moved = self.frames.copy()
        moved[list(at), :, : self.state_size] = self.device.moved(frames)
        self.frames = moved

    def orthonormalize(self) -> None:
        """Orthonormalize all frames to working precision."""
        frames = self.frames.copy()
        self._qr(frames, self._zeros)
        self.frames = frames

    def frame_errors(self, rows: Array) -> Array:
        """Return the largest entry of |Q Qᵀ − 1| (B,) among some rows (B, k) of each frame."""
        Q, (B, k, _) = self.frames[..., : self.state_size], self.frames.shape
        products = self.device.new(B, k, k)
        self.device.multiply(Q, np.swapaxes(Q, 1, 2), products)
        identity, among = self.device.moved(np.eye(k)), self.device.to_device(rows)
        defects = np.absolute(products - identity)
        defects = np.where(among[:, :, None] & among[:, None, :], defects, 0.0)
        found: Array = self.device.to_host(np.max(defects, axis=(1, 2)))
        return found.astype(np.float64)

    # what has failed goes on as NaN or infinity, to no effect
    @np.errstate(divide="ignore", invalid="ignore", over="ignore")
    def advance(self, coefficients: Array, ends: Array, alive: Array, skip: Array) -> Found:
        """Move all frames through a chunk of tiles.

        Given are coefficients (T, B, C) on the device, the ``ends`` (tiles,) of the tiles, and how
        many directions are ``alive`` (tiles, B), the first rows of a frame; the others stay as
        they are. Frames of trajectories to ``skip`` (B,) are of no use afterwards.
        """
        B, k, _ = self.frames.shape
        control, rate, sums, followed = self.control, float(self.rates[0]), [], []
        among, widest = ~skip, np.zeros(B)
        start = intervals = rejections = 0
        for end, living in zip(ends.tolist(), alive, strict=True):
            rows = int(living.max(where=among, initial=0))
            among &= living >= rows
            frame, counted = self.frames[:, :rows], self._zeros
            while rows and start < end:
                attempt = partial(self._attempt, coefficients, start, frame, counted, among)
                found, worst, steps, rejected = accept_interval(attempt, rate, end - start, control)
                rejections += rejected
                (image, results, spread), most = found, control.limit if steps == 1 else FINITE
                if not worst <= most:
                    among &= spread <= most
                    if not among.any():
                        break
                    worst = float(spread.max(where=among, initial=0.0))
                np.maximum(widest, spread, out=widest)
                rate = next_rate(rate, worst, steps)
                frame, counted, start, intervals = image, results, start + steps, intervals + 1
            if rows:
                kept = self.frames[:, rows:]
                self.frames = np.concatenate([frame, kept], axis=1) if rows < k else frame
            sums.append(counted)
            followed.append(rows)
            start = end
        self.rates[:] = rate
        # the host waits once
        growth, error, noise = np.moveaxis(self.device.to_host(np.stack(sums)), 2, 0)
        for tile, lost, living in zip(growth, error, followed, strict=True):
            # nobody has written there
            tile[:, living:], lost[:, living:] = -np.inf, 0.0
        counts = np.full(B, intervals), np.full(B, rejections)
        return Found(growth, error.sum(axis=0), noise[-1], *counts, widest, ~among)

    def _attempt(
        self, coefficients: Array, start: int, frame: Array, sums: Array, among: Array, steps: int
    ) -> tuple[tuple[Array, Array, Array], float]:
        """Return frames, sums and spreads after an interval, and the largest spread ``among``."""
        image = frame
        for t in range(start, start + steps):
            image = self._step(coefficients[t], image)
        results, state = self._qr(image, sums)
        spread = self.device.to_host(state)[:, 3]
        return (image, results, spread), float(spread.max(where=among, initial=0.0))
