"""The antisymmetric network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, kind_of
from .base import Cell, as_input, as_matrix, as_vector
from .random_weights import Draw

__all__ = ["Antisymmetric"]


class Weights(NamedTuple):
    M: Array
    epsilon: float
    kind: int


class Antisymmetric(Cell):
    """Antisymmetric network h′ = h + ε φ((U − Uᵀ − γ I) h + W x + b).

    After Chang, Chen, Haber and Chi 2019, arXiv:1902.09689.

    Parameters
    ----------
    W : array (n, m)
        Input weight; ``None`` for an autonomous network.
    U : array (n, n)
    b : array (n,), optional
    epsilon, gamma : float
        Step and damping.
    nonlinearity : str
        φ; see `Vanilla`.

    Raises
    ------
    ValueError
        If a shape does not fit or a value is not finite.
    """

    name = "antisymmetric"
    program = """
    dh' = dh + s M dh + s W dx
    """
    coefficients = ("s",)

    def __init__(
        self,
        W: Any,
        U: Any,
        b: Any = None,
        *,
        epsilon: float,
        gamma: float,
        nonlinearity: str = "tanh",
    ) -> None:
        numbers = {"epsilon": epsilon, "gamma": gamma, "nonlinearity": nonlinearity}
        self.arguments = {"W": W, "U": U, "b": b, **numbers}
        n = len(np.asarray(U))
        U = as_matrix(U, "U", (n, n))
        self.W = as_input(W, n)
        self.b = as_vector(b, "b", n)
        M = as_matrix(U - U.T - gamma * np.eye(n), "U or gamma", (n, n))
        self.weights = Weights(M, float(epsilon), kind_of(nonlinearity))
        self.blocks = {"h": n}

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        value, slope = activation(drive + state @ weights.M.T, weights.kind)
        new_state[...] = state + weights.epsilon * value
        coefficients[...] = weights.epsilon * slope

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> Antisymmetric:
        return cls(*draw.layer(n, m), **{"epsilon": 0.3, "gamma": 0.3} | options)

    def matrices(self) -> dict[str, Array]:
        return {"M": self.weights.M, "W": self.W}
