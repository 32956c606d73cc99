"""The independently recurrent network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, kind_of
from .base import Cell, Vectors, as_input, as_vector, log_abs_product
from .boxes import Box, Enclosure, activated
from .random_weights import Draw


class Weights(NamedTuple):
    u: Array
    kind: int


class Independent(Cell):
    """Independently recurrent network h′ = φ(W x + u h + b): each unit reads only itself.

    u has the size n; W, b and ``nonlinearity`` as in `Vanilla`. The exponents are the means of
    log|u φ′| (Li, Li, Cook, Zhu and Gao 2018, arXiv:1803.04831).
    """

    name = "independent"
    program = "dh' = a dh + s W dx"
    coefficients = ("a", "s")
    decoupled = True
    typical: ClassVar = {"nonlinearity": "tanh"}

    def __init__(self, W: Any, u: Any, b: Any = None, *, nonlinearity: str = "relu") -> None:
        self.arguments = {"W": W, "u": u, "b": b, "nonlinearity": nonlinearity}
        n = len(np.asarray(u))
        self.W, self.b = as_input(W, n), as_vector(b, "b", n)
        self.weights = Weights(as_vector(u, "u", n), kind_of(nonlinearity))
        self.variables = {"h": n}
        self.zeros = {"a": self.weights.u == 0.0}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        value, slope = activation(drive + weights.u * state, weights.kind)
        return (value,), (weights.u * slope, slope)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> Independent:
        W, u, b = draw.inputs(n, m), draw.recurrent(n, 1)[:, 0], draw.biases(n)
        return cls(W, u, b, **{**cls.typical, **options})

    def matrices(self) -> dict[str, Array]:
        return {"W": self.W}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        return log_abs_product(coefficients["a"])

    def dead_directions(self, coefficients: Mapping[str, Array]) -> Array:
        return np.sum(coefficients["a"] == 0.0, axis=-1)

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        value, slope = activated(drive + state * self.weights.u, self.weights.kind)
        return Enclosure(value, {"a": slope * self.weights.u})
