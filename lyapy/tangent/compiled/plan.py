"""The products of a tangent step as flat tables that compiled code can follow."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.program import Coefficient, Program, kept
from ..lowering import Lowered, Product, Sum, lower
from .products import aligned, pack, packed_size
from .simd.vectors import PANEL

__all__ = ["CACHE", "DIAGONAL", "GIVEN", "MERGED", "PRODUCT", "SPARSE", "Plan", "make_plan"]

# target = (target if add) + left ⊙ other
DIAGONAL = 0
# target = (target if add) + scale ⊙ (source @ M.T) + left ⊙ other, with M a constant matrix,
PRODUCT = 1
# or a matrix among the coefficients,
GIVEN = 2
# or the sum of diag(left) W diag(right) over terms, rebuilt at every step,
MERGED = 3
# or a sparse matrix, whose source is first scaled by the coefficient ``first``
SPARSE = 4

INSTRUCTION = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("op", "target", "rows", "add"),
            *("source", "columns", "new", "scale", "matrix", "first", "last"),
            *("left", "other", "other_new"),
        )
    ]
)
TERM = np.dtype([(name, np.int64) for name in ("matrix", "left", "right")])
NONE = -1
# bytes of a core's cache: larger weights come from farther away at every step
CACHE = 1024 * 1024


class Plan(NamedTuple):
    """Tables of the products of a program.

    Attributes
    ----------
    instructions : array of INSTRUCTION
        In the order of execution. The source and other are read from the new frame where ``new``
        and ``other_new``; fields that do not apply are `NONE`.
    terms : array of TERM
        Those of the merged products, between ``first`` and ``last`` of their instruction.
    weights : array
        The transposes of all dense matrices, concatenated: packed, or row-major for BLAS.
    sparse_values, sparse_columns, sparse_starts : array
        The sparse matrices, concatenated; ``matrix`` is the place of the first row's start.
    merged_size : int
        Numbers in the largest given matrix, or panel of a merged one or a sparse one's source.
    blas : bool
        Whether the products are BLAS's.
    ends : array
        The instructions at which each of the programs that follow one another ends.
    width : int
        Columns of the frames that are in use.
    """

    instructions: Array
    terms: Array
    weights: Array
    sparse_values: Array
    sparse_columns: Array
    sparse_starts: Array
    merged_size: int
    blas: bool
    ends: Array
    width: int


@kept
def make_plan(program: Program, blas: bool, by_stages: bool = False) -> Plan:
    """Tabulate the products of a program, or of its stages.

    Merged terms are built into one matrix; a term alone is scaled after its product. Diagonal
    terms are added as the products are written, one with each.
    """
    programs = (by_stages and program.stages) or (program,)
    joined = tuple(each for one in programs for each in one.assignments)
    lowered = lower(program._replace(assignments=joined))
    dense, sparse = dict[int, Array](), dict[int, Sparse]()
    for number, matrix in enumerate(lowered.matrices):
        if isinstance(matrix, Sparse):
            sparse[number] = matrix
        else:
            dense[number] = np.ravel(matrix.T) if blas else pack(matrix.T)
    starts = _places({n: len(packed) for n, packed in dense.items()})
    starts |= _places({n: len(matrix.starts) for n, matrix in sparse.items()})
    terms: list[tuple[int, int, int]] = []
    tables = [[*_instructions(each, lowered, starts, terms, blas)] for each in lowered.sums]
    rows = [row for table in tables for row in table]
    sums = np.cumsum([len(one.assignments) for one in programs])
    ends = np.cumsum([0, *map(len, tables)])[sums]
    table = np.array(
        [tuple(r.get(n, NONE) for n in INSTRUCTION.names or ()) for r in rows], INSTRUCTION
    )
    whole = (GIVEN, MERGED) if blas else (GIVEN,)
    sizes = [packed_size(row["columns"], row["rows"]) for row in rows if row["op"] in whole]
    sizes += [PANEL * row["columns"] for row in rows if row["op"] in (MERGED, SPARSE)]
    weights = aligned(sum(map(len, dense.values())))
    np.concatenate([np.zeros(0), *dense.values()], out=weights)
    sparse_tables = _concatenate(list(sparse.values()))
    largest = max(sizes, default=0)
    width = max(one.width for one in programs)
    tables_of = table, np.array(terms, TERM), weights, *sparse_tables
    return Plan(*tables_of, largest, blas, ends, width)


def _places(sizes: dict[int, int]) -> dict[int, int]:
    """Return where each of some arrays begins when they are concatenated."""
    return dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))


def _concatenate(sparse: list[Sparse]) -> tuple[Array, Array, Array]:
    ends = accumulate((len(matrix.values) for matrix in sparse), initial=0)
    starts = [matrix.starts + end for matrix, end in zip(sparse, ends, strict=False)]
    return (
        np.concatenate([np.zeros(0), *(matrix.values for matrix in sparse)]),
        np.concatenate([np.zeros(0, np.int64), *(matrix.columns for matrix in sparse)]),
        np.concatenate([np.zeros(0, np.int64), *starts]),
    )


def _instructions(
    each: Sum,
    lowered: Lowered,
    starts: dict[int, int],
    terms: list[tuple[int, int, int]],
    blas: bool,
) -> list[dict[str, int]]:
    diagonal = list(each.diagonal)
    rows: list[dict[str, int]] = []
    # an assignment without any term is a product with nothing
    for number in range(max(len(each.products), len(each.diagonal), 1)):
        row = {"op": DIAGONAL, "target": each.target.start, "rows": each.target.size}
        row["add"] = int(bool(rows))
        if diagonal:
            term = diagonal.pop(0)
            row |= {"left": _start(term.left), "other": term.source.start}
            row |= {"other_new": int(term.new)}
        if number < len(each.products):
            product = each.products[number]
            # a BLAS can add, or its result be scaled after it, but not both
            scalable = not (blas and rows)
            row |= _product(product, lowered.is_sparse(product), starts, terms, scalable)
        rows.append(row)
    return rows


def _product(
    product: Product,
    sparse: bool,
    starts: dict[int, int],
    terms: list[tuple[int, int, int]],
    scalable: bool,
) -> dict[str, int]:
    source, new, summands = product
    matrix, left, right = summands[0]
    row = {"source": source.start, "columns": source.size, "new": int(new)}
    if sparse or (len(summands) == 1 and right is None and (scalable or left is None)):
        row |= {"scale": _start(left), "first": _start(right)}
        if isinstance(matrix, Coefficient):
            return row | {"op": GIVEN, "matrix": matrix.start}
        return row | {"op": SPARSE if sparse else PRODUCT, "matrix": starts[matrix]}
    first = len(terms)
    for matrix, left, right in summands:
        if isinstance(matrix, Coefficient):
            raise ValueError("a matrix among the coefficients must be alone with its source")
        terms.append((starts[matrix], _start(left), _start(right)))
    return row | {"op": MERGED, "first": first, "last": len(terms)}


def _start(coefficient: Coefficient | None) -> int:
    return NONE if coefficient is None else coefficient.start
