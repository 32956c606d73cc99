"""A tangent program transposed: the same sums, read from the new state to the old one."""

import numpy as np

from ..arrays import Array
from ..cells.sparse import Sparse, as_scipy, as_sparse
from .program import Applied, Assignment, Coefficient, Columns, Program, Term


def transposed(program: Program) -> Program:
    """Return the program of Jᵀ, with the coefficients of J.

    Each term ``target += l M r source`` becomes ``source += r Mᵀ l target``, in the reverse
    order. The sums of each variable of the step are kept in an auxiliary one. Raises ValueError if
    a matrix is known by its products alone.
    """
    D = program.state_size
    behind = {a.target: Columns(D + a.target.start, a.target.size) for a in program.assignments}
    collected: dict[Columns, list[Term]] = {target: [] for target in behind}
    old: dict[Columns, list[Term]] = {}
    for target in behind:
        if target.start < D:
            collected[target].append(Term(target, False, None, None, None))
    matrices: dict[int, Array | Sparse] = {}
    assignments = []
    for target, terms in reversed(program.assignments):
        assignments.append(Assignment(behind[target], tuple(collected[target])))
        for term in terms:
            matrix = _transposed(term, target.size, matrices)
            back = Term(behind[target], True, matrix, term.right, term.left)
            if matrix is None:
                back = back._replace(left=term.left, right=None)
            (collected[term.source] if term.new else old.setdefault(term.source, [])).append(back)
    assignments += [Assignment(source, tuple(terms)) for source, terms in old.items()]
    return Program(tuple(assignments), D, D + program.width, program.coefficients)


def _transposed(
    term: Term, rows: int, made: dict[int, Array | Sparse]
) -> Array | Sparse | Applied | None:
    """Return the transpose of a term's matrix, one for each that the program uses."""
    matrix = term.matrix
    if matrix is None:
        return None
    if isinstance(matrix, Applied):
        raise ValueError(
            "the Jacobian is known by its products Q Jᵀ alone, and this needs Q J; use "
            "covariant_vectors, which does not, or give the map its jacobian"
        )
    if isinstance(matrix, Coefficient):
        return _given(matrix, rows, term.source.size)
    if id(matrix) not in made:
        if isinstance(matrix, Sparse):
            made[id(matrix)] = as_sparse(as_scipy(matrix).T)
        else:
            made[id(matrix)] = np.ascontiguousarray(matrix.T)
    return made[id(matrix)]


def _given(matrix: Coefficient, rows: int, columns: int) -> Applied:
    def apply(entries: Array, vectors: Array) -> Array:
        return np.asarray(vectors @ entries.reshape(rows, columns))

    return Applied(apply, matrix)
