"""Reservoirs: leaky echo state networks, with sparse or dense weights."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, kind_of
from .base import Cell, Vectors, as_each, as_input, as_vector
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
    W, b
        As in `Vanilla`.
    U : array or scipy.sparse matrix (n, n)
        Recurrent weight. With a sparse one a step takes as many multiplications, for each
        deviation vector, as U has numbers that are not zero.
    leak : float or array (n,)
        a, the leaking rate; of each unit where they differ. ValueError unless in (0, 1].
    nonlinearity : str
        φ; see `Vanilla`.
    """

    name = "reservoir"
    program = """
    dh' = l dh + s U dh + s W dx
    """
    coefficients = ("s",)
    typical: ClassVar = {"leak": 0.5}

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
        self.variables = {"h": n}
        self.constants = {"l": 1.0 - a}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        value, slope = activation(drive + product(state, weights.U), weights.kind)
        leak = weights.leak
        return ((1.0 - leak) * state + leak * value,), (leak * slope,)
