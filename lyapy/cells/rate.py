"""Rate networks: leaky units in continuous time, discretized by Euler or Runge and Kutta."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import activation, bend, kind_of
from .base import Cell, Vectors, as_each, as_layer
from .boxes import Box, Enclosure, activated
from .images import image


class Weights(NamedTuple):
    M: Array
    leak: Array
    kind: int


class Rate(Cell):
    """Rate network τ dh/dt = −h + U φ(h) + W x + b by Euler's method.

    h′ = (1 − δ) h + δ (U φ(h) + W x + b) (Sompolinsky, Crisanti and Sommers 1988; Engelken, Wolf
    and Abbott 2023, arXiv:2006.02427). W, U, b and ``nonlinearity`` as in `Vanilla`; ``dt`` is
    δ > 0, the time of a step in units of τ, one number or (n,) where the units' τ differ.
    `lyapunov_spectrum` takes one number over: exponents come per τ, unless its ``dt="step"``.
    """

    name = "rate"
    program = "dh' = l dh + M s dh + W dx"
    coefficients: tuple[str, ...] = ("s",)
    # auxiliary variables of the method's stages
    between: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, W: Any, U: Any, b: Any = None, *, dt: Any = 0.1, nonlinearity: str = "tanh"
    ) -> None:
        self.arguments = {"W": W, "U": U, "b": b, "dt": dt, "nonlinearity": nonlinearity}
        W, U, b = as_layer(W, U, b)
        n = len(U)
        delta = as_each(dt, "dt", n)
        if not np.all(delta > 0.0):
            raise ValueError(f"dt is {dt}; it must be positive")
        self.W, self.b = delta[:, None] * W, delta * b
        self.weights = Weights(delta[:, None] * U, delta, kind_of(nonlinearity))
        self.variables = {"h": n}
        self.auxiliary = dict.fromkeys(self.between, n)
        self.constants = self._constants(delta)

    def _constants(self, delta: Array) -> Mapping[str, Array]:
        return {"l": 1.0 - delta}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        value, slope = activation(state, weights.kind)
        return ((1.0 - weights.leak) * state + value @ weights.M.T + drive,), (slope,)

    def matrices(self) -> dict[str, Array]:
        return {"M": self.weights.M, "W": self.W}

    def curvature(self, state: Array, drive: Array, radius: float) -> float | None:
        if self.between:
            return None
        size = float(np.linalg.norm(self.weights.M, 2))
        return size * bend(state, self.weights.kind, np.ones(len(state)), radius)

    def enclose(self, state: Box, drive: Box) -> Enclosure | None:
        if self.between:
            return None
        M, leak, kind = self.weights
        value, slope = activated(state, kind)
        return Enclosure(state * (1.0 - leak) + image(M, value) + drive, {"s": slope})


def velocity(weights: Any, h: Array, drive: Array) -> tuple[Array, Array]:
    """Return K(h) = −δ h + M φ(h) + drive, and φ′(h)."""
    value, slope = activation(h, weights.kind)
    return drive - weights.leak * h + value @ weights.M.T, slope


class RateRK4(Rate):
    """`Rate` by the classical Runge–Kutta method of fourth order; inputs are held over a step."""

    name = "rate-rk4"
    # y = h + K(h)/2, z = h + K(y)/2, v = h + K(z), h′ = h + (K(h) + 2 K(y) + 2 K(z) + K(v))/6;
    # the last line eliminates all K but the last
    program = """
    dy = l dh + H s dh + V dx
    dz = dh + m dy + H t dy + V dx
    dv = dh + p dz + M u dz + W dx
    dh' = a dh + b dy + c dz + e dv + G w dv + X dx
    """
    coefficients = ("s", "t", "u", "w")
    between = ("y", "z", "v")

    def _constants(self, delta: Array) -> Mapping[str, Array]:
        third = np.full(len(delta), 1.0 / 3.0)
        halves = {"l": 1.0 - delta / 2.0, "m": -delta / 2.0, "p": -delta}
        return {**halves, "a": -third, "b": third, "c": 2.0 * third, "e": third - delta / 6.0}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        first, s = velocity(weights, state, drive)
        second, t = velocity(weights, state + 0.5 * first, drive)
        third, u = velocity(weights, state + 0.5 * second, drive)
        fourth, w = velocity(weights, state + third, drive)
        return (state + (first + 2.0 * second + 2.0 * third + fourth) / 6.0,), (s, t, u, w)

    def matrices(self) -> dict[str, Array]:
        M, W = self.weights.M, self.W
        return {"M": M, "H": M / 2.0, "G": M / 6.0, "W": W, "V": W / 2.0, "X": W / 6.0}
