"""The antisymmetric network."""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, kind_of
from .base import Cell, Vectors, as_layer, as_matrix
from .boxes import Box, Enclosure, activated
from .images import image


class Weights(NamedTuple):
    M: Array
    epsilon: float
    kind: int


class Antisymmetric(Cell):
    """Antisymmetric network h′ = h + ε φ((U − Uᵀ − γ I) h + W x + b).

    W, U, b and ``nonlinearity`` as in `Vanilla`; the step ε and the damping γ are numbers. After
    Chang, Chen, Haber and Chi 2019, arXiv:1902.09689.
    """

    name = "antisymmetric"
    program = "dh' = dh + s M dh + s W dx"
    coefficients = ("s",)
    typical: ClassVar = {"epsilon": 0.3, "gamma": 0.3}

    def __init__(
        self, W: Any, U: Any, b: Any = None, *,
        epsilon: float, gamma: float, nonlinearity: str = "tanh",
    ) -> None:  # fmt: skip
        numbers = {"epsilon": epsilon, "gamma": gamma, "nonlinearity": nonlinearity}
        self.arguments = {"W": W, "U": U, "b": b, **numbers}
        self.W, U, self.b = as_layer(W, U, b)
        n = len(U)
        M = as_matrix(U - U.T - gamma * np.eye(n), "U or gamma", (n, n))
        self.weights = Weights(M, float(epsilon), kind_of(nonlinearity))
        self.variables = {"h": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        value, slope = activation(drive + state @ weights.M.T, weights.kind)
        return (state + weights.epsilon * value,), (weights.epsilon * slope,)

    def matrices(self) -> dict[str, Array]:
        return {"M": self.weights.M, "W": self.W}

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        M, epsilon, kind = self.weights
        value, slope = activated(drive + image(M, state), kind)
        return Enclosure(state + value * epsilon, {"s": slope * epsilon})
