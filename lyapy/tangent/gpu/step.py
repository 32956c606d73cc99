"""The tangent step of frames (B, k, width) with few launches: matrices, products, sums.

Terms with one source become one matrix for each trajectory, which a kernel writes, and one
product. A constant weight alone is one large product over the rows of all trajectories. A
kernel for each assignment adds diagonal terms and products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...cells import sparse
from ...cells.sparse import Sparse
from ...networks.program import Coefficient, Program, Term
from ..lowering import Lowered, Product, Sum, Summand, lower
from .device import Device, Kernel
from .kernel_text import BLOCK, grid_for, grid_kernel, over_all
from .precision import Precision

__all__ = ["BatchStep", "diagonal_entry", "matrix_entry", "moved_matrices", "row_width"]

# Terms are added into one matrix for each trajectory from so many vectors per column on: adding
# n × n matrices is as much traffic as a product with n / 2 vectors
MERGED_SHARE = 0.5
# rows begin at multiples of so many entries, as cuBLAS's fast products want it
ALIGNMENT = 8


def row_width(program: Program) -> int:
    """Return the distance of a frame's rows: the state, auxiliary blocks, and one entry more."""
    return -(-max(program.width, program.state_size + 1) // ALIGNMENT) * ALIGNMENT


def moved_matrices(lowered: Lowered, device: Device, precision: Precision) -> list[Array]:
    """Return a program's constant matrices on the device, dense ones transposed."""
    return [
        device.moved(matrix if isinstance(matrix, Sparse) else matrix.T, precision.name)
        for matrix in lowered.matrices
    ]


def matrix_entry(summand: Summand, columns: int, values: str) -> str:
    """Return entry (c, r), the j-th, of a summand's transposed matrix, with its factors.

    Parameters
    ----------
    values : str
        The step's coefficients.
    """
    matrix = f"m{summand.matrix}[j]"
    if isinstance(summand.matrix, Coefficient):
        matrix = f"{values}[{summand.matrix.start} + r * {columns} + c]"
    left = [f"{values}[{summand.left.start} + r]"] if summand.left else []
    right = [f"{values}[{summand.right.start} + c]"] if summand.right else []
    return " * ".join([*left, matrix, *right])


def diagonal_entry(term: Term, values: str, new: str, old: str) -> str:
    """Return entry c of a diagonal term, of a row of the frame after or before the step."""
    factors = [f"{values}[{one.start} + c]" for one in (term.left, term.right) if one is not None]
    return " * ".join([*factors, f"{new if term.new else old}[{term.source.start} + c]"])


Compiler = Callable[[str, str], Kernel]


class _Step(NamedTuple):
    """A sum; kernels that write the matrices of its products, and one that adds up.

    Attributes
    ----------
    merging : tuple of Kernel or None
        For each product; None where its matrix is constant.
    adding : Kernel or None
        None where there is one product, which needs no factors.
    """

    sum: Sum
    merging: tuple[Kernel | None, ...]
    adding: Kernel | None


class BatchStep:
    """The tangent step of a program on the frames of many trajectories.

    Parameters
    ----------
    vectors : int
        k.
    merged_share : float
        Terms are merged from so many vectors per column on.
    """

    def __init__(
        self,
        program: Program,
        vectors: int,
        device: Device,
        precision: Precision,
        merged_share: float = MERGED_SHARE,
    ) -> None:
        self.device = device
        self.width = row_width(program)

        def many(term: Term) -> bool:
            given = isinstance(term.matrix, Coefficient)
            return given or vectors >= merged_share * term.source.size

        lowered = lower(program, many)
        self._matrices = moved_matrices(lowered, device, precision)

        def compiled(text: str, name: str) -> Kernel:
            return device.compile_kernel(precision.prelude + text, name)

        self._steps = [
            _make_step(one, lowered, vectors >= merged_share * one.target.size, compiled)
            for one in lowered.sums
        ]

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        """Return ``frame @ J.T``, for coefficients (B, C) and frames (B, k, width)."""
        B, k, _ = frame.shape
        if frame.strides[0] != k * frame.strides[1]:
            frame = frame.copy()
        new = np.empty_like(frame, shape=(B, k, self.width))
        for (target, products, _), merging, adding in self._steps:
            image = new[..., target.columns]
            found = []
            for product, merge in zip(products, merging, strict=True):
                rows = (new if product.new else frame)[..., product.source.columns]
                out = image
                if adding is not None:
                    out = np.empty_like(frame, shape=(B, k, target.size))
                    found.append(out)
                self._multiply(product, merge, coefficients, rows, out)
            if adding is not None:
                arrays = (coefficients, frame, new, *found)
                numbers = (k, self.width, coefficients.shape[1], B)
                adding(grid_for(B * k * target.size), BLOCK, (*arrays, *numbers))
        return new

    def _multiply(
        self,
        product: Product,
        merge: Kernel | None,
        coefficients: Array,
        rows: Array,
        out: Array,
    ) -> None:
        summand, (B, _, n) = product.summands[0], rows.shape
        if merge is not None:
            numbers = [s.matrix for s in product.summands if isinstance(s.matrix, int)]
            matrices = np.empty_like(rows, shape=(B, n, out.shape[2]))
            constants = [self._matrices[i] for i in dict.fromkeys(numbers)]
            arguments = (coefficients, matrices, *constants, coefficients.shape[1], B)
            merge(grid_for(matrices.size), BLOCK, arguments)
            self.device.multiply(rows, matrices, out)
            return
        assert isinstance(summand.matrix, int)
        matrix = self._matrices[summand.matrix]
        if summand.right is not None:
            rows = rows * coefficients[:, None, summand.right.entries]
        if hasattr(matrix, "nnz"):
            out[...] = sparse.product(rows.reshape(-1, n), matrix).reshape(out.shape)
        else:
            self.device.multiply(rows, matrix, out)


def _make_step(one: Sum, lowered: Lowered, many: bool, compiled: Compiler) -> _Step:
    merging, scales, diagonal = list[Kernel | None](), list[Coefficient | None](), one.diagonal
    for product in one.products:
        first, *more = product.summands
        merged = bool(more) or isinstance(first.matrix, Coefficient)
        # a constant matrix alone multiplies vectors that are scaled themselves, if they are few
        merged |= many and first.right is not None and not lowered.is_sparse(product)
        kernel = None
        if merged:
            inside = diagonal if len(one.products) == 1 and _fits(one) else ()
            kernel = compiled(_merging(product, inside, one.target.size), "merge")
            diagonal = () if inside else diagonal
        merging.append(kernel)
        scales.append(None if merged else first.left)
    adding = None
    if len(scales) != 1 or diagonal or scales[0] is not None:
        adding = compiled(_adding(one, scales, diagonal), "add_up")
    return _Step(one, tuple(merging), adding)


def _fits(one: Sum) -> bool:
    """Whether the diagonal terms can stand in the matrix of the only product."""
    source, new = one.products[0][:2]
    same = all((term.source, term.new) == (source, new) for term in one.diagonal)
    return same and source.size == one.target.size


def _merging(product: Product, diagonal: Sequence[Term], rows: int) -> str:
    """Return the kernel that writes the sum of a product's matrices, transposed."""
    columns = product.source.size
    numbers = dict.fromkeys(s.matrix for s in product.summands if isinstance(s.matrix, int))
    constants = [f"const real* m{i}" for i in numbers]
    entries = [matrix_entry(one, columns, "values") for one in product.summands]
    for term in diagonal:
        scales = [f"values[{one.start} + c]" for one in (term.left, term.right) if one]
        entries.append(" * ".join(["(real)(r == c)", *scales]))
    body = [
        *over_all(rows * columns),
        f"    const long long c = j / {rows}, r = j % {rows};",
        "    const real* values = coefficients + b * C;",
        f"    matrices[i] = {' + '.join(entries)};",
        "}",
    ]
    declared = ["const real* coefficients", "real* matrices", *constants, "long long C"]
    return grid_kernel("merge", declared, body)


def _adding(one: Sum, scales: Sequence[Coefficient | None], diagonal: Sequence[Term]) -> str:
    """Return the kernel that adds scaled products and diagonal terms."""
    n = one.target.size
    summands = []
    for i, left in enumerate(scales):
        scale = "" if left is None else f"values[{left.start} + c] * "
        summands.append(f"{scale}p{i}[i]")
    summands += [diagonal_entry(term, "values", "image", "vector") for term in diagonal]
    body = [
        f"for (long long i = first; i < count * k * {n}; i += step) {{",
        f"    const long long row = i / {n}, c = i % {n};",
        "    const real* values = coefficients + row / k * C;",
        "    const real* vector = frame + row * width;",
        "    real* image = result + row * width;",
        f"    image[{one.target.start} + c] = {' + '.join(summands) or '0'};",
        "}",
    ]
    declared = [f"const real* {name}" for name in ("coefficients", "frame")]
    declared += ["real* result", *(f"const real* p{i}" for i in range(len(scales)))]
    declared += [f"long long {name}" for name in ("k", "width", "C")]
    return grid_kernel("add_up", declared, body)
