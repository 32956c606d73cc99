"""Spiking leaky integrate-and-fire units, with a surrogate for the derivative of a spike."""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .base import Cell, Vectors, as_each, as_layer


class Weights(NamedTuple):
    U: Array
    decay: Array
    threshold: float
    sharpness: float


class SpikingSurrogate(Cell):
    """Leaky integrate-and-fire units; their spectrum is that of the surrogate's tangent map.

    v′ = β v + U s + W x + b − ϑ s with the spikes s = [v ≥ ϑ], reset by subtraction; the next
    layer reads the spikes of v′. A spike has no derivative. As in training, 1/(1 + κ|v − ϑ|)²
    stands for it (Zenke and Ganguli 2018, arXiv:1705.11146; Neftci, Mostafa and Zenke 2019).
    So the exponents show how gradients grow in training, not how perturbations grow in the
    spiking network. W, U and b as in `Vanilla`; ``decay`` is β, one number or (n,), ``threshold``
    ϑ, ``sharpness`` κ; ``detached_reset`` leaves the reset out of the derivative, as frameworks
    often do.
    """

    name = "spiking-surrogate"
    output = "y"
    program = """
    dv' = l dv + R s dv + W dx
    dy = g dv'
    """
    coefficients = ("s", "g")
    surrogate = True
    typical: ClassVar = {"sharpness": 2.0}
    exact = True

    def __init__(
        self, W: Any, U: Any, b: Any = None, *, decay: Any = 0.9, threshold: float = 1.0,
        sharpness: float = 25.0, detached_reset: bool = False,
    ) -> None:  # fmt: skip
        numbers = {"decay": decay, "threshold": threshold, "sharpness": sharpness}
        self.arguments = {"W": W, "U": U, "b": b, **numbers, "detached_reset": detached_reset}
        self.W, U, self.b = as_layer(W, U, b)
        n = len(U)
        decay = as_each(decay, "decay", n)
        self.weights = Weights(U, decay, float(threshold), float(sharpness))
        self.detached_reset = detached_reset
        self.variables = {"v": n}
        self.auxiliary = {"y": n}
        self.constants = {"l": decay}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        threshold, k = weights.threshold, weights.sharpness
        spikes = (state >= threshold) * 1.0
        v = weights.decay * state + spikes @ weights.U.T - threshold * spikes + drive
        s = 1.0 / (1.0 + k * np.abs(state - threshold)) ** 2
        return (v,), (s, 1.0 / (1.0 + k * np.abs(v - threshold)) ** 2)

    @staticmethod
    def read(weights: Any, new: Vectors, drive: Array) -> Array:
        return (new[0] >= weights.threshold) * 1.0

    def fingerprint(self) -> tuple[Array, ...]:
        return (*super().fingerprint(), self.detached_reset)

    def matrices(self) -> dict[str, Array]:
        U = self.weights.U
        R = U if self.detached_reset else U - self.weights.threshold * np.eye(len(U))
        return {"R": R, "W": self.W}
