"""The vanilla (Elman) cell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, bend, kind_of
from .base import (
    INVERTIBLE,
    Cell,
    Determinant,
    Inverse,
    Vectors,
    as_layer,
    determinant,
    log_abs_product,
)
from .boxes import Box, Enclosure, activated
from .images import image


class Weights(NamedTuple):
    U: Array
    kind: int


class Vanilla(Cell):
    """h′ = φ(W x + U h + b) (Elman 1990).

    Parameters
    ----------
    W, U, b : array (n, m), (n, n), (n,)
        Weights of inputs (None without inputs) and states, and bias.
    nonlinearity : {"tanh", "relu", "identity", "sigmoid", "softplus", "elu", "silu", "sin", …}
        φ.
    """

    name = "vanilla"
    program = "dh' = a U dh + a W dx"
    coefficients = ("a",)

    def __init__(self, W: Any, U: Any, b: Any = None, nonlinearity: str = "tanh") -> None:
        self.nonlinearity = nonlinearity
        self.W, U, self.b = as_layer(W, U, b)
        self.weights = Weights(U, kind_of(nonlinearity))
        self.variables = {"h": len(U)}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        value, slope = activation(drive + state @ weights.U.T, weights.kind)
        return (value,), (slope,)

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        # −∞ where a unit is dead, as the determinant is zero there
        return log_abs_product(coefficients["a"]) + self._determinant.log_abs

    def dead_directions(self, coefficients: Mapping[str, Array]) -> Array | int:
        dead = np.count_nonzero(coefficients["a"] == 0.0, axis=-1) if self.exact else 0
        return np.maximum(dead, self._determinant.nullity)

    def of_units(self, units: Array) -> Vanilla:
        U = self.weights.U[np.ix_(units, units)]
        return Vanilla(self.W[units], U, self.b[units], self.nonlinearity)

    def curvature(self, state: Array, drive: Array, radius: float) -> float:
        U = self.weights.U
        lengths = np.linalg.norm(U, axis=1)
        size = float(np.linalg.norm(U, 2))
        return size * bend(drive + U @ state, self.weights.kind, lengths, radius)

    def inverse(self) -> Inverse | None:
        if not self._determinant.condition < INVERTIBLE:
            return None
        return Inverse(
            program="dh' = r V dh",
            coefficients=("r",),
            auxiliary={},
            matrices={"V": np.ascontiguousarray(np.linalg.inv(self.weights.U).T)},
            values=lambda named: {"r": 1.0 / named["a"]},
            condition=self._determinant.condition,
        )

    @cached_property
    def _determinant(self) -> Determinant:
        return determinant(self.weights.U)

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        value, slope = activated(drive + image(self.weights.U, state), self.weights.kind)
        return Enclosure(value, {"a": slope})
