"""ParaGRU and ParaLSTM: gated cells whose recurrent weights are diagonal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import gated_differences, kind_of, logistic, tanh
from .base import Cell, Vectors, as_input, as_matrix, as_vector, log_abs_product
from .boxes import Box, Enclosure, activated, mixed
from .random_weights import Draw

SIGMOID = kind_of("sigmoid")
TANH = kind_of("tanh")


class Weights(NamedTuple):
    A: Array
    C: Array


class ParaGRU(Cell):
    """ParaGRU (Danieli et al. 2025, arXiv:2510.21450): a GRU whose units read only themselves.

    z, r = σ(W x + A h + b), c = tanh(W_c x + A_c h r + b_c), h′ = (1 − z) h + z c. W (3n, m) and
    b (3n,) stack rows of z, r, c; A is (3, n). Each exponent is the mean of the log of one number.
    """

    name = "para-gru"
    program = "dh' = a dh + p W_z dx + q W_r dx + t W_c dx"
    coefficients = ("a", "p", "q", "t")
    gates = "zrc"
    decoupled = True

    def __init__(self, W: Any, A: Any, b: Any = None) -> None:
        self.arguments = {"W": W, "A": A, "b": b}
        A = as_matrix(A, "A", (3, None))
        n = A.shape[1]
        self.W, self.b = as_input(W, 3 * n), as_vector(b, "b", 3 * n)
        self.weights = Weights(A, np.zeros((0, 0)))
        self.variables = {"h": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        A_z, A_r, A_c = weights.A[0], weights.A[1], weights.A[2]
        z, z_slope = logistic(drive[..., :n] + A_z * state)
        r, r_slope = logistic(drive[..., n : 2 * n] + A_r * state)
        c, c_slope = tanh(drive[..., 2 * n :] + A_c * (state * r))
        rest, gap = gated_differences(state, z, z_slope, c, c_slope)
        p, t = -gap * z_slope, z * c_slope
        q = t * A_c * state * r_slope
        return (rest * state + z * c,), (rest + p * A_z + t * A_c * r + q * A_r, p, q, t)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> ParaGRU:
        W, A, b = draw.inputs(3 * n, m), draw.recurrent(3 * n, 1), draw.biases(3 * n)
        return cls(W, A.reshape(3, n), b, **options)

    def matrices(self) -> dict[str, Array]:
        return _of_gates(self.W, self.gates)

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        return log_abs_product(coefficients["a"])

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        n, (A_z, A_r, A_c) = self.state_size, self.weights.A
        z_argument, r_argument = drive[:n] + state * A_z, drive[n : 2 * n] + state * A_r
        (z, z_slope), (r, r_slope) = (activated(x, SIGMOID) for x in (z_argument, r_argument))
        rest, _ = activated(-z_argument, SIGMOID)
        c, c_slope = activated(drive[2 * n :] + state * r * A_c, TANH)
        through_reset = z * c_slope * A_c * (r + state * r_slope * A_r)
        return Enclosure(
            mixed(z, state, c), {"a": rest + (c - state) * z_slope * A_z + through_reset}
        )


class ParaLSTM(Cell):
    """ParaLSTM (Danieli et al. 2025, arXiv:2510.21450): coupled gates, units read only themselves.

    f = σ(W_f x + A_f h + C_f c + b_f), g = tanh(W_g x + A_g h + b_g), c′ = f c + (1 − f) g,
    o = σ(W_o x + A_o h + C_o c′ + b_o), h′ = o tanh c′. W (3n, m) and b (3n,) stack rows of
    f, o, g; A is (3, n), C (2, n) of f and o. Its 2n exponents are those of 2 × 2 blocks.
    """

    name = "para-lstm"
    program = """
    dc' = k dc + l dh + p W_f dx + s W_g dx
    dh' = e dc' + w dh + u W_o dx
    """
    coefficients = ("k", "l", "p", "s", "e", "w", "u")
    gates = "fog"

    def __init__(self, W: Any, A: Any, C: Any, b: Any = None) -> None:
        self.arguments = {"W": W, "A": A, "C": C, "b": b}
        A = as_matrix(A, "A", (3, None))
        n = A.shape[1]
        self.W, self.b = as_input(W, 3 * n), as_vector(b, "b", 3 * n)
        self.weights = Weights(A, as_matrix(C, "C", (2, n)))
        self.variables = {"h": n, "c": n}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = weights.A.shape[1]
        h, c = state[..., :n], state[..., n:]
        A_f, A_o, A_g = weights.A[0], weights.A[1], weights.A[2]
        C_f, C_o = weights.C[0], weights.C[1]
        f, f_slope = logistic(drive[..., :n] + A_f * h + C_f * c)
        g, g_slope = tanh(drive[..., 2 * n :] + A_g * h)
        rest, gap = gated_differences(c, f, f_slope, g, g_slope)
        new_c = f * c + rest * g
        o, o_slope = logistic(drive[..., n : 2 * n] + A_o * h + C_o * new_c)
        v, v_slope = tanh(new_c)
        p, s, u = gap * f_slope, rest * g_slope, v * o_slope
        coefficients = (f + p * C_f, p * A_f + s * A_g, p, s, o * v_slope + u * C_o, u * A_o, u)
        return (o * v, new_c), coefficients

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> ParaLSTM:
        W, A, C = draw.inputs(3 * n, m), draw.recurrent(3 * n, 1), draw.recurrent(2 * n, 1)
        return cls(W, A.reshape(3, n), C.reshape(2, n), draw.biases(3 * n), **options)

    def matrices(self) -> dict[str, Array]:
        return _of_gates(self.W, self.gates)

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        return log_abs_product(coefficients["k"]) + log_abs_product(coefficients["w"])

    def of_units(self, units: Array) -> ParaLSTM:
        A, C = self.weights
        rows = (A.shape[1] * np.arange(3)[:, None] + units).ravel()
        return ParaLSTM(self.W[rows], A[:, units], C[:, units], self.b[rows])


def _of_gates(W: Array, gates: str) -> dict[str, Array]:
    rows = np.split(W, len(gates))
    return {f"W_{gate}": part for gate, part in zip(gates, rows, strict=True)}
