"""The tangent step of a network as a short linear program.

A cell writes its tangent step as text, ``dc' = f dc + p U_f dh + …``: sums of terms
``left MATRIX right dSOURCE`` with constant weights and coefficient vectors. This module parses
the text, places its names in the frame and among the coefficients, and joins the programs of a
stack into one over the whole state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from ..arrays import Array
from ..cells.base import Cell
from ..cells.own_map import Given
from ..cells.sparse import Sparse


class Columns(NamedTuple):
    """Columns ``start : start + size`` of the frame; auxiliary ones lie after the state."""

    start: int
    size: int

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + self.size)


class Coefficient(NamedTuple):
    """Entries ``start : start + size`` of a step's coefficients, those of all layers joined."""

    start: int
    size: int

    @property
    def entries(self) -> slice:
        return slice(self.start, self.start + self.size)


class Applied(NamedTuple):
    """A matrix for each step that is known by its products: see `lyapy.cells.own_map.Given`."""

    function: Callable[[Array, Array], Array]
    entries: Coefficient


class Term(NamedTuple):
    """``diag(left) · matrix · diag(right)`` applied to the columns ``source``.

    ``matrix`` is a constant array, dense or sparse, or a coefficient that holds a whole matrix
    for each step, or one known by its products, or None for the identity; ``new`` separates a
    source that this step assigned from one of the old frame.
    """

    source: Columns
    new: bool
    matrix: Array | Sparse | Coefficient | Applied | None
    left: Coefficient | None
    right: Coefficient | None


class Assignment(NamedTuple):
    """``target = sum of terms``."""

    target: Columns
    terms: tuple[Term, ...]


class _Fields(NamedTuple):
    # in the order of execution
    assignments: tuple[Assignment, ...]
    # columns of the state, and of the state with the auxiliary variables
    state_size: int
    width: int
    # of each layer by name, in order
    coefficients: tuple[dict[str, Coefficient], ...]
    # programs over the state whose product is this one, each an ungraded map but for a scaling of
    # its rows; empty where none are given
    stages: tuple[Program, ...] = ()


class Program(_Fields):
    """The tangent step of a network."""

    def __reduce__(self) -> tuple[Any, ...]:
        # copies are without what is `kept`, which knows the matrices by their place in memory
        return Program, tuple(self)


P = ParamSpec("P")
T = TypeVar("T")


def kept(
    function: Callable[Concatenate[Program, P], T],
) -> Callable[Concatenate[Program, P], T]:
    """Compute ``function`` once for a program, with which the result is kept."""

    def found(program: Program, /, *arguments: P.args, **named: P.kwargs) -> T:
        results = vars(program).setdefault("kept", {})
        key = (function, *arguments, *named.items())
        if key not in results:
            results[key] = function(program, *arguments, **named)
        return results[key]  # type: ignore[no-any-return]

    update_wrapper(found, function)
    return found


@kept
def by_products(program: Program) -> bool:
    """Return whether a matrix of the program is known by its products alone."""
    terms = (term for assignment in program.assignments for term in assignment.terms)
    return any(isinstance(term.matrix, Applied) for term in terms)


class ParsedTerm(NamedTuple):
    """One term of the text, by names."""

    source: str
    matrix: str | None
    left: str | None
    right: str | None


def parse_program(text: str) -> list[tuple[str, list[ParsedTerm]]]:
    """Read a cell's program: a list of (target, terms) in the order of the lines.

    Raises ValueError if a line is not of the form ``dTARGET' = TERM + TERM …``.
    """
    assignments = []
    for line in filter(None, map(str.strip, text.splitlines())):
        target, equals, right_hand_side = line.partition("=")
        target = target.strip()
        if not equals or not target.startswith("d") or len(target) < 2:
            raise ValueError(f"program line {line!r} is not of the form dTARGET = TERM + TERM")
        terms = [_parse_term(term.split(), line) for term in right_hand_side.split("+")]
        assignments.append((target[1:], terms))
    return assignments


def _parse_term(words: list[str], line: str) -> ParsedTerm:
    if not words or not words[-1].startswith("d") or len(words[-1]) < 2:
        raise ValueError(f"a term of program line {line!r} does not end with a deviation dSOURCE")
    *factors, source = words
    capitals = [i for i, word in enumerate(factors) if word[0].isupper()]
    if len(capitals) > 1 or len(factors) > 3 or (not capitals and len(factors) > 1):
        raise ValueError(f"term {' '.join(words)!r} is not of the form left MATRIX right dSOURCE")
    at = capitals[0] if capitals else len(factors)
    left, matrix, right = factors[:at], factors[at : at + 1], factors[at + 1 :]
    if len(left) > 1 or len(right) > 1:
        raise ValueError(f"term {' '.join(words)!r} has more than one factor on a side")
    return ParsedTerm(source[1:], *(one[0] if one else None for one in (matrix, left, right)))


class Text(NamedTuple):
    """A program as written, with the sizes and values of its names."""

    program: str
    coefficients: tuple[str, ...]
    variables: Mapping[str, int]
    auxiliary: Mapping[str, int]
    matrices: Mapping[str, Array | Sparse | Given]
    input_size: int
    stages: tuple[str, ...] = ()


def cell_text(cell: Cell) -> Text:
    """Return the tangent step of a cell as written."""
    coefficients = (*cell.coefficients, *cell.constants)
    sizes = cell.variables, cell.auxiliary
    return Text(cell.program, coefficients, *sizes, cell.matrices(), cell.input_size, cell.stages)


def stack_programs(cells: Sequence[Cell]) -> Program:
    """Join the programs of ``cells`` from the first layer to the last.

    A layer's ``dx`` is the new deviation of the output of the layer below. The first layer's
    is zero: states and perturbed states receive the same input.
    """
    state_size = sum(cell.state_size for cell in cells)
    start, width = 0, state_size
    below: Columns | None = None
    assignments: list[Assignment] = []
    coefficients: list[dict[str, Coefficient]] = []
    entries = 0
    for cell in cells:
        text = cell_text(cell)
        variables = _place_variables(text, start, width)
        placed = _place_coefficients(text, variables, entries)
        assignments += _place_terms(text, variables, placed, below)
        coefficients.append(placed)
        start += cell.state_size
        width += sum(cell.auxiliary.values())
        entries += sum(coefficient.size for coefficient in placed.values())
        below = variables[cell.output]
    return Program(_needed(assignments, state_size), state_size, width, tuple(coefficients))


def single_program(text: Text, entries: int = 0) -> Program:
    """Return the program of ``text`` alone, whose coefficients come after some other entries."""
    size = sum(text.variables.values())
    width = size + sum(text.auxiliary.values())
    variables = _place_variables(text, 0, size)
    placed = _place_coefficients(text, variables, entries)
    stages = tuple(
        Program(
            tuple(_place_terms(text._replace(program=stage), variables, placed, None)),
            size,
            width,
            (),
        )
        for stage in text.stages
    )
    assignments = _needed(_place_terms(text, variables, placed, None), size)
    return Program(assignments, size, width, (placed,), stages)


def _needed(assignments: Sequence[Assignment], state_size: int) -> tuple[Assignment, ...]:
    """Leave out auxiliary variables that nothing reads, such as the output of the last layer."""
    read: set[Columns] = set()
    kept: list[Assignment] = []
    for assignment in reversed(assignments):
        if assignment.target.start < state_size or assignment.target in read:
            kept.append(assignment)
            read |= {term.source for term in assignment.terms if term.new}
    return tuple(reversed(kept))


def _place_variables(text: Text, start: int, auxiliary_start: int) -> dict[str, Columns]:
    variables: dict[str, Columns] = {}
    for name, size in text.variables.items():
        variables[name] = Columns(start, size)
        start += size
    for name, size in text.auxiliary.items():
        variables[name] = Columns(auxiliary_start, size)
        auxiliary_start += size
    return variables


def _place_terms(
    text: Text,
    variables: dict[str, Columns],
    coefficients: dict[str, Coefficient],
    below: Columns | None,
) -> list[Assignment]:
    matrices = {**text.matrices, **coefficients}
    for name, matrix in text.matrices.items():
        if isinstance(matrix, Given):
            matrices[name] = Applied(matrix.function, coefficients[name])
    assignments = []
    for target, terms in parse_program(text.program):
        placed = []
        for term in terms:
            x = term.source == "x"
            source = below if x else _look_up(_variable(term.source), variables, text)
            if source is None:
                continue
            new = x or term.source.endswith("'") or term.source in text.auxiliary
            left, right = (_look_up(n, coefficients, text) for n in (term.left, term.right))
            placed.append(Term(source, new, _look_up(term.matrix, matrices, text), left, right))
        columns = _look_up(_variable(target), variables, text)
        assignments.append(Assignment(columns, tuple(placed)))
    return assignments


def _place_coefficients(
    text: Text, variables: dict[str, Columns], start: int
) -> dict[str, Coefficient]:
    sizes: dict[str, int] = {}
    for target, terms in parse_program(text.program):
        rows = _look_up(_variable(target), variables, text).size
        for term in terms:
            columns = text.input_size
            if term.source != "x":
                columns = _look_up(_variable(term.source), variables, text).size
            given = text.matrices.get(term.matrix or "")
            size = given.size if isinstance(given, Given) else rows * columns
            named = ((term.left, rows), (term.right, columns), (term.matrix, size))
            sizes |= {name: size for name, size in named if name in text.coefficients}
    unused = set(text.coefficients) - set(sizes)
    if unused:
        raise ValueError(f"the program does not use {', '.join(sorted(unused))}:{text.program}")
    placed = {}
    for name in text.coefficients:
        placed[name] = Coefficient(start, sizes[name])
        start += sizes[name]
    return placed


def _look_up(name: str | None, table: Mapping[str, Any], text: Text) -> Any:
    if name is None:
        return None
    if name not in table:
        known = ", ".join(sorted(table))
        raise ValueError(f"no {name!r} is known ({known}) for the program:{text.program}")
    return table[name]


def _variable(name: str) -> str:
    return name.removesuffix("'")
