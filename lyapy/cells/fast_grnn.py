"""FastGRNN: a gated cell whose gate and candidate share their weights."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from ..arrays import Array
from .activations import gated_differences, logistic, tanh
from .base import Cell, Vectors, as_layer, as_vector
from .random_weights import Draw


class Weights(NamedTuple):
    U: Array
    b_z: Array
    b_c: Array
    zeta: float
    nu: float


class FastGRNN(Cell):
    """FastGRNN h′ = (ζ (1 − z) + ν) c + z h, z = σ(W x + U h + b_z), c = tanh(W x + U h + b_c).

    W (n, m) and U (n, n) serve both, b (2n,) stacks b_z and b_c; ζ and ν are numbers from 0 to 1
    (Kusupati et al. 2018, arXiv:1901.02358).
    """

    name = "fast-grnn"
    program = "dh' = z dh + p U dh + p W dx"
    coefficients = ("z", "p")
    typical: ClassVar = {"zeta": 0.8, "nu": 0.1}

    def __init__(
        self, W: Any, U: Any, b: Any = None, *, zeta: float = 1.0, nu: float = 0.0
    ) -> None:
        self.arguments = {"W": W, "U": U, "b": b, "zeta": zeta, "nu": nu}
        # both biases are those of the step
        self.W, U, self.b = as_layer(W, U, None)
        n = len(U)
        b = as_vector(b, "b", 2 * n)
        scale, shift = as_vector((zeta, nu), "zeta or nu", 2)
        self.weights = Weights(U, b[:n].copy(), b[n:].copy(), float(scale), float(shift))
        self.variables = {"h": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        a = drive + state @ weights.U.T
        z, z_slope = logistic(a + weights.b_z)
        c, c_slope = tanh(a + weights.b_c)
        rest, apart = gated_differences(state, z, z_slope, c, c_slope)
        share = weights.zeta * rest + weights.nu
        # h − ζ c, with the digits of h − c
        p = (apart + (1.0 - weights.zeta) * c) * z_slope + share * c_slope
        return (share * c + z * state,), (z, p)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> FastGRNN:
        W, U = draw.inputs(n, m), draw.recurrent(n, n)
        return cls(W, U, draw.biases(2 * n), **{**cls.typical, **options})
