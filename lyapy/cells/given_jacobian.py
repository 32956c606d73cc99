"""The cell whose Jacobians come from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .base import Cell

__all__ = ["GivenJacobian"]


class Weights(NamedTuple):
    """No weights: all that the tangent step needs is its input."""


class GivenJacobian(Cell):
    """A tangent map without a forward pass: the input of each step is its Jacobian, raveled.

    Parameters
    ----------
    state_size : int
        D; the inputs then have the width D².
    """

    name = "given-jacobian"
    program = """
    dh' = J dh
    """
    coefficients = ("J",)

    def __init__(self, state_size: int) -> None:
        self.W = np.zeros((0, state_size**2))
        self.b = np.zeros(0)
        self.weights = Weights()
        self.blocks = {"h": state_size}

    def drive(self, x: Array) -> Array:
        return x

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        new_state[...] = state
        coefficients[...] = drive

    def matrices(self) -> dict[str, Array]:
        return {}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        J = coefficients["J"]
        n = self.state_size
        return np.linalg.slogdet(J.reshape(*J.shape[:-1], n, n))[1]
