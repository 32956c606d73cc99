"""The gated recurrent unit, with the reset gate after or before the product."""

from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import gated_differences, logistic, tanh
from .base import Cell, Vectors, as_layer, as_vector


class Weights(NamedTuple):
    U: Array
    c: Array


def update(h: Array, z_in: Array, n_in: Array) -> Vectors:
    """Return h′, z, (h − n) z′ and (1 − z) n′ from the arguments of the gate z and of n."""
    z, z_slope = logistic(z_in)
    n, n_slope = tanh(n_in)
    rest, apart = gated_differences(h, z, z_slope, n, n_slope)
    return (1.0 - z) * n + z * h, z, apart * z_slope, rest * n_slope


class GRU(Cell):
    """GRU with the reset gate after the product, as in PyTorch, cuDNN and Keras 3.

    r = σ(W_r x + b_r + U_r h + c_r), z likewise, n = tanh(W_n x + b_n + r (U_n h + c_n)),
    h′ = (1 − z) n + z h. W (3n, m), U (3n, n), b and c (3n,) stack the rows of r, z and n; of c
    only the last third differs in effect from b.
    """

    name = "gru"
    program = "dh' = z dh + p U_z dh + q U_r dh + s U_n dh + p W_z dx + q W_r dx + t W_n dx"
    coefficients = ("z", "p", "q", "s", "t")
    gates = "rzn"

    def __init__(self, W: Any, U: Any, b: Any = None, c: Any = None) -> None:
        self.W, U, b = as_layer(W, U, b, self.gates)
        n = U.shape[1]
        c = as_vector(c, "c", 3 * n)
        self.b = b + np.concatenate([c[: 2 * n], np.zeros(n)])
        self.weights = Weights(U, c[2 * n :].copy())
        self.variables = {"h": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        a = state @ weights.U.T
        r, r_slope = logistic(drive[..., :n] + a[..., :n])
        z_in = drive[..., n : 2 * n] + a[..., n : 2 * n]
        v = a[..., 2 * n :] + weights.c
        new, z, p, t = update(state, z_in, drive[..., 2 * n :] + r * v)
        return (new,), (z, p, t * v * r_slope, t * r, t)


class GRUResetBefore(Cell):
    """GRU with the reset gate before the product (Cho et al. 2014; Keras ``reset_after=False``).

    As `GRU`, but n = tanh(W_n x + b_n + U_n (r h)), without c.
    """

    name = "gru-reset-before"
    program = """
    dy = r dh + u U_r dh + u W_r dx
    dh' = z dh + p U_z dh + t U_n dy + p W_z dx + t W_n dx
    """
    coefficients = ("r", "u", "z", "p", "t")
    gates = "rzn"

    def __init__(self, W: Any, U: Any, b: Any = None) -> None:
        self.W, U, self.b = as_layer(W, U, b, self.gates)
        n = U.shape[1]
        self.weights = Weights(U, np.zeros(0))
        self.variables = {"h": n}
        self.auxiliary = {"y": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        a = state @ weights.U[: 2 * n].T
        r, r_slope = logistic(drive[..., :n] + a[..., :n])
        z_in = drive[..., n : 2 * n] + a[..., n:]
        g_in = drive[..., 2 * n :] + (r * state) @ weights.U[2 * n :].T
        new, z, p, t = update(state, z_in, g_in)
        return (new,), (r, state * r_slope, z, p, t)
