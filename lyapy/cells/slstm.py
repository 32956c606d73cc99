"""The sLSTM of xLSTM and TiRex, in variables without its gauge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import logistic, softplus, tanh
from .base import Cell, Determinant, Vectors, as_layer, determinant, log_abs_product


class Weights(NamedTuple):
    U: Array
    limit: float


class SLSTM(Cell):
    """sLSTM (Beck et al. 2024, arXiv:2405.04517); n units have 3n exponents.

    The published state (y, c, n, m) has n directions that no output reads, (c, n, m) →
    (c e^−ε, n e^−ε, m + ε). The state here is (y, w, L) with w = c/n and L = m + log n: L′ =
    log(σ(f) e^L + e^i), ρ = exp(i − L′), w′ = (1 − ρ) w + ρ tanh z, y′ = σ(o) w′, and
    i, f, z, o = W x + U y + b. Published states begin with n = 0, which is L = −1e30.

    W (4n, m), U (4n, n) and b (4n,) stack rows of i, f, z, o; each head is a diagonal block of U,
    and is followed separately. ``forget_limit`` cuts f from above, as TiRex does at 15.
    """

    name = "slstm"
    output = "y"
    program = """
    dL' = a dL + b U_f dy + r U_i dy + b W_f dx + r W_i dx
    dw' = a dw + p U_i dy + q dL' + s U_z dy + p W_i dx + s W_z dx
    dy' = e dw' + u U_o dy + u W_o dx
    """
    coefficients = ("a", "b", "r", "p", "q", "s", "e", "u")
    gates = "ifzo"

    def __init__(self, W: Any, U: Any, b: Any = None, *, forget_limit: float | None = None) -> None:
        self.arguments = {"W": W, "U": U, "b": b, "forget_limit": forget_limit}
        self.W, U, self.b = as_layer(W, U, b, self.gates)
        n = U.shape[1]
        self.weights = Weights(U, math.inf if forget_limit is None else float(forget_limit))
        self.variables = {"y": n, "w": n, "L": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = weights.U.shape[1]
        y, w, L = state[..., :n], state[..., n : 2 * n], state[..., 2 * n :]
        gates = drive + y @ weights.U.T
        i, f = gates[..., :n], np.minimum(gates[..., n : 2 * n], weights.limit)
        z, z_slope = tanh(gates[..., 2 * n : 3 * n])
        o, o_slope = logistic(gates[..., 3 * n :])
        kept = L - softplus(-f)[0]
        rho, a = logistic(i - kept)[0], logistic(kept - i)[0]
        new_L = np.maximum(i, kept) + softplus(-np.abs(i - kept))[0]
        new_w = a * w + rho * z
        b = a * logistic(-f)[0] * (gates[..., n : 2 * n] <= weights.limit)
        p = rho * (z - w)
        return (o * new_w, new_w, new_L), (a, b, rho, p, -p, rho * z_slope, o, new_w * o_slope)

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        kept = 2.0 * log_abs_product(coefficients["a"])
        return kept + log_abs_product(coefficients["u"]) + self._determinant.log_abs

    def dead_directions(self, coefficients: Mapping[str, Array]) -> int:
        return self._determinant.nullity

    def of_units(self, units: Array) -> SLSTM:
        n = self.variables["y"]
        rows = (n * np.arange(4)[:, None] + units).ravel()
        U = self.weights.U[np.ix_(rows, units)]
        return SLSTM(self.W[rows], U, self.b[rows], forget_limit=self.weights.limit)

    @cached_property
    def _determinant(self) -> Determinant:
        return determinant(self.matrices()["U_o"])
