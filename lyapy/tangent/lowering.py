"""A program as products: the one place where the terms of a tangent step are grouped.

The compiled engine tabulates the products, a GPU prints them as kernels. Both have to agree with
`tangent_step` of `lyapy.networks.apply`, which applies the terms one by one.
"""

from collections.abc import Callable
from typing import NamedTuple

from ..arrays import Array
from ..cells.sparse import Sparse
from ..networks.program import Applied, Coefficient, Columns, Program, Term


class Summand(NamedTuple):
    """``diag(left) · matrix · diag(right)``; a factor that is None is absent.

    The matrix is the number of a constant one, or the entries (rows × columns) of a given one
    among each step's coefficients.
    """

    matrix: int | Coefficient
    left: Coefficient | None
    right: Coefficient | None


class Product(NamedTuple):
    """A sum of matrices applied to the columns ``source``, of the new frame where ``new``.

    A sparse matrix is the only summand.
    """

    source: Columns
    new: bool
    summands: tuple[Summand, ...]


class Sum(NamedTuple):
    """``target = products + diagonal terms``, those without a matrix; zero without any."""

    target: Columns
    products: tuple[Product, ...]
    diagonal: tuple[Term, ...]


class Lowered(NamedTuple):
    """Sums in the order of execution, and the constant matrices (rows, columns), each once."""

    sums: tuple[Sum, ...]
    matrices: tuple[Array | Sparse, ...]

    def is_sparse(self, product: Product) -> bool:
        """Whether the matrix of ``product`` is sparse."""
        matrix = product.summands[0].matrix
        return isinstance(matrix, int) and isinstance(self.matrices[matrix], Sparse)


def lower(program: Program, merge: Callable[[Term], bool] = lambda term: True) -> Lowered:
    """Turn each assignment into a sum of products and diagonal terms.

    Parameters
    ----------
    merge : callable
        Whether a term with a dense matrix shares a product with other terms of its source; all do
        by default.
    """
    numbers: dict[int, int] = {}
    matrices: list[Array | Sparse] = []

    def summand(term: Term) -> Summand:
        matrix = term.matrix
        # products with vectors are for the readable engine alone
        assert matrix is not None and not isinstance(matrix, Applied)
        if isinstance(matrix, Coefficient):
            return Summand(matrix, term.left, term.right)
        if id(matrix) not in numbers:
            numbers[id(matrix)] = len(matrices)
            matrices.append(matrix)
        return Summand(numbers[id(matrix)], term.left, term.right)

    sums = []
    for target, terms in program.assignments:
        groups: dict[object, list[Term]] = {}
        for i, term in enumerate(terms):
            if term.matrix is not None:
                merged = not isinstance(term.matrix, Sparse) and merge(term)
                groups.setdefault((term.source, term.new) if merged else i, []).append(term)
        products = tuple(
            Product(group[0].source, group[0].new, tuple(map(summand, group)))
            for group in groups.values()
        )
        sums.append(Sum(target, products, tuple(t for t in terms if t.matrix is None)))
    return Lowered(tuple(sums), tuple(matrices))
