"""The vanilla (Elman) cell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, kind_of
from .base import (
    Cell,
    Determinant,
    Inverse,
    as_input,
    as_matrix,
    as_vector,
    determinant,
    log_abs_product,
)
from .random_weights import Draw

__all__ = ["Vanilla"]


class Weights(NamedTuple):
    U: Array
    kind: int


class Vanilla(Cell):
    """h′ = φ(W x + U h + b), with φ tanh, relu, identity or a sigmoid (Elman 1990).

    Parameters
    ----------
    W : array (n, m)
        Input weight; ``None`` for an autonomous network.
    U : array (n, n)
        Recurrent weight.
    b : array (n,), optional
    nonlinearity : {"tanh", "relu", "identity", "sigmoid", "hard-sigmoid", "hard-sigmoid-keras2"}

    Raises
    ------
    ValueError
        If a shape does not fit or a value is not finite.
    """

    name = "vanilla"
    program = """
    dh' = a U dh + a W dx
    """
    coefficients = ("a",)

    def __init__(self, W: Any, U: Any, b: Any = None, nonlinearity: str = "tanh") -> None:
        kind = kind_of(nonlinearity)
        n = len(np.asarray(U))
        U = as_matrix(U, "U", (n, n))
        self.W = as_input(W, n)
        self.b = as_vector(b, "b", n)
        self.nonlinearity = nonlinearity
        self.weights = Weights(U, kind)
        self.blocks = {"h": n}

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        value, slope = activation(drive + state @ weights.U.T, weights.kind)
        new_state[...] = value
        coefficients[...] = slope

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> Vanilla:
        return cls(*draw.layer(n, m), **options)

    def matrices(self) -> dict[str, Array]:
        return {"U": self.weights.U, "W": self.W}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        # a dead unit makes the determinant zero, and its logarithm −∞ is the right answer
        return log_abs_product(coefficients["a"]) + self._determinant.log_abs

    def dead_directions(self, coefficients: Mapping[str, Array]) -> Array:
        a = coefficients["a"]
        return np.maximum(np.sum(a == 0.0, axis=-1), self._determinant.nullity)

    def inverse(self) -> Inverse | None:
        U = self.weights.U
        if self._determinant.nullity:
            return None
        return Inverse(
            program="dh' = r V dh",
            coefficients=("r",),
            auxiliary={},
            matrices={"V": np.ascontiguousarray(np.linalg.inv(U).T)},
            values=lambda named: {"r": 1.0 / named["a"]},
            condition=self._determinant.condition,
        )

    @cached_property
    def _determinant(self) -> Determinant:
        return determinant(self.weights.U)
