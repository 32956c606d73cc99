"""The tangent step of frames (B, k, D) with few launches: matrices, products, combinations.

Terms with one source become one matrix for each trajectory, which a kernel writes, and one
batched product. A constant weight alone is one large product over the rows of all trajectories.
What is diagonal is left to one kernel for each assignment, which adds all up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...cells import sparse
from ...cells.sparse import Sparse
from ...networks.program import Assignment, Coefficient, Columns, Program, Term
from .choices import CHOICES
from .device import Device, Kernel
from .kernel_text import BLOCK, grid_for, prelude
from .precision import Precision

__all__ = ["FusedStep", "diagonal_entry", "even", "matrix_entry"]


class _Product(NamedTuple):
    """A product of vectors with a matrix.

    Attributes
    ----------
    source : Columns
    new : bool
    right : Coefficient or None
        Scales the vectors first.
    matrix : array (columns, rows), sparse rows (rows, columns) or None
        One for all trajectories; None where a kernel writes one for each.
    kernel : Kernel or None
    arrays : tuple of array
        The constant matrices that it reads, transposed.
    """

    source: Columns
    new: bool
    right: Coefficient | None
    matrix: Array | None
    kernel: Kernel | None
    arrays: tuple[Array, ...]


class _Part(NamedTuple):
    """An assignment: its products, and the kernel that adds up; None where there is one product."""

    target: Columns
    products: tuple[_Product, ...]
    kernel: Kernel | None


class FusedStep:
    """The tangent step of a program on frames (B, k, D), as `BatchStep`, with kernels of its own.

    Parameters
    ----------
    program : Program
    vectors : int
        k.
    device : Device
        That compiles kernels.
    precision : Precision
    merged_share : float, optional
        Terms are merged from so many vectors per column on.
    """

    def __init__(
        self,
        program: Program,
        vectors: int,
        device: Device,
        precision: Precision,
        merged_share: float | None = None,
    ) -> None:
        self.program = program
        transposed: dict[int, Array] = {}

        def moved(matrix: Array | Sparse) -> Array:
            if id(matrix) not in transposed:
                turned = matrix if isinstance(matrix, Sparse) else matrix.T
                transposed[id(matrix)] = device.moved(turned, precision.name)
            return transposed[id(matrix)]

        compile_kernel = device.compile_kernel
        assert compile_kernel is not None

        def made(body: str, name: str) -> Kernel:
            return compile_kernel(prelude(precision.name) + body, name)

        share = CHOICES.merged_share if merged_share is None else merged_share

        def many(columns: int) -> bool:
            return vectors >= share * columns

        each = [_part(one, program, many, moved, made) for one in program.assignments]
        self.parts: list[_Part] = each

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        """Return ``frame @ J.T`` for coefficients (B, C) and frames (B, k, D)."""
        frame, stride = even(frame)
        (B, k, _), width = frame.shape, self.program.width
        new = np.empty_like(frame, shape=(B, k, width))
        # blocks of frames that products read, in order
        ordered: dict[tuple[Columns, bool], Array] = {}
        for target, products, kernel in self.parts:
            found = []
            for one in products:
                place = one.source, one.new
                if place not in ordered:
                    block = (new if one.new else frame)[..., one.source.columns]
                    ordered[place] = block if block.flags.c_contiguous else block.copy()
                found.append(_multiply(one, coefficients, ordered[place], target.size))
            if kernel is not None:
                arrays = (coefficients, frame, new, *found)
                kernel(
                    grid_for(B * k * target.size),
                    BLOCK,
                    (*arrays, B, k, stride, coefficients.shape[1]),
                )
            elif target.size == width:
                (new,) = found
            else:
                new[..., target.columns] = found[0]
        return new[..., : self.program.state_size]


def even(frame: Array) -> tuple[Array, int]:
    """Return frames (B, k, D) whose rows lie equally far apart, and how far, in entries."""
    between, apart, next_to = frame.strides
    itemsize = frame.dtype.itemsize
    if next_to != itemsize or between != frame.shape[1] * apart:
        frame, apart = frame.copy(), frame.shape[2] * itemsize
    return frame, apart // itemsize


def _multiply(product: _Product, coefficients: Array, vectors: Array, rows: int) -> Array:
    B, k, n = vectors.shape
    if product.right is not None:
        vectors = vectors * coefficients[:, None, product.right.entries]
    if product.matrix is not None:
        flat = vectors.reshape(B * k, n)
        if hasattr(product.matrix, "nnz"):
            return sparse.product(flat, product.matrix).reshape(B, k, rows)
        return (flat @ product.matrix).reshape(B, k, rows)
    assert product.kernel is not None
    matrices = np.empty_like(vectors, shape=(B, n, rows))
    arguments = (coefficients, matrices, *product.arrays, B, coefficients.shape[1])
    product.kernel(grid_for(B * n * rows), BLOCK, arguments)
    return vectors @ matrices


def _part(
    assignment: Assignment,
    program: Program,
    many: Callable[[int], bool],
    moved: Callable[[Array | Sparse], Array],
    made: Callable[[str, str], Kernel],
) -> _Part:
    target, groups, diagonal = assignment.target, dict[object, list[Term]](), list[Term]()
    for i, term in enumerate(assignment.terms):
        if term.matrix is None:
            diagonal.append(term)
            continue
        # n × n matrices cost as much as a product with few vectors
        worth = many(term.source.size) or isinstance(term.matrix, Coefficient)
        worth &= not isinstance(term.matrix, Sparse)
        groups.setdefault((term.source, term.new) if worth else i, []).append(term)
    products, scales = [], list[Coefficient | None]()
    for terms in groups.values():
        (first, *more), left = terms, None
        with_it = [] if len(groups) > 1 else [t for t in diagonal if _fits(t, first, target)]
        plain = (
            first.right is None or not many(first.source.size) or isinstance(first.matrix, Sparse)
        )
        if more or isinstance(first.matrix, Coefficient) or not plain:
            if with_it == diagonal:
                terms, diagonal = terms + diagonal, []
            products.append(_merged(terms, target, moved, made))
        else:
            left = first.left
            assert not isinstance(first.matrix, Coefficient) and first.matrix is not None
            matrix = moved(first.matrix)
            products.append(_Product(first.source, first.new, first.right, matrix, None, ()))
        scales.append(left)
    kernel = None
    if len(products) != 1 or diagonal or scales[0] is not None:
        kernel = made(_combination(target, scales, diagonal, program), "combine")
    return _Part(target, tuple(products), kernel)


def _fits(diagonal: Term, term: Term, target: Columns) -> bool:
    """Whether a diagonal term can stand in the same matrix as another term."""
    same = (diagonal.source, diagonal.new) == (term.source, term.new)
    return same and target.size == diagonal.source.size


def _merged(
    terms: list[Term],
    target: Columns,
    moved: Callable[[Array | Sparse], Array],
    made: Callable[[str, str], Kernel],
) -> _Product:
    """Return the product with Σ diag(left) · matrix · diag(right), transposed."""
    rows, columns = target.size, terms[0].source.size
    arrays = list[Array]()

    def place(matrix: Array | Sparse) -> int:
        arrays.append(moved(matrix))
        return len(arrays) - 1

    values = "(coefficients + b * C)"
    summands = [matrix_entry(term, values, place) for term in terms]
    declared = "".join(f"const real* m{i}, " for i in range(len(arrays)))
    text = f"""extern "C" __global__ void merge(
    const real* coefficients, real* matrices, {declared}long long count, long long C)
{{
    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = first; i < count * {rows * columns}; i += step) {{
        const long long b = i / {rows * columns}, j = i % {rows * columns};
        const long long c = j / {rows}, r = j % {rows};
        matrices[i] = {" + ".join(summands)};
    }}
}}
"""
    first = terms[0]
    return _Product(first.source, first.new, None, None, made(text, "merge"), tuple(arrays))


def matrix_entry(term: Term, values: str, place: Callable[[Array | Sparse], int]) -> str:
    """Return entry (c, r), the j-th, of a term's transposed matrix with its factors.

    Parameters
    ----------
    values : str
        The step's coefficients.
    place : callable
        Returns the number of a constant matrix.
    """
    factors = []
    if term.left is not None:
        factors.append(f"{values}[{term.left.start} + r]")
    if term.matrix is None:
        factors.append("(real)(r == c)")
    elif isinstance(term.matrix, Coefficient):
        factors.append(f"{values}[{term.matrix.start} + r * {term.source.size} + c]")
    else:
        factors.append(f"m{place(term.matrix)}[j]")
    if term.right is not None:
        factors.append(f"{values}[{term.right.start} + c]")
    return " * ".join(factors)


def diagonal_entry(term: Term, values: str, new: str, old: str) -> str:
    """Return entry c of a diagonal term, of a row of the frame after or before the step."""
    scales = [one for one in (term.left, term.right) if one is not None]
    factors = [f"{values}[{one.start} + c]" for one in scales]
    return " * ".join([*factors, f"{new if term.new else old} + {term.source.start} + c]"])


def _combination(
    target: Columns, scales: list[Coefficient | None], diagonal: list[Term], program: Program
) -> str:
    """Return the kernel that adds scaled products and diagonal terms."""
    n, width = target.size, program.width
    summands = []
    for i, left in enumerate(scales):
        scale = "" if left is None else f"coefficients[b * C + {left.start} + c] * "
        summands.append(f"{scale}p{i}[i]")
    values = "(coefficients + b * C)"
    for term in diagonal:
        summands.append(diagonal_entry(term, values, f"result[row * {width}", "frame[row * stride"))
    declared = "".join(f"const real* p{i}, " for i in range(len(scales)))
    return f"""extern "C" __global__ void combine(
    const real* coefficients, const real* frame, real* result, {declared}
    long long count, long long k, long long stride, long long C)
{{
    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = first; i < count * k * {n}; i += step) {{
        const long long row = i / {n}, b = row / k, c = i % {n};
        result[row * {width} + {target.start} + c] = {" + ".join(summands) or "0"};
    }}
}}
"""
