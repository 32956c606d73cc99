"""The minimal gated unit."""

from typing import Any, NamedTuple

from ..arrays import Array
from .activations import gated_differences, logistic, tanh
from .base import Cell, Vectors, as_layer


class Weights(NamedTuple):
    U: Array


class MinimalGated(Cell):
    """Minimal gated unit, whose one gate both resets and updates.

    f = σ(W_f x + U_f h + b_f), g = tanh(W_g x + U_g (f h) + b_g), h′ = (1 − f) h + f g (Zhou,
    Wu, Zhang and Zhou 2016, arXiv:1603.09420). W (2n, m), U (2n, n), b (2n,) stack rows of f, g.
    """

    name = "minimal-gated"
    program = """
    dy = f dh + p U_f dh + p W_f dx
    dh' = v dh + q U_f dh + t U_g dy + q W_f dx + t W_g dx
    """
    coefficients = ("f", "p", "v", "q", "t")
    gates = "fg"

    def __init__(self, W: Any, U: Any, b: Any = None) -> None:
        self.arguments = {"W": W, "U": U, "b": b}
        self.W, U, self.b = as_layer(W, U, b, self.gates)
        n = U.shape[1]
        self.weights = Weights(U)
        self.variables = {"h": n}
        self.auxiliary = {"y": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        f, f_slope = logistic(drive[..., :n] + state @ weights.U[:n].T)
        g, g_slope = tanh(drive[..., n:] + (f * state) @ weights.U[n:].T)
        rest, apart = gated_differences(state, f, f_slope, g, g_slope)
        new = (1.0 - f) * state + f * g
        return (new,), (f, state * f_slope, rest, -apart * f_slope, f * g_slope)
