"""A network's linear program as flat tables that compiled code can follow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.program import Assignment, Coefficient, Program, Term
from .products import aligned, pack, packed_size
from .simd.vectors import PANEL

__all__ = ["DIAGONAL", "GIVEN", "MERGED", "PRODUCT", "SPARSE", "Plan", "make_plan"]

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


class Plan(NamedTuple):
    """Tables of a linear program.

    Attributes
    ----------
    instructions : array of INSTRUCTION
        To be done in order at every step. The source and other are read from the new
        frame where ``new`` and ``other_new``; fields that do not apply are `NONE`.
    terms : array of TERM
        Those of the merged products, between ``first`` and ``last`` of their instruction.
    weights : array
        The transposes of all constant matrices, one behind the other: packed, or row-major
        for BLAS.
    sparse_values, sparse_columns, sparse_starts : array
        The sparse matrices one behind the other, row by row; ``matrix`` is the place of the
        first row's start.
    merged_size : int
        Numbers in the largest given matrix, or panel of a merged one or a sparse one's source.
    blas : bool
        Whether the products are BLAS's.
    """

    instructions: Array
    terms: Array
    weights: Array
    sparse_values: Array
    sparse_columns: Array
    sparse_starts: Array
    merged_size: int
    blas: bool


def make_plan(program: Program, blas: bool) -> Plan:
    """Turn each assignment into one product for each of its sources.

    Terms with the same source are merged into one matrix; a term alone is scaled after its
    product. Diagonal terms are added as the products are written, one with each.
    """
    weights = _Weights(blas)
    terms: list[tuple[int, int, int]] = []
    rows = [row for a in program.assignments for row in _instructions(a, weights, terms)]
    table = np.array(
        [tuple(r.get(n, NONE) for n in INSTRUCTION.names or ()) for r in rows], INSTRUCTION
    )
    whole = (GIVEN, MERGED) if blas else (GIVEN,)
    sizes = [packed_size(row["columns"], row["rows"]) for row in rows if row["op"] in whole]
    sizes += [PANEL * row["columns"] for row in rows if row["op"] in (MERGED, SPARSE)]
    largest = max(sizes, default=0)
    sparse = weights.joined_sparse()
    return Plan(table, np.array(terms, TERM), weights.joined(), *sparse, largest, blas)


class _Weights:
    """Collects constant matrices, each once."""

    def __init__(self, blas: bool) -> None:
        self.blas = blas
        self.arrays: list[Array] = []
        self.sparse: list[Sparse] = []
        self.starts: dict[int, int] = {}
        self.size = self.rows = 0

    def place(self, matrix: Array) -> int:
        if id(matrix) not in self.starts:
            self.starts[id(matrix)] = self.size
            self.arrays.append(np.ravel(matrix.T) if self.blas else pack(matrix.T))
            self.size += self.arrays[-1].size
        return self.starts[id(matrix)]

    def place_sparse(self, matrix: Sparse) -> int:
        if id(matrix) not in self.starts:
            self.starts[id(matrix)] = self.rows
            self.sparse.append(matrix)
            self.rows += len(matrix.starts)
        return self.starts[id(matrix)]

    def joined_sparse(self) -> tuple[Array, Array, Array]:
        ends = np.cumsum([0, *(len(s.values) for s in self.sparse)])
        starts = [s.starts + end for s, end in zip(self.sparse, ends, strict=False)]
        return (
            np.concatenate([np.zeros(0), *(s.values for s in self.sparse)]),
            np.concatenate([np.zeros(0, np.int64), *(s.columns for s in self.sparse)]),
            np.concatenate([np.zeros(0, np.int64), *starts]),
        )

    def joined(self) -> Array:
        memory = aligned(self.size)
        np.concatenate([np.zeros(0), *self.arrays], out=memory)
        return memory


def _instructions(
    assignment: Assignment, weights: _Weights, terms: list[tuple[int, int, int]]
) -> list[dict[str, int]]:
    target = assignment.target
    diagonal = [t for t in assignment.terms if t.matrix is None]
    groups: dict[object, list[Term]] = {}
    for term in assignment.terms:
        if term.matrix is not None:
            alone = id(term) if isinstance(term.matrix, Sparse) else None
            groups.setdefault((term.source, term.new, alone), []).append(term)
    rows: list[dict[str, int]] = []

    def emit(op: int, product: dict[str, int]) -> None:
        row = {"op": op, "target": target.start, "rows": target.size, "add": int(bool(rows))}
        if diagonal:
            term = diagonal.pop(0)
            row |= {"left": _start(term.left), "other": term.source.start}
            row |= {"other_new": int(term.new)}
        rows.append(row | product)

    for group in groups.values():
        # a BLAS can add, or its result be scaled after it, but not both
        op, product = _product(group, weights, terms, scalable=not (weights.blas and rows))
        emit(op, product)
    while diagonal or not rows:
        # an assignment without any term is a product with nothing
        emit(DIAGONAL, {})
    return rows


def _product(
    group: list[Term], weights: _Weights, terms: list[tuple[int, int, int]], scalable: bool
) -> tuple[int, dict[str, int]]:
    """Return how the terms of one source become one product."""
    source, new, matrix, left, right = group[0]
    row = {"source": source.start, "columns": source.size, "new": int(new)}
    if isinstance(matrix, Sparse):
        place, scale, first = weights.place_sparse(matrix), _start(left), _start(right)
        return SPARSE, row | {"matrix": place, "scale": scale, "first": first}
    if len(group) == 1 and right is None and (scalable or left is None):
        row["scale"] = _start(left)
        if isinstance(matrix, Coefficient):
            return GIVEN, row | {"matrix": matrix.start}
        assert matrix is not None
        return PRODUCT, row | {"matrix": weights.place(matrix)}
    first = len(terms)
    for term in group:
        if isinstance(term.matrix, Coefficient):
            raise ValueError("a matrix among the coefficients must be alone with its source")
        terms.append((weights.place(term.matrix), _start(term.left), _start(term.right)))
    return MERGED, row | {"first": first, "last": len(terms)}


def _start(coefficient: Coefficient | None) -> int:
    return NONE if coefficient is None else coefficient.start
