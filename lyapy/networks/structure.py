"""The irreducible blocks of a tangent step, which follow from the zeros of its weights.

Column j of the frame moves column i where a term leads from j to i through a weight that is not
exactly zero. Sorted by the strongly connected components of this graph, J is block triangular at
every step, and its spectrum is the union of those of its diagonal blocks. In J followed as a whole,
rounding couples components that the zeros separate, and small exponents drift towards larger ones.

A path between two columns of a component stays inside the component. So the program restricted to
it computes exactly its diagonal block. A state variable before and after the step is the same node
of the graph; auxiliary variables are nodes, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ..arrays import Array
from ..cells.sparse import Sparse, as_scipy, as_sparse
from .program import Applied, Assignment, Coefficient, Columns, Program, Term

# values of coefficients that are the same at every step
Constants = Mapping[Coefficient, Array]


class Links(NamedTuple):
    """Columns ``target`` that read the columns ``source``: pair by pair, or each of them all."""

    target: Array
    source: Array
    new: bool
    full: bool


def component_labels(
    program: Program,
    constants: Constants,
    least: float = 0.0,
    connection: Literal["weak", "strong"] = "strong",
) -> Array:
    """Return for each column (width,) the number of its strongly connected component.

    With ``connection="weak"`` it is that of the columns that are linked in either direction.

    The terms of the stages count, too, so that they can be restricted like the program. Weights
    up to ``least`` of the largest one in their row, or of a unit's own 1, do not count: rounding
    is as small as the row that it is in.
    """
    from scipy.sparse.csgraph import connected_components

    links = [link for each in (program, *program.stages) for link in _links(each, constants, least)]
    edges, size = _edges(links, program.width)
    found: Array = connected_components(_graph(*edges, size), connection=connection)[1]
    return found[: program.width]


def generic_rank(program: Program) -> int:
    """Return the largest rank of J that the zeros of the weights allow.

    It is the largest number of paths from the old state to the new one that share no column.
    """
    from scipy.sparse.csgraph import maximum_flow

    D, width = program.state_size, program.width
    entry, leave, source = D, D + width, D + 2 * width
    sink = source + 1
    found = [
        link._replace(target=entry + link.target, source=link.source + leave * link.new)
        for link in _links(program, {}, 0.0)
    ]
    (to, origin), size = _edges(found, sink + 1)
    state, columns = np.arange(D), np.arange(width)
    to = np.concatenate([to, state, leave + columns, np.full(D, sink)])
    origin = np.concatenate([origin, np.full(D, source), entry + columns, leave + state])
    # any number of paths may lead through a node that stands for all pairs of a full matrix
    capacities = np.where(np.maximum(to, origin) > sink, D, 1)
    graph = _graph(to, origin, size, capacities.astype(np.int32))
    return int(maximum_flow(graph, source, sink).flow_value)


def reading(program: Program, present: Array) -> Array:
    """Return which columns (T, D) of the new state read the old one.

    Given is which coefficients (T, C) are not zero.
    """
    state = np.arange(program.width) < program.state_size
    old = np.broadcast_to(state, (len(present), program.width))
    new = np.zeros(old.shape, bool)
    for target, terms in program.assignments:
        for term in terms:
            source = (new if term.new else old)[:, term.source.columns]
            new[:, target.columns] |= _passed(term, present, source, (term.right, term.left))
    return new[:, : program.state_size]


def vanishing(program: Program, coefficients: Array) -> Array:
    """Return how many rows or columns of J are zero (T,) for coefficients (T, C)."""
    present = coefficients != 0.0
    state = np.arange(program.width) < program.state_size
    # backwards from the new state to the columns that it reads
    old = np.zeros((len(present), program.width), bool)
    new = old | state
    for target, terms in reversed(program.assignments):
        for term in terms:
            source = (new if term.new else old)[:, term.source.columns]
            factors = (term.left, term.right)
            source |= _passed(term, present, new[:, target.columns], factors, transposed=True)
    columns = old[:, : program.state_size]
    fewest = [np.count_nonzero(each, axis=1) for each in (reading(program, present), columns)]
    return np.asarray(program.state_size - np.minimum(*fewest))


def _passed(
    term: Term,
    present: Array,
    source: Array,
    factors: tuple[Coefficient | None, Coefficient | None],
    transposed: bool = False,
) -> Array:
    """Return which entries a term makes of those (T, size) that are there."""
    first, last = (1.0 if each is None else present[:, each.entries] for each in factors)
    source, matrix = np.asarray(source * first, np.float32), term.matrix
    if isinstance(matrix, Coefficient):
        given = present[:, matrix.entries].reshape(len(present), -1, term.source.size)
        source = np.einsum("tij,ti->tj" if transposed else "tij,tj->ti", given, source)
    elif isinstance(matrix, Applied):
        source = source.any(axis=1)[:, None]
    elif matrix is not None:
        pattern = (_as_array(matrix) != 0.0).astype(np.float32)
        source = source @ (pattern if transposed else pattern.T)
    return np.asarray(source * last > 0.0)


def _as_array(matrix: Any) -> Any:
    return as_scipy(matrix) if isinstance(matrix, Sparse) else matrix


def _links(program: Program, constants: Constants, least: float) -> Iterator[Links]:
    for target, terms in program.assignments:
        scale = _row_scale(target, terms, constants) if least else np.zeros(target.size)
        for term in terms:
            rows = _nonzero(term.left, target.size, constants)
            columns = _nonzero(term.right, term.source.size, constants)
            full = isinstance(term.matrix, Coefficient | Applied)
            if term.matrix is None:
                rows = columns = np.intersect1d(rows, columns)
            elif not full:
                sizes = abs(_submatrix(term.matrix, rows, columns))
                at = sizes.nonzero()
                strong = np.asarray(sizes[at]).ravel() > least * scale[rows[at[0]]]
                full = np.count_nonzero(strong) == len(rows) * len(columns)
                if not full:
                    rows, columns = rows[at[0][strong]], columns[at[1][strong]]
            yield Links(target.start + rows, term.source.start + columns, term.new, full)


def _row_scale(target: Columns, terms: Sequence[Term], constants: Constants) -> Array:
    """Return the largest weight (size,) in each row of the terms' matrices and diagonals."""
    scale = np.zeros(target.size)
    for term in terms:
        if term.matrix is None:
            rows = np.intersect1d(*(_nonzero(f, target.size, constants) for f in term[3:]))
            scale[rows] = np.maximum(scale[rows], 1.0)
        elif not isinstance(term.matrix, Coefficient | Applied):
            most = abs(_as_array(term.matrix)).max(axis=1)
            scale = np.maximum(scale, most.toarray().ravel() if hasattr(most, "nnz") else most)
    return scale


def _nonzero(factor: Coefficient | None, size: int, constants: Constants) -> Array:
    if factor is None or factor not in constants:
        return np.arange(size)
    return np.flatnonzero(constants[factor])


def _edges(links: Sequence[Links], size: int) -> tuple[tuple[Array, Array], int]:
    """Return edges (to, from), with a further node for each full matrix, and the nodes' number."""
    to, origin = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for link in links:
        if link.full:
            to += [link.target, np.full(len(link.source), size)]
            origin += [np.full(len(link.target), size), link.source]
            size += 1
        else:
            to.append(link.target)
            origin.append(link.source)
    return (np.concatenate(to), np.concatenate(origin)), size


def _graph(to: Array, origin: Array, size: int, weights: Array | None = None) -> Any:
    from scipy.sparse import csr_array

    build: Any = csr_array
    weights = np.ones(len(to), np.int32) if weights is None else weights
    return build((weights, (origin, to)), shape=(size, size))


def _submatrix(matrix: Any, rows: Array, columns: Array) -> Any:
    """Return some rows and columns, sparse where the matrix is."""
    if isinstance(matrix, Sparse):
        return as_scipy(matrix)[rows][:, columns]
    return matrix[np.ix_(rows, columns)]


class _Restriction:
    """Terms between some of the columns, with the coefficients that they use; see `restrict`."""

    def __init__(self, nodes: Array, labels: Array) -> None:
        self.nodes = nodes
        self.labels = labels
        self.entries: list[Array] = []
        self.placed: dict[tuple[int, bytes], Coefficient] = {}
        self.size = 0

    def program(self, program: Program) -> Program:
        """Return the program over the columns that remain."""
        assignments = []
        for target, terms in program.assignments:
            place, rows = self._place(target)
            if place.size:
                kept = (self._term(term, target, rows) for term in terms)
                assignments.append(Assignment(place, tuple(filter(None, kept))))
        stages = tuple(map(self.program, program.stages))
        state_size = int(np.searchsorted(self.nodes, program.state_size))
        return Program(tuple(assignments), state_size, len(self.nodes), (), stages)

    def _place(self, columns: Columns) -> tuple[Columns, Array]:
        """Return the new columns of a variable, and which of the old ones they are."""
        ends = (columns.start, columns.start + columns.size)
        first, last = np.searchsorted(self.nodes, ends).tolist()
        return Columns(first, last - first), self.nodes[first:last] - columns.start

    def _term(self, term: Term, target: Columns, rows: Array) -> Term | None:
        place, columns = self._place(term.source)
        labels = self.labels[target.start + rows], self.labels[term.source.start + columns]
        matrix = self._matrix(term, rows, columns, *labels)
        if matrix is False:
            return None
        left, right = self._gather(term.left, rows), self._gather(term.right, columns)
        return Term(place, term.new, matrix, left, right)

    def _matrix(self, term: Term, rows: Array, columns: Array, one: Array, other: Array) -> Any:
        """Return the matrix of a term between some rows and columns; False if it vanishes."""
        if isinstance(term.matrix, Coefficient):
            if not np.isin(one, other).any():
                return False
            return self._gather(term.matrix, (rows[:, None] * term.source.size + columns).ravel())
        if term.matrix is None:
            if np.array_equal(rows, columns) and np.array_equal(one, other):
                return None
            _, *places = np.intersect1d(rows, columns, assume_unique=True, return_indices=True)
            shape = (len(rows), len(columns))
            return _sparse((np.ones(len(places[0])), tuple(places)), shape, one, other)
        matrix = _submatrix(term.matrix, rows, columns)
        if len(np.unique([*one, *other])) > 1 or isinstance(term.matrix, Sparse):
            return _sparse(matrix, matrix.shape, one, other)
        return np.ascontiguousarray(matrix) if matrix.any() else False

    def _gather(self, coefficient: Coefficient | None, numbers: Array) -> Coefficient | None:
        if coefficient is None:
            return None
        key = (coefficient.start, numbers.tobytes())
        if key not in self.placed:
            self.placed[key] = Coefficient(self.size, len(numbers))
            self.entries.append(coefficient.start + numbers)
            self.size += len(numbers)
        return self.placed[key]


def _sparse(given: Any, shape: tuple[int, int], one: Array, other: Array) -> Sparse | bool:
    """Return the entries between rows and columns of the same label; False if there are none."""
    from scipy.sparse import coo_array

    build: Any = coo_array
    found = build(given, shape=shape)
    here = (one[found.row] == other[found.col]) & (found.data != 0.0)
    if not here.any():
        return False
    places = (found.row[here], found.col[here])
    return as_sparse(build((found.data[here], places), shape=shape))


def restrict(program: Program, nodes: Array, labels: Array) -> tuple[Program, Array]:
    """Return the program between some columns, and the entries of the coefficients it uses.

    ``nodes`` are columns of the state and auxiliary ones, sorted; only terms between columns of the
    same label remain, of ``labels`` (width,).
    """
    restriction = _Restriction(nodes, labels)
    restricted = restriction.program(program)
    return restricted, np.concatenate([np.zeros(0, np.int64), *restriction.entries])
