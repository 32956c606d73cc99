"""The Lipschitz network."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, kind_of
from .base import Cell, Vectors, as_input, as_matrix, as_vector
from .boxes import Box, Enclosure, activated
from .images import image
from .random_weights import Draw


class Weights(NamedTuple):
    K: Array
    U: Array
    epsilon: float
    kind: int


class Lipschitz(Cell):
    """Lipschitz network h′ = h + ε α h A + ε φ(h U + x Wᵀ + b), in row vectors.

    A = β (B − Bᵀ) + (1 − β) (B + Bᵀ) − γ I, and U the same of C, both (n, n) (Erichson, Azencot,
    Queiruga, Hodgkinson and Mahoney 2021, arXiv:2006.12070, in the form of the authors' code,
    whose E is W). W, b and ``nonlinearity`` as in `Vanilla`.
    """

    name = "lipschitz"
    program = "dh' = K dh + s U dh + s W dx"
    coefficients = ("s",)
    typical: ClassVar = {"epsilon": 0.3, "beta": 0.8, "gamma": 0.5}

    def __init__(
        self, W: Any, B: Any, C: Any, b: Any = None, *,
        epsilon: float, beta: float, gamma: float, alpha: float = 1.0, nonlinearity: str = "tanh",
    ) -> None:  # fmt: skip
        numbers = {"epsilon": epsilon, "beta": beta, "gamma": gamma, "alpha": alpha}
        self.arguments = {"W": W, "B": B, "C": C, "b": b, **numbers, "nonlinearity": nonlinearity}
        n = len(np.asarray(B))

        def split(matrix: Array, name: str) -> Array:
            matrix = as_matrix(matrix, name, (n, n))
            skew, symmetric = matrix - matrix.T, matrix + matrix.T
            # transposed, as the state is a column here
            mixed = (beta * skew + (1.0 - beta) * symmetric - gamma * np.eye(n)).T
            return as_matrix(mixed, f"{name}, beta or gamma", (n, n))

        self.W, self.b = as_input(W, n), as_vector(b, "b", n)
        K = np.eye(n) + epsilon * alpha * split(B, "B")
        self.weights = Weights(K, split(C, "C"), float(epsilon), kind_of(nonlinearity))
        self.variables = {"h": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        value, slope = activation(drive + state @ weights.U.T, weights.kind)
        return (state @ weights.K.T + weights.epsilon * value,), (weights.epsilon * slope,)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> Lipschitz:
        W, B, C = draw.inputs(n, m), draw.inputs(n, n), draw.recurrent(n, n)
        return cls(W, B, C, draw.biases(n), **{**cls.typical, **options})

    def matrices(self) -> dict[str, Array]:
        return {**super().matrices(), "K": self.weights.K}

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        K, U, epsilon, kind = self.weights
        value, slope = activated(drive + image(U, state), kind)
        return Enclosure(image(K, state) + value * epsilon, {"s": slope * epsilon})
