"""Reservoirs: leaky echo state networks, with sparse or dense weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, kind_of
from .base import Cell, as_each, as_input, as_vector
from .random_weights import Draw
from .sparse import Sparse, as_weight, product

__all__ = ["Reservoir"]


class Weights(NamedTuple):
    U: Array | Sparse
    leak: Array
    kind: int


class Reservoir(Cell):
    """Leaky echo state network h′ = (1 − a) h + a φ(W x + U h + b) (Jaeger et al. 2007).

    Parameters
    ----------
    W : array (n, m)
        Input weight; ``None`` for an autonomous network.
    U : array or scipy.sparse matrix (n, n)
        Recurrent weight. A step with a sparse one costs as much as it has numbers that are not
        zero, for each deviation vector.
    b : array (n,), optional
    leak : float or array (n,)
        a, the leaking rate; of each unit where they differ.
    nonlinearity : str
        φ; see `Vanilla`.

    Raises
    ------
    ValueError
        If a shape does not fit, a value is not finite, or a is not in (0, 1].
    """

    name = "reservoir"
    program = """
    dh' = l dh + s U dh + s W dx
    """
    coefficients = ("s",)

    def __init__(
        self, W: Any, U: Any, b: Any = None, *, leak: Any = 1.0, nonlinearity: str = "tanh"
    ) -> None:
        self.arguments = {"W": W, "U": U, "b": b, "leak": leak, "nonlinearity": nonlinearity}
        n = np.shape(U)[0]
        a = as_each(leak, "leak", n)
        if not np.all((a > 0.0) & (a <= 1.0)):
            raise ValueError(f"leak is {leak}; it must lie above 0 and be at most 1")
        self.W = as_input(W, n)
        self.b = as_vector(b, "b", n)
        self.weights = Weights(as_weight(U, "U", (n, n)), a, kind_of(nonlinearity))
        self.blocks = {"h": n}
        self.constants = {"l": 1.0 - a}

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        n = state.shape[-1]
        value, slope = activation(drive + product(state, weights.U), weights.kind)
        new_state[...] = (1.0 - weights.leak) * state + weights.leak * value
        coefficients[..., :n] = weights.leak * slope

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> Reservoir:
        return cls(*draw.layer(n, m), **{"leak": 0.5} | options)

    def matrices(self) -> dict[str, Any]:
        return {"U": self.weights.U, "W": self.W}
