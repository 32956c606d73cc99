"""The gated recurrent unit, with the reset gate after or before the product."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import logistic, tanh
from .base import Cell, as_input, as_matrix, as_vector, gates
from .random_weights import Draw

__all__ = ["GRU", "GRUResetBefore"]


class Weights(NamedTuple):
    U: Array
    c: Array


class GRU(Cell):
    """GRU with the reset gate after the product, as in PyTorch, cuDNN and Keras 3.

    r = σ(W_r x + b_r + U_r h + c_r), z likewise, n = tanh(W_n x + b_n + r (U_n h + c_n)),
    h′ = (1 − z) n + z h.

    Parameters
    ----------
    W : array (3n, m)
        Input weights of the gates r, z, n; ``None`` for an autonomous network.
    U : array (3n, n)
        Recurrent weights.
    b, c : array (3n,), optional
        Biases outside and inside the reset product. Only the last third of ``c`` differs
        in effect from ``b``.

    Raises
    ------
    ValueError
        If a shape does not fit or a value is not finite.
    """

    name = "gru"
    program = """
    dh' = z dh + p U_z dh + q U_r dh + s U_n dh + p W_z dx + q W_r dx + t W_n dx
    """
    coefficients = ("z", "p", "q", "s", "t")

    def __init__(self, W: Any, U: Any, b: Any = None, c: Any = None) -> None:
        W, U, b, c = _weights(W, U, b, c)
        n = U.shape[1]
        self.W = W
        self.b = b + np.concatenate([c[: 2 * n], np.zeros(n)])
        self.weights = Weights(U, c[2 * n :].copy())
        self.blocks = {"h": n}

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        n = state.shape[-1]
        a = state @ weights.U.T
        r, r_slope = logistic(drive[..., :n] + a[..., :n])
        z, z_slope = logistic(drive[..., n : 2 * n] + a[..., n : 2 * n])
        v = a[..., 2 * n :] + weights.c
        g, g_slope = tanh(drive[..., 2 * n :] + r * v)
        rest, apart = gru_differences(state, z, z_slope, g, g_slope)
        t = rest * g_slope
        new_state[...] = (1.0 - z) * g + z * state
        coefficients[..., :n] = z
        coefficients[..., n : 2 * n] = apart * z_slope
        coefficients[..., 2 * n : 3 * n] = t * v * r_slope
        coefficients[..., 3 * n : 4 * n] = t * r
        coefficients[..., 4 * n :] = t

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> GRU:
        return cls(*draw.layer(n, m, gates=3), **options)

    def matrices(self) -> dict[str, Array]:
        return gates(self.weights.U, "rzn", "U") | gates(self.W, "rzn", "W")


class GRUResetBefore(Cell):
    """GRU with the reset gate before the product (Cho et al. 2014; Keras ``reset_after=False``).

    As `GRU`, but n = tanh(W_n x + b_n + U_n (r h)).

    Parameters
    ----------
    W : array (3n, m)
        Input weights of the gates r, z, n; ``None`` for an autonomous network.
    U : array (3n, n)
        Recurrent weights.
    b : array (3n,), optional

    Raises
    ------
    ValueError
        If a shape does not fit or a value is not finite.
    """

    name = "gru-reset-before"
    program = """
    dy = r dh + u U_r dh + u W_r dx
    dh' = z dh + p U_z dh + t U_n dy + p W_z dx + t W_n dx
    """
    coefficients = ("r", "u", "z", "p", "t")

    def __init__(self, W: Any, U: Any, b: Any = None) -> None:
        self.W, U, self.b, _ = _weights(W, U, b, None)
        n = U.shape[1]
        self.weights = Weights(U, np.zeros(0))
        self.blocks = {"h": n}
        self.auxiliary = {"y": n}

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        n = state.shape[-1]
        a = state @ weights.U[: 2 * n].T
        r, r_slope = logistic(drive[..., :n] + a[..., :n])
        z, z_slope = logistic(drive[..., n : 2 * n] + a[..., n:])
        g, g_slope = tanh(drive[..., 2 * n :] + (r * state) @ weights.U[2 * n :].T)
        rest, apart = gru_differences(state, z, z_slope, g, g_slope)
        new_state[...] = (1.0 - z) * g + z * state
        coefficients[..., :n] = r
        coefficients[..., n : 2 * n] = state * r_slope
        coefficients[..., 2 * n : 3 * n] = z
        coefficients[..., 3 * n : 4 * n] = apart * z_slope
        coefficients[..., 4 * n :] = rest * g_slope

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> GRUResetBefore:
        return cls(*draw.layer(n, m, gates=3), **options)

    def matrices(self) -> dict[str, Array]:
        return gates(self.weights.U, "rzn", "U") | gates(self.W, "rzn", "W")


def gru_differences(
    h: Array, z: Array, z_slope: Array, g: Array, g_slope: Array
) -> tuple[Array, Array]:
    """Return 1 − z and h − g for z = σ and g = tanh, with their digits where these are near ±1."""
    rest = np.where(z < 0.5, 1.0 - z, z_slope / np.maximum(z, 0.5))
    side = np.where(np.abs(g) < 0.5, 0.0, np.copysign(1.0, g))
    # 1 − |tanh| = (1 − tanh²)/(1 + |tanh|)
    return rest, (h - side) + np.where(side == 0.0, -g, side * g_slope / (1.0 + np.abs(g)))


def _weights(W: Any, U: Any, b: Any, c: Any) -> tuple[Array, Array, Array, Array]:
    rows = len(np.asarray(U))
    if rows % 3:
        raise ValueError(f"U has {rows} rows; a GRU's must be a multiple of 3 (gates r, z, n)")
    U = as_matrix(U, "U", (rows, rows // 3))
    W = as_input(W, rows)
    return W, U, as_vector(b, "b", rows), as_vector(c, "c", rows)
