"""Coupled oscillators: coRNN."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import tanh
from .base import Cell, Vectors, as_input, as_matrix, as_vector
from .random_weights import Draw


class Weights(NamedTuple):
    Y: Array
    Z: Array
    dt: float
    gamma: float
    epsilon: float


class CoRNN(Cell):
    """Coupled oscillatory network; its state is (y, z), so n units have 2n exponents.

    z′ = z + δ (tanh(U_y y + U_z z + W x + b) − γ y − ε z), y′ = y + δ z′ (Rusch and Mishra
    2021, arXiv:2010.00951). det J = det((1 − δε) I + δ diag(tanh′) U_z). U_y and U_z are (n, n),
    W and b as in `Vanilla`; ``dt`` is δ.
    """

    name = "cornn"
    output = "y"
    program = """
    dz' = l dz + g dy + s Z dz + s Y dy + s W dx
    dy' = dy + t dz'
    """
    coefficients = ("s",)
    typical: ClassVar = {"dt": 0.3, "gamma": 1.0, "epsilon": 1.0}

    def __init__(
        self, W: Any, U_y: Any, U_z: Any, b: Any = None, *,
        dt: float, gamma: float, epsilon: float,
    ) -> None:  # fmt: skip
        numbers = {"dt": dt, "gamma": gamma, "epsilon": epsilon}
        self.arguments = {"W": W, "U_y": U_y, "U_z": U_z, "b": b, **numbers}
        n = len(np.asarray(U_y))
        Y, Z = as_matrix(U_y, "U_y", (n, n)), as_matrix(U_z, "U_z", (n, n))
        self.W, self.b = as_input(W, n), as_vector(b, "b", n)
        self.weights = Weights(Y, Z, float(dt), float(gamma), float(epsilon))
        self.variables = {"y": n, "z": n}
        self.constants = {"l": 1.0 - dt * epsilon, "g": -dt * gamma, "t": dt}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = weights.Y.shape[1]
        y, z, dt = state[..., :n], state[..., n:], weights.dt
        value, slope = tanh(drive + y @ weights.Y.T + z @ weights.Z.T)
        new_z = z + dt * (value - weights.gamma * y - weights.epsilon * z)
        return (y + dt * new_z, new_z), (dt * slope,)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> CoRNN:
        W, Y, Z = draw.inputs(n, m), draw.recurrent(n, n), draw.recurrent(n, n)
        return cls(W, Y, Z, draw.biases(n), **{**cls.typical, **options})

    def matrices(self) -> dict[str, Array]:
        return {"Y": self.weights.Y, "Z": self.weights.Z, "W": self.W}
