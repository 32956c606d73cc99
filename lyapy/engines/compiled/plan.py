"""A network's linear program as flat tables that compiled code can follow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...program import Assignment, Block, Coefficient, Program, Term
from ...types import Array

__all__ = ["DIAGONAL", "MERGED", "PRODUCT", "Plan", "make_plan"]

# target (+)= source @ W.T
PRODUCT = 0
# target = scale * target (if add) + left * source
DIAGONAL = 1
# target (+)= source @ M.T with M = sum of diag(left) W diag(right), rebuilt at every step
MERGED = 2

INSTRUCTION = np.dtype(
    [
        ("op", np.int64),
        ("target", np.int64),
        ("rows", np.int64),
        ("source", np.int64),
        ("columns", np.int64),
        ("new", np.int64),
        ("add", np.int64),
        ("scale", np.int64),
        ("left", np.int64),
        ("matrix", np.int64),
        ("per_step", np.int64),
        ("first", np.int64),
        ("last", np.int64),
        ("plain", np.int64),
    ]
)
TERM = np.dtype([("matrix", np.int64), ("left", np.int64), ("right", np.int64)])
NONE = -1


class Plan(NamedTuple):
    """Tables of a linear program.

    Attributes
    ----------
    instructions : array of INSTRUCTION
        To be done in order at every step.
    terms : array of TERM
        Those of the merged products, between ``first`` and ``last`` of their instruction.
    weights : array
        The transposes of all constant matrices, one behind the other, row-major: products
        with them are faster than with the matrices by up to a third (n = 64).
    merged_size : int
        Numbers in the largest merged matrix.
    """

    instructions: Array
    terms: Array
    weights: Array
    merged_size: int


def make_plan(program: Program) -> Plan:
    """Order each assignment's terms so that the frame is passed over as rarely as possible.

    First the constant products that share a left factor, written without it; then one pass
    that scales them and adds the diagonal terms; then the products that are merged into one
    matrix for each source.
    """
    weights = _Weights()
    rows: list[dict[str, int]] = []
    terms: list[tuple[int, int, int]] = []
    for assignment in program.assignments:
        rows += _instructions(assignment, weights, terms)
    table = np.array(
        [tuple(r.get(n, NONE) for n in INSTRUCTION.names or ()) for r in rows], INSTRUCTION
    )
    merged = table[table["op"] == MERGED]
    largest = int((merged["rows"] * merged["columns"]).max(initial=0))
    return Plan(table, np.array(terms, TERM), weights.joined(), largest)


class _Weights:
    """Collects constant matrices, each once."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []
        self.starts: dict[int, int] = {}
        self.size = 0

    def place(self, matrix: Array) -> int:
        if id(matrix) not in self.starts:
            self.starts[id(matrix)] = self.size
            self.arrays.append(matrix)
            self.size += matrix.size
        return self.starts[id(matrix)]

    def joined(self) -> Array:
        return np.concatenate([np.zeros(0), *(np.ravel(a.T) for a in self.arrays)])


def _instructions(
    assignment: Assignment, weights: _Weights, terms: list[tuple[int, int, int]]
) -> list[dict[str, int]]:
    target = assignment.target
    diagonal = [t for t in assignment.terms if t.matrix is None]
    merged, shared, factor = _split_products([t for t in assignment.terms if t.matrix is not None])
    rows: list[dict[str, int]] = []

    def emit(op: int, source: Block, new: bool, **fields: int) -> None:
        place = {"op": op, "target": target.start, "rows": target.size, "add": int(bool(rows))}
        place |= {"source": source.start, "columns": source.size, "new": int(new)}
        rows.append(place | fields)

    for term in shared:
        per_step = isinstance(term.matrix, Coefficient)
        matrix = term.matrix
        start = matrix.start if isinstance(matrix, Coefficient) else weights.place(matrix)
        emit(PRODUCT, term.source, term.new, matrix=start, per_step=int(per_step))
    scale = factor
    for term in diagonal:
        emit(DIAGONAL, term.source, term.new, left=_start(term.left), scale=_start(scale))
        scale = None
    if scale is not None:
        emit(DIAGONAL, Block(0, 0), False, scale=scale.start)
    for group in merged:
        first = len(terms)
        for term in group:
            terms.append((weights.place(term.matrix), _start(term.left), _start(term.right)))
        plain = int(all(t.left is not None and t.right is None for t in group))
        emit(MERGED, group[0].source, group[0].new, first=first, last=len(terms), plain=plain)
    if not rows:
        # a layer without any term: its deviations vanish
        emit(MERGED, Block(0, 0), False, first=0, last=0)
    return rows


def _split_products(
    products: list[Term],
) -> tuple[list[list[Term]], list[Term], Coefficient | None]:
    """Split into merged groups, plain products, and the left factor that the plain ones share."""
    groups: dict[tuple[Block, bool], list[Term]] = {}
    for term in products:
        groups.setdefault((term.source, term.new), []).append(term)
    single = [g[0] for g in groups.values() if len(g) == 1 and g[0].right is None]
    factor = single[0].left if single else None
    plain = [term for term in single if term.left == factor]
    return [g for g in groups.values() if g[0] not in plain], plain, factor


def _start(coefficient: Coefficient | None) -> int:
    return NONE if coefficient is None else coefficient.start
