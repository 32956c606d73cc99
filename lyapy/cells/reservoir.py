"""Reservoirs: leaky echo state networks, with sparse or dense weights."""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, bend, kind_of
from .base import Cell, Vectors, as_each, as_input, as_vector
from .boxes import Box, Enclosure, activated, mixed
from .images import image
from .sparse import Sparse, as_scipy, as_weight, product


class Weights(NamedTuple):
    U: Array | Sparse
    leak: Array
    kind: int


class Reservoir(Cell):
    """Leaky echo state network h′ = (1 − a) h + a φ(W x + U h + b) (Jaeger et al. 2007).

    W, b and ``nonlinearity`` as in `Vanilla`, W also sparse, and b also one number or (n, 1), so
    that the matrices of a reservoirpy node fit as they are. U (n, n) is an array or a scipy.sparse
    matrix, with which a step takes one multiplication per deviation vector and nonzero number of U.
    ``leak`` is the leaking rate a in (0, 1], one number or (n,).
    """

    name = "reservoir"
    program = "dh' = l dh + s U dh + s W dx"
    coefficients = ("s",)
    typical: ClassVar = {"leak": 0.5}

    def __init__(
        self, W: Any, U: Any, b: Any = None, *, leak: Any = 1.0, nonlinearity: str = "tanh"
    ) -> None:
        n = np.shape(U)[0]
        W, b = _dense(W), _dense(b)
        b = None if b is None else as_each(b.ravel() if b.shape == (n, 1) else b, "b", n)
        self.arguments = {"W": W, "U": U, "b": b, "leak": leak, "nonlinearity": nonlinearity}
        a = as_each(leak, "leak", n)
        if not np.all((a > 0.0) & (a <= 1.0)):
            raise ValueError(f"leak is {leak}; it must lie above 0 and be at most 1")
        self.W, self.b = as_input(W, n), as_vector(b, "b", n)
        self.weights = Weights(as_weight(U, "U", (n, n)), a, kind_of(nonlinearity))
        self.variables = {"h": n}
        self.constants = {"l": 1.0 - a}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        value, slope = activation(drive + product(state, weights.U), weights.kind)
        leak = weights.leak
        return ((1.0 - leak) * state + leak * value,), (leak * slope,)

    def curvature(self, state: Array, drive: Array, radius: float) -> float:
        U, leak, kind = self.weights
        a = drive + product(state, U)
        squares = as_scipy(U).power(2).sum(axis=1) if isinstance(U, Sparse) else (U**2).sum(axis=1)
        # Frobenius's norm, which sparse weights have too
        size = float(np.sqrt(squares.sum()) * leak.max())
        return size * bend(a, kind, np.sqrt(squares), radius)

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        U, leak, kind = self.weights
        value, slope = activated(drive + image(U, state), kind)
        return Enclosure(mixed(Box.of(leak), state, value), {"s": slope * leak})


def _dense(value: Any) -> Any:
    """Return an array for a scipy.sparse one, which reservoirpy keeps input weights and bias in."""
    if hasattr(value, "toarray"):
        value = value.toarray()
    return None if value is None else np.asarray(value)
