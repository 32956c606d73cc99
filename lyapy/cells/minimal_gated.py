"""The minimal gated unit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import logistic, tanh
from .base import Cell, as_input, as_matrix, as_vector, gates
from .gru import gru_differences
from .random_weights import Draw

__all__ = ["MinimalGated"]


class Weights(NamedTuple):
    U: Array


class MinimalGated(Cell):
    """Minimal gated unit, whose one gate both resets and updates.

    f = σ(W_f x + U_f h + b_f), g = tanh(W_g x + U_g (f h) + b_g), h′ = (1 − f) h + f g (Zhou,
    Wu, Zhang and Zhou 2016, arXiv:1603.09420).

    Parameters
    ----------
    W : array (2n, m)
        Input weights of f and g; ``None`` for an autonomous network.
    U : array (2n, n)
        Recurrent weights.
    b : array (2n,), optional

    Raises
    ------
    ValueError
        If a shape does not fit or a value is not finite.
    """

    name = "minimal-gated"
    program = """
    dy = f dh + p U_f dh + p W_f dx
    dh' = v dh + q U_f dh + t U_g dy + q W_f dx + t W_g dx
    """
    coefficients = ("f", "p", "v", "q", "t")

    def __init__(self, W: Any, U: Any, b: Any = None) -> None:
        self.arguments = {"W": W, "U": U, "b": b}
        n = len(np.asarray(U)) // 2
        self.W = as_input(W, 2 * n)
        self.b = as_vector(b, "b", 2 * n)
        self.weights = Weights(as_matrix(U, "U", (2 * n, n)))
        self.blocks = {"h": n}
        self.auxiliary = {"y": n}

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        n = state.shape[-1]
        f, f_slope = logistic(drive[..., :n] + state @ weights.U[:n].T)
        g, g_slope = tanh(drive[..., n:] + (f * state) @ weights.U[n:].T)
        rest, apart = gru_differences(state, f, f_slope, g, g_slope)
        new_state[...] = (1.0 - f) * state + f * g
        coefficients[..., :n] = f
        coefficients[..., n : 2 * n] = state * f_slope
        coefficients[..., 2 * n : 3 * n] = rest
        coefficients[..., 3 * n : 4 * n] = -apart * f_slope
        coefficients[..., 4 * n :] = f * g_slope

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> MinimalGated:
        return cls(*draw.layer(n, m, gates=2), **options)

    def matrices(self) -> dict[str, Array]:
        return gates(self.weights.U, "fg", "U") | gates(self.W, "fg", "W")
