"""Diagonal plus rank one, from gates that come from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..arrays import Array
from .base import Cell, Vectors, log_abs_product
from .own_map import Weights


class GivenDecay(Cell):
    """A diagonal tangent map: the input (d,) of each step is its diagonal."""

    name = "given-decay"
    program = "dh' = a dh"
    coefficients: tuple[str, ...] = ("a",)
    decoupled = True

    def __init__(self, size: int) -> None:
        self.W, self.b = np.zeros((0, len(self.coefficients) * size)), np.zeros(0)
        self.weights = Weights()
        self.variables = {"h": size}

    def drive(self, x: Array) -> Array:
        return x

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        return (state,), (drive,)

    def matrices(self) -> dict[str, Array]:
        return {}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        return log_abs_product(coefficients["a"])


class GivenGates(GivenDecay):
    """J = diag(a) + left rightᵀ: the input (3d,) of each step is a, left, right."""

    name = "given-gates"
    # S adds up, T spreads
    program = """
    dy = S r dh
    dh' = a dh + l T dy
    """
    coefficients = ("a", "l", "r")
    decoupled = False

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.auxiliary = {"y": 1}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        return (state,), (drive[..., :n], drive[..., n : 2 * n], drive[..., 2 * n :])

    def matrices(self) -> dict[str, Array]:
        n = self.state_size
        return {"S": np.ones((1, n)), "T": np.ones((n, 1))}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        a, left, right = (coefficients[name] for name in self.coefficients)
        with np.errstate(divide="ignore"):
            rank_one = np.log(np.abs(1.0 + np.sum(right * left / a, axis=-1)))
        return log_abs_product(a) + rank_one
