"""An upper bound of the largest exponent over all inputs in a box: an echo-state certificate."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, as_real
from ..cells.base import Cell
from ..cells.boxes import Box
from ..cells.images import image
from ..cells.sparse import Sparse, as_scipy
from ..networks.network import Network
from ..networks.program import Coefficient, Program, Term, cell_text, single_program

# boxes of states that are tried, and times that one is made smaller
RADII, SHRINKS = 2.0 ** np.arange(0, 33, 2), 30
# powers of a nonnegative matrix, towards its eigenvector
POWERS = 200
# relative, of norms and of sums of nonnegative numbers
ROUNDING = 1e-11


def exponent_bound(network: Network, inputs: Any = None) -> float:
    """Return an upper bound of the largest exponent, whatever the inputs in a box.

    Below 0 it is a certificate of the echo-state property: all trajectories under the same inputs
    approach one another. Boxes of the states and of the coefficients of J follow from that of the
    inputs by interval arithmetic; the bound is the smallest of the spectral radius of the entrywise
    supremum of |J| and of two norms of J, one of them weighted. It is of use for vanilla,
    reservoir, rate, Lipschitz and antisymmetric cells with small weights, for PLRNNs, and for units
    that read only themselves, if the network is far from the edge: it is above 0 for many stable
    ones. LSTM, GRU and other cells have none, as it would be above 0 almost always. Matrices are
    dense on the way, and the time grows with the cube of the units.

    Parameters
    ----------
    network : Network
    inputs : (low, high), optional
        Ends of the box, each a number or an array (m,); None for an autonomous network.

    Returns
    -------
    float
        In nats per step, for long trajectories, rounding included; −∞ where all directions die.

    Raises
    ------
    ValueError, TypeError
        If the ends do not fit, or a cell has no bound.

    Examples
    --------
    >>> import lyapy
    >>> network = lyapy.Network([lyapy.Vanilla([[1.0]], [[0.5]])])
    >>> round(lyapy.exponent_bound(network, (-1.0, 1.0)), 4)
    -0.6931
    >>> round(lyapy.exponent_bound(network, (2.0, 3.0)), 4)
    -4.3069
    """
    if not isinstance(network, Network):
        raise TypeError(f"network is a {type(network).__name__}; it must be a lyapy.Network")
    x = _box(network, inputs)
    bounds = []
    for cell in network.cells:
        bound, x = _of_layer(cell, x)
        bounds.append(bound)
    largest = max(bounds) * (1.0 + ROUNDING)
    return math.log(largest) if largest > 0.0 else -math.inf


def _box(network: Network, inputs: Any) -> Box:
    """Return the box of the inputs, or raise an error."""
    m = network.input_size
    if inputs is None and m:
        raise ValueError(f"inputs is None, but the network reads {m} of them; give (low, high)")
    try:
        low, high = (np.zeros(0), np.zeros(0)) if inputs is None else inputs
    except (TypeError, ValueError):
        raise ValueError(f"inputs is {inputs!r}; it must be (low, high)") from None
    ends = [as_real(name, end) for name, end in (("low", low), ("high", high))]
    if any(end.shape not in ((), (m,)) for end in ends):
        shapes = " and ".join(str(end.shape) for end in ends)
        raise ValueError(f"low and high have shapes {shapes}; they must be numbers or ({m},)")
    box = Box(*(np.broadcast_to(end, (m,)) for end in ends))
    if not (np.isfinite(box.low).all() and np.isfinite(box.high).all() and box.within(box)):
        raise ValueError("low or high is not finite; both must be")
    if not np.all(box.low <= box.high):
        raise ValueError("low is above high in an entry; exchange them")
    return box


def _of_layer(cell: Cell, x: Box) -> tuple[float, Box]:
    """Return a bound of the layer's growth per step, and the box of what it puts out."""
    drive = image(cell.W, x) + cell.b
    state = _invariant(cell, drive)
    found = cell.enclose(state, drive)
    if found is None:
        raise ValueError(
            f"{cell.name} cells have no bound; lyapy.lyapunov_spectrum measures their exponents"
        )
    program = single_program(cell_text(cell))
    (placed,) = program.coefficients
    size = sum(c.size for c in placed.values())
    coefficients = Box(np.zeros(size), np.zeros(size))
    for name, value in {**cell.constants, **found.coefficients}.items():
        entries, box = placed[name].entries, Box.of(value)
        coefficients.low[entries], coefficients.high[entries] = box.low, box.high
    output = found.output
    if output is None:
        columns = cell.output_columns
        assert columns is not None
        output = state[columns]
    return _growth(program, coefficients), output


def _invariant(cell: Cell, drive: Box) -> Box:
    """Return a box of states that no step leaves, or of all states where none is found."""
    everything = Box(*(np.full(cell.state_size, end) for end in (-np.inf, np.inf)))
    for radius in RADII:
        box = Box(*(np.full(cell.state_size, end) for end in (-radius, radius)))
        found = cell.enclose(box, drive)
        if found is None:
            return everything
        if found.state.within(box):
            break
    else:
        return everything
    for _ in range(SHRINKS):
        smaller = cell.enclose(box, drive)
        assert smaller is not None
        new = Box(np.maximum(box.low, smaller.state.low), np.minimum(box.high, smaller.state.high))
        if np.allclose(new.radius, box.radius, rtol=1e-6, atol=0.0):
            break
        box = new
    return box


class Linear(NamedTuple):
    """A map that is ``centre`` up to a matrix of norm ``radius``."""

    centre: Array
    radius: float


def _growth(program: Program, coefficients: Box) -> float:
    """Return the smallest of the bounds on growth per step."""
    D = program.state_size
    largest = _entrywise(program, coefficients)
    right, left = _perron(largest), _perron(largest.T)
    radius = float(np.max(largest @ right / right, initial=0.0))
    sup = np.maximum(np.abs(coefficients.low), np.abs(coefficients.high))
    varies = coefficients.radius > 0.0
    # about the centre, or about zero: neither is always smaller
    about_zero = Box(*(np.where(varies, s * sup, coefficients.low) for s in (-1.0, 1.0)))
    weights = [np.ones(D), np.sqrt(left / right)]
    boxes = (coefficients, about_zero)
    return min(radius, *(_norm(program, box, w) for w in weights for box in boxes))


def _perron(matrix: Array) -> Array:
    """Return a positive vector near the leading eigenvector of a nonnegative matrix."""
    x = np.ones(len(matrix))
    # the identity turns a cycle of eigenvalues into one
    mean = np.eye(len(matrix)) + matrix / max(float(np.linalg.norm(matrix)), 1e-300)
    for _ in range(POWERS):
        x = mean @ x
        x = np.maximum(x / x.max(), 1e-8)
    return x


def _entrywise(program: Program, coefficients: Box) -> Array:
    """Return the supremum of |J| (D, D), entry by entry."""
    D = program.state_size
    found: dict[tuple[int, int], Box] = {}
    identity = np.eye(D)
    whole = Box(np.zeros((program.width, D)), np.zeros((program.width, D)))
    for target, terms in program.assignments:
        total = Box(np.zeros((target.size, D)), np.zeros((target.size, D)))
        for term in terms:
            source = Box.of(identity[term.source.columns])
            if term.new:
                source = found[term.source]
            factors = [_values(scale, coefficients) for scale in (term.left, term.right)]
            inner = source if factors[1] is None else source * factors[1][:, None]
            inner = inner if term.matrix is None else image(term.matrix, inner)
            total = total + (inner if factors[0] is None else inner * factors[0][:, None])
        found[target] = total
        whole.low[target.columns], whole.high[target.columns] = total.low, total.high
    largest: Array = np.maximum(np.abs(whole.low), np.abs(whole.high))[:D]
    return largest


def _values(scale: Coefficient | None, coefficients: Box) -> Box | None:
    return None if scale is None else coefficients[scale.entries]


def _norm(program: Program, coefficients: Box, weights: Array) -> float:
    """Return a bound of ‖V J V⁻¹‖ with V = diag(weights): that of its centre, and of the rest."""
    D = program.state_size
    all_weights = np.concatenate([weights, np.ones(program.width - D)])
    found: dict[tuple[int, int], Linear] = {}
    centre, rest = np.zeros((D, D)), 0.0
    for target, terms in program.assignments:
        rows = all_weights[target.columns]
        total, radius = np.zeros((target.size, D)), 0.0
        for term in terms:
            columns = term.source.columns
            source = Linear(np.diag(1.0 / weights)[columns], 0.0)
            if term.new:
                source = found[term.source]
            one = _term(term, rows, all_weights[columns], coefficients, source)
            total, radius = total + one.centre, radius + one.radius
        found[target] = Linear(total, radius)
        if target.start < D:
            centre[target.columns] = total
            rest += radius
    return float(np.linalg.norm(centre, 2)) + rest


def _term(term: Term, rows: Array, columns: Array, coefficients: Box, source: Linear) -> Linear:
    """Return ``diag(left) M diag(right)`` applied to the source, with weights of rows."""
    none = Box.of(1.0)
    left, right = (_values(s, coefficients) or none for s in (term.left, term.right))
    matrix = _dense(term, len(columns)) * rows[:, None]
    if term.new:
        matrix = matrix / columns
    sups = [np.maximum(np.abs(factor.low), np.abs(factor.high)) for factor in (left, right)]
    most = np.reshape(sups[0], (-1, 1)) * matrix
    moved = (right.centre * matrix) @ source.centre
    by_left = np.reshape(left.radius, (-1, 1)) * moved
    by_right = most * right.radius
    radius = _size(by_left) + _size(most * sups[1]) * source.radius
    # a diagonal source commutes with what varies
    radius += (
        _size(by_right) * _size(source.centre) if term.new else _size(by_right @ source.centre)
    )
    return Linear(np.reshape(left.centre, (-1, 1)) * moved, radius)


def _dense(term: Term, size: int) -> Array:
    if term.matrix is None:
        return np.eye(size)
    return as_scipy(term.matrix).toarray() if isinstance(term.matrix, Sparse) else term.matrix


def _size(matrix: Array) -> float:
    return float(np.linalg.norm(matrix, 2)) if matrix.any() else 0.0
