"""Products with large weights in a forward step, for trajectories that read them together.

A step is the text of one trajectory, with its products in the middle. So each trajectory takes the
step up to a product with a large weight, where it leaves the vector; the product is computed for
all of them at a time; and each takes the step again, with this product known, up to the next one.
The first vector of a step is guessed to be the state, and compared, so that most steps are taken
once.
"""

import operator
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from ...arrays import Array
from .jit import inlined
from .products import address, cross, row_stride

# products of a step that are known at a time, at most
MOST = 8


class Desk(NamedTuple):
    """Where trajectories leave vectors and find products.

    Attributes
    ----------
    now : array (4,)
        The trajectory, how many products it has asked for, how many are known, and whether the
        first of these is of a guessed vector.
    first : array (3,)
        As asked, of the first product in a step; the columns are −1 where guesses fail.
    asked : array (B, 3)
        Address, rows and columns of the weight that each needs next.
    vectors : array (B, stride)
    products : array (MOST, rows, B)
    """

    now: Array
    first: Array
    asked: Array
    vectors: Array
    products: Array


class Transposed(NamedTuple):
    """The transpose of a weight (rows, inner)."""

    rows: Array
    desk: Desk


class Weight(NamedTuple):
    """A weight (rows, inner) whose products with vectors are shared: ``x @ weight.T``."""

    T: Transposed
    shape: tuple[int, int]


def shared(weights: Any, least: int, trajectories: int) -> tuple[Any, Desk] | None:
    """Return the weights of a cell with those of ``least`` bytes shared; None if there are none."""
    large = [w for w in weights if isinstance(w, np.ndarray) and w.ndim == 2 and w.nbytes >= least]
    if not large:
        return None
    desk = Desk(
        np.zeros(4, np.int64),
        np.zeros(3, np.int64),
        np.zeros((trajectories, 3), np.int64),
        np.zeros((trajectories, row_stride(max(w.shape[1] for w in large)))),
        np.zeros((MOST, max(map(len, large)), trajectories)),
    )
    chosen = {id(w) for w in large}
    each = (Weight(Transposed(w, desk), w.shape) if id(w) in chosen else w for w in weights)
    return type(weights)(*each), desk


def _is(kind: Any, named: type) -> bool:
    return isinstance(kind, types.BaseNamedTuple) and kind.instance_class is named


@inlined
def _same(x: Array, desk: Desk, b: int, weight: int, rows: int) -> bool:
    asked = desk.asked[b]
    same = asked[0] == weight and asked[1] == rows and asked[2] == len(x)
    for i in range(len(x)):
        same = same and x[i] == desk.vectors[b, i]
    return bool(same)


@overload(operator.matmul, strict=False)
def _matmul(x: Any, matrix: Any) -> Any:
    if not _is(matrix, Transposed) or not isinstance(x, types.Array) or x.ndim != 1:
        return None

    def ask(x: Array, matrix: Any) -> Array:
        desk, size = matrix.desk, len(matrix.rows)
        b, number, known = desk.now[0], desk.now[1], desk.now[2]
        desk.now[1] = number + 1
        if desk.now[3] and number == 0 and not _same(x, desk, b, address(matrix.rows, 0), size):
            desk.now[2] = known = 0
        result = np.zeros(size)
        if number < known:
            for i in range(size):
                result[i] = desk.products[number, i, b]
        elif number == known:
            asked = desk.asked[b]
            asked[0], asked[1], asked[2] = address(matrix.rows, 0), size, len(x)
            for i in range(len(x)):
                desk.vectors[b, i] = x[i]
        return result

    return ask


@overload(operator.getitem, strict=False)
def _getitem(weight: Any, some: Any) -> Any:
    if not _is(weight, Weight) or not isinstance(some, types.SliceType):
        return None

    def rows_of(weight: Any, some: Any) -> Any:
        rows = weight.T.rows[some]
        return Weight(Transposed(rows, weight.T.desk), rows.shape)

    return rows_of


@inlined
def answer(desk: Desk, known: int) -> None:
    """Compute the next product of all trajectories, at once where the weight is the same."""
    asked, vectors, products = desk.asked, desk.vectors, desk.products[known]
    B, stride = len(asked), vectors.shape[1]
    together = B
    for b in range(1, B):
        if asked[b, 0] != asked[0, 0] or asked[b, 1] != asked[0, 1]:
            together = 1
    for b in range(0, B, together):
        weight, rows, inner = asked[b, 0], asked[b, 1], asked[b, 2]
        x, out = address(vectors, b * stride), address(products, b)
        cross(weight, inner, rows, x, stride, together, inner, out, B)


@inlined
def guess(desk: Desk, first: Array, states: Array, t: int) -> bool:
    """Compute the first products of step t, for the weight of the ``first`` one of the last step.

    The vectors are guessed to begin as the states do. Returns False where this cannot be.
    """
    inner = first[2]
    if inner <= 0 or inner > states.shape[2]:
        return False
    for b in range(len(states)):
        for i in range(3):
            desk.asked[b, i] = first[i]
        for i in range(inner):
            desk.vectors[b, i] = states[b, t, i]
    answer(desk, 0)
    return True
