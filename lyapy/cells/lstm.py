"""The long short-term memory cell, plain and with a projected output."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import logistic, tanh
from .base import (
    Cell,
    Determinant,
    Inverse,
    as_input,
    as_matrix,
    as_vector,
    determinant,
    gates,
    log_abs_product,
)
from .random_weights import Draw

__all__ = ["LSTM", "ProjectedLSTM"]


class Weights(NamedTuple):
    U: Array
    P: Array


def lstm_gates(a: Array, c: Array, new_c: Array, coefficients: Array) -> Array:
    """Write c′ and the coefficients f, p, q, s, e, w; return o tanh c′."""
    n = c.shape[-1]
    i, i_slope = logistic(a[..., :n])
    f, f_slope = logistic(a[..., n : 2 * n])
    g, g_slope = tanh(a[..., 2 * n : 3 * n])
    o, o_slope = logistic(a[..., 3 * n :])
    new_c[...] = f * c + i * g
    v, v_slope = tanh(new_c)
    coefficients[..., :n] = f
    coefficients[..., n : 2 * n] = c * f_slope
    coefficients[..., 2 * n : 3 * n] = g * i_slope
    coefficients[..., 3 * n : 4 * n] = i * g_slope
    coefficients[..., 4 * n : 5 * n] = o * v_slope
    coefficients[..., 5 * n :] = v * o_slope
    return o * v


class LSTM(Cell):
    """LSTM with forget gate; its state is (h, c), so n units have 2n exponents.

    i, f, o = σ(W x + U h + b), g = tanh(·), c′ = f c + i g, h′ = o tanh c′
    (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    Parameters
    ----------
    W : array (4n, m)
        Input weights of the gates i, f, g, o; ``None`` for an autonomous network.
    U : array (4n, n)
        Recurrent weights.
    b : array (4n,), optional

    Raises
    ------
    ValueError
        If a shape does not fit or a value is not finite.
    """

    name = "lstm"
    program = """
    dc' = f dc + p U_f dh + q U_i dh + s U_g dh + p W_f dx + q W_i dx + s W_g dx
    dh' = e dc' + w U_o dh + w W_o dx
    """
    stages = (
        "dh' = dh \n dc' = f dc",
        "dh' = w U_o dh \n dc' = dc + p U_f dh + q U_i dh + s U_g dh",
        "dc' = dc \n dh' = dh + e dc",
    )
    coefficients = ("f", "p", "q", "s", "e", "w")

    def __init__(self, W: Any, U: Any, b: Any = None) -> None:
        self.W, U, self.b = _weights(W, U, b, None)
        n = U.shape[1]
        self.weights = Weights(U, np.zeros((0, 0)))
        self.blocks = {"h": n, "c": n}

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        n = weights.U.shape[1]
        a = drive + state[..., :n] @ weights.U.T
        new_state[..., :n] = lstm_gates(a, state[..., n:], new_state[..., n:], coefficients)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> LSTM:
        return cls(*draw.layer(n, m, gates=4), **options)

    def matrices(self) -> dict[str, Array]:
        return gates(self.weights.U, "ifgo", "U") | gates(self.W, "ifgo", "W")

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        # log|w| = log|tanh c′| + log o(1 − o)
        logs = log_abs_product(coefficients["f"]) + log_abs_product(coefficients["w"])
        return logs + self._determinant.log_abs

    def dead_directions(self, coefficients: Mapping[str, Array]) -> Array:
        # rank J ≤ n + rank(diag(w) U_o)
        return np.maximum(np.sum(coefficients["w"] == 0.0, axis=-1), self._determinant.nullity)

    def inverse(self) -> Inverse | None:
        if self._determinant.nullity:
            return None
        U = self.matrices()
        return Inverse(
            # J = [[e, 1], [1, 0]] [f dc + A dh, w U_o dh], with A the sum of the other gates
            program="""
            dv = i dc
            dk = dh + F p dv + I q dv + G s dv
            dh' = r O dk
            dc' = dv + m dh'
            """,
            coefficients=("i", "p", "q", "s", "r", "m"),
            auxiliary={"v": self.blocks["c"], "k": self.blocks["h"]},
            matrices={
                "F": -np.ascontiguousarray(U["U_f"].T),
                "I": -np.ascontiguousarray(U["U_i"].T),
                "G": -np.ascontiguousarray(U["U_g"].T),
                "O": np.ascontiguousarray(np.linalg.inv(U["U_o"]).T),
            },
            values=_inverse_values,
            condition=self._determinant.condition,
        )

    @cached_property
    def _determinant(self) -> Determinant:
        return determinant(self.matrices()["U_o"])


def _inverse_values(named: Mapping[str, Array]) -> dict[str, Array]:
    kept = {name: named[name] for name in ("p", "q", "s")}
    return {"i": 1.0 / named["f"], "r": 1.0 / named["w"], "m": -named["e"], **kept}


class ProjectedLSTM(Cell):
    """LSTM with projection, h′ = P (o tanh c′) (Sak et al. 2014; PyTorch's ``proj_size``).

    Its state is (h, c) with h of the projected size p, so it has p + n exponents.

    Parameters
    ----------
    W : array (4n, m)
        Input weights of the gates i, f, g, o; ``None`` for an autonomous network.
    U : array (4n, p)
        Recurrent weights.
    P : array (p, n)
        Projection.
    b : array (4n,), optional

    Raises
    ------
    ValueError
        If a shape does not fit or a value is not finite.
    """

    name = "lstm-projected"
    program = """
    dc' = f dc + p U_f dh + q U_i dh + s U_g dh + p W_f dx + q W_i dx + s W_g dx
    dy = e dc' + w U_o dh + w W_o dx
    dh' = P dy
    """
    coefficients = LSTM.coefficients

    def __init__(self, W: Any, U: Any, P: Any, b: Any = None) -> None:
        P = as_matrix(P, "P", (None, None))
        self.W, U, self.b = _weights(W, U, b, P)
        self.weights = Weights(U, P)
        self.blocks = {"h": P.shape[0], "c": P.shape[1]}
        self.auxiliary = {"y": P.shape[1]}

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        p = weights.U.shape[1]
        a = drive + state[..., :p] @ weights.U.T
        y = lstm_gates(a, state[..., p:], new_state[..., p:], coefficients)
        new_state[..., :p] = y @ weights.P.T

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> ProjectedLSTM:
        p = max(n // 2, 1)
        W, U, b = draw.inputs(4 * n, m), draw.recurrent(4 * n, p), draw.biases(4 * n)
        return cls(W, U, draw.inputs(p, n), b, **options)

    def matrices(self) -> dict[str, Array]:
        stacked = gates(self.weights.U, "ifgo", "U") | gates(self.W, "ifgo", "W")
        return stacked | {"P": self.weights.P}


def _weights(W: Any, U: Any, b: Any, P: Array | None) -> tuple[Array, Array, Array]:
    rows = len(np.asarray(U))
    if rows % 4:
        raise ValueError(f"U has {rows} rows; an LSTM's must be a multiple of 4 (gates i, f, g, o)")
    n = rows // 4
    if P is not None and P.shape[1] != n:
        raise ValueError(f"P has shape {P.shape}; with {n} units it must be (any, {n})")
    U = as_matrix(U, "U", (rows, n if P is None else len(P)))
    W = as_input(W, rows)
    return W, U, as_vector(b, "b", rows)
