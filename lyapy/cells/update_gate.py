"""The update gate network, and JANET, which is the same with a shifted gate."""

from typing import Any, NamedTuple

from ..arrays import Array
from .activations import logistic, tanh
from .base import Cell, Vectors, as_layer


class Weights(NamedTuple):
    U: Array
    beta: float


class UpdateGate(Cell):
    """Update gate network h′ = g h + (1 − σ(s − β)) c, g = σ(s), c = tanh(W_c x + U_c h + b_c).

    s = W_g x + U_g h + b_g. β = 0 is UGRNN (Collins, Sohl-Dickstein and Sussillo 2017,
    arXiv:1611.09913), β = 1 JANET (van der Westhuizen and Lasenby 2018, arXiv:1804.04849).
    W (2n, m), U (2n, n), b (2n,) stack rows of g, c.
    """

    name = "update-gate"
    program = "dh' = g dh + p U_g dh + q U_c dh + p W_g dx + q W_c dx"
    coefficients = ("g", "p", "q")
    gates = "gc"

    def __init__(self, W: Any, U: Any, b: Any = None, *, beta: float = 0.0) -> None:
        self.arguments = {"W": W, "U": U, "b": b, "beta": beta}
        self.W, U, self.b = as_layer(W, U, b, self.gates)
        self.weights = Weights(U, float(beta))
        self.variables = {"h": U.shape[1]}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        a = drive + state @ weights.U.T
        g, g_slope = logistic(a[..., :n])
        # 1 − σ(s − β)
        rest, rest_slope = logistic(weights.beta - a[..., :n])
        c, c_slope = tanh(a[..., n:])
        return (g * state + rest * c,), (g, state * g_slope - c * rest_slope, rest * c_slope)
