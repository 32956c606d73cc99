"""The long short-term memory cell, plain and with a projected output."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import logistic, tanh
from .base import (
    INVERTIBLE,
    Cell,
    Determinant,
    Inverse,
    Vectors,
    as_layer,
    as_matrix,
    determinant,
    log_abs_product,
)
from .random_weights import Draw


class Weights(NamedTuple):
    U: Array
    P: Array


def update(a: Array, c: Array) -> tuple[Array, Array, Vectors]:
    """Return o tanh c′, c′ and the coefficients f, p, q, s, e, w from the gates' arguments."""
    n = c.shape[-1]
    i, i_slope = logistic(a[..., :n])
    f, f_slope = logistic(a[..., n : 2 * n])
    g, g_slope = tanh(a[..., 2 * n : 3 * n])
    o, o_slope = logistic(a[..., 3 * n :])
    new_c = f * c + i * g
    v, v_slope = tanh(new_c)
    coefficients = (f, c * f_slope, g * i_slope, i * g_slope, o * v_slope, v * o_slope)
    return o * v, new_c, coefficients


class LSTM(Cell):
    """LSTM with forget gate; its state is (h, c), so n units have 2n exponents.

    i, f, o = σ(W x + U h + b), g = tanh(·), c′ = f c + i g, h′ = o tanh c′ (Hochreiter and
    Schmidhuber 1997; Gers et al. 2000). W (4n, m), U (4n, n), b (4n,) stack rows of i, f, g, o.
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
    gates = "ifgo"

    def __init__(self, W: Any, U: Any, b: Any = None) -> None:
        self.W, U, self.b = as_layer(W, U, b, self.gates)
        n = U.shape[1]
        self.weights = Weights(U, np.zeros((0, 0)))
        self.variables = {"h": n, "c": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = weights.U.shape[1]
        h, c, coefficients = update(drive + state[..., :n] @ weights.U.T, state[..., n:])
        return (h, c), coefficients

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        # log|w| = log|tanh c′| + log o(1 − o)
        logs = log_abs_product(coefficients["f"]) + log_abs_product(coefficients["w"])
        return logs + self._determinant.log_abs

    def dead_directions(self, coefficients: Mapping[str, Array]) -> Array:
        # rank J ≤ n + rank(diag(w) U_o)
        zero = coefficients["w"] == 0.0
        if not self.exact:
            zero = zero & _rests(coefficients)
        return np.maximum(np.sum(zero, axis=-1), self._determinant.nullity)

    def of_units(self, units: Array) -> LSTM:
        n = self.variables["h"]
        rows = (n * np.arange(4)[:, None] + units).ravel()
        return LSTM(self.W[rows], self.weights.U[np.ix_(rows, units)], self.b[rows])

    def inverse(self) -> Inverse | None:
        if not self._determinant.condition < INVERTIBLE:
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
            auxiliary={"v": self.variables["c"], "k": self.variables["h"]},
            matrices={
                "F": -np.ascontiguousarray(U["U_f"].T),
                "I": -np.ascontiguousarray(U["U_i"].T),
                "G": -np.ascontiguousarray(U["U_g"].T),
                "O": np.ascontiguousarray(np.linalg.inv(U["U_o"]).T),
            },
            values=lambda named: (
                {"i": 1.0 / named["f"], "r": 1.0 / named["w"], "m": -named["e"]}
                | {name: named[name] for name in ("p", "q", "s")}
            ),
            condition=self._determinant.condition,
        )

    @cached_property
    def _determinant(self) -> Determinant:
        return determinant(self.matrices()["U_o"])


def _rests(coefficients: Mapping[str, Array]) -> Array:
    """Return in which units c′ is zero as c and g are, where w is; in others w has underflowed."""
    f, p, q, s, e = (coefficients[name] for name in "fpqse")
    c_and_g = (p == 0.0) & (q == 0.0) & (f > 0.0) & (f < 1.0) & (s > 0.0) & (e > 0.0)
    # with c = 0 and a g that is not, the slopes of i and o have underflowed at 1: then s = 1 − g²
    # and e = 1 − tanh²(g)
    saturated = np.abs(e - 1.0 / np.cosh(np.sqrt(np.maximum(1.0 - s, 0.0))) ** 2)
    return c_and_g & (saturated > 1e-9)


class ProjectedLSTM(Cell):
    """LSTM with projection, h′ = P (o tanh c′) (Sak et al. 2014; PyTorch's ``proj_size``).

    Its state is (h, c) with h of the projected size p, so it has p + n exponents. P has the shape
    (p, n), U (4n, p), W and b as in `LSTM`.
    """

    name = "lstm-projected"
    program = """
    dc' = f dc + p U_f dh + q U_i dh + s U_g dh + p W_f dx + q W_i dx + s W_g dx
    dy = e dc' + w U_o dh + w W_o dx
    dh' = P dy
    """
    coefficients = LSTM.coefficients
    gates = LSTM.gates

    def __init__(self, W: Any, U: Any, P: Any, b: Any = None) -> None:
        self.W, U, self.b = as_layer(W, U, b, self.gates, square=False)
        p, n = U.shape[1], len(U) // 4
        self.weights = Weights(U, as_matrix(P, "P", (p, n)))
        self.variables = {"h": p, "c": n}
        self.auxiliary = {"y": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        p = weights.U.shape[1]
        y, c, coefficients = update(drive + state[..., :p] @ weights.U.T, state[..., p:])
        return (y @ weights.P.T, c), coefficients

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> ProjectedLSTM:
        p = max(n // 2, 1)
        W, U, b = draw.inputs(4 * n, m), draw.recurrent(4 * n, p), draw.biases(4 * n)
        return cls(W, U, draw.inputs(p, n), b, **options)

    def matrices(self) -> dict[str, Array]:
        return {**super().matrices(), "P": self.weights.P}
