"""Linear state spaces with diagonal complex transition: LRU, S4D and their like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .base import Cell, Vectors, as_matrix, as_vector, log_abs_product
from .boxes import Box, Enclosure
from .images import image
from .random_weights import Draw


class Weights(NamedTuple):
    real: Array
    imaginary: Array
    C: Array
    F: Array


class DiagonalStateSpace(Cell):
    """Linear state space s′ = Λ s + B x, read as y = Re(C s′) + D x; Λ diagonal and complex.

    The recurrent part of a linear recurrent unit (Orvieto et al. 2023, arXiv:2303.06349) or of
    a discretized diagonal state space model. Its real state is (Re s, Im s), so n
    eigenvalues have 2n exponents, log|λ| twice for each. It is linear: a stack is nonlinear
    by the layers between. ``eigenvalues`` (n,) are of an LRU exp(−exp(ν) + i exp(θ)), and B (n, m)
    includes its normalization γ, None without inputs; C (p, n), D (p, m), b (p,), a bias.
    """

    name = "state-space"
    output = "y"
    program = """
    da' = r da + m db + P dx
    db' = i da + r db + Q dx
    dy = C da' + F db' + D dx
    """
    coefficients = ()
    decoupled = True
    exact = True

    def __init__(self, eigenvalues: Any, B: Any, C: Any, D: Any = None, b: Any = None) -> None:
        self.arguments = {"eigenvalues": eigenvalues, "B": B, "C": C, "D": D, "b": b}
        values, C = np.asarray(eigenvalues, dtype=np.complex128), np.asarray(C, np.complex128)
        n, p = len(values), len(C)
        B = np.zeros((n, 0)) if B is None else np.asarray(B, np.complex128)
        real, imaginary = (as_vector(x, "eigenvalues", n) for x in (values.real, values.imag))
        P, Q = (as_matrix(x, "B", (n, None)) for x in (B.real, B.imag))
        m = P.shape[1]
        D = as_matrix(np.zeros((p, m)) if D is None else D, "D", (p, m))
        self.W = np.concatenate([P, Q, D])
        self.b = np.concatenate([np.zeros(2 * n), as_vector(b, "b", p)])
        read = (as_matrix(x, "C", (p, n)) for x in (C.real, -C.imag))
        self.weights = Weights(real, imaginary, *read)
        self.variables = {"a": n, "b": n}
        self.auxiliary = {"y": p}
        self.constants = {"r": real, "m": -imaginary, "i": imaginary}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = weights.real.shape[0]
        a, b, r, i = state[..., :n], state[..., n:], weights.real, weights.imaginary
        new_b = i * a + r * b + drive[..., n : 2 * n]
        return (r * a - i * b + drive[..., :n], new_b), ()

    @staticmethod
    def read(weights: Any, new: Vectors, drive: Array) -> Array:
        a, b = new
        return a @ weights.C.T + b @ weights.F.T + drive[..., 2 * a.shape[-1] :]

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> DiagonalStateSpace:
        """Return a stable one, whatever the gain: moduli from 0.4 to 0.99, any phase."""
        moduli, phases = draw.rng.uniform(0.4, 0.99, n), draw.rng.uniform(0.0, 2.0 * np.pi, n)
        B = (draw.inputs(n, m) + 1j * draw.inputs(n, m)) * np.sqrt(1.0 - moduli**2)[:, None]
        C = draw.inputs(n, n) + 1j * draw.inputs(n, n)
        return cls(moduli * np.exp(1j * phases), B, C, draw.inputs(n, m), draw.biases(n), **options)

    def matrices(self) -> dict[str, Array]:
        n = self.variables["a"]
        P, Q, D = self.W[:n], self.W[n : 2 * n], self.W[2 * n :]
        return {"P": P, "Q": Q, "D": D, "C": self.weights.C, "F": self.weights.F}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        return log_abs_product(self._squares(coefficients))

    def dead_directions(self, coefficients: Mapping[str, Array]) -> Array:
        return 2 * np.sum(self._squares(coefficients) == 0.0, axis=-1)

    @staticmethod
    def _squares(coefficients: Mapping[str, Array]) -> Array:
        return coefficients["r"] ** 2 + coefficients["i"] ** 2

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        real, imaginary, C, F = self.weights
        n = len(real)
        a, b = state[:n], state[n:]
        new_a = a * real - b * imaginary + drive[:n]
        new_b = a * imaginary + b * real + drive[n : 2 * n]
        new = Box(
            *(np.concatenate(ends) for ends in ((new_a.low, new_b.low), (new_a.high, new_b.high)))
        )
        return Enclosure(new, {}, image(C, new_a) + image(F, new_b) + drive[2 * n :])
