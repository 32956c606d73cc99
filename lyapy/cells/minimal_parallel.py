"""minGRU and minLSTM: gates that read the input alone, so that the state enters linearly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import kind_of, logistic, softplus
from .base import Cell, Vectors, as_input, as_vector, log_abs_product
from .boxes import Box, Enclosure, activated, mixed
from .random_weights import Draw

SIGMOID = kind_of("sigmoid")
SOFTPLUS = kind_of("softplus")


class Weights(NamedTuple):
    """No recurrent weights."""


class MinGRU(Cell):
    """minGRU h′ = (1 − z) h + z c, z = σ(W_z x + b_z), c = W_c x + b_c (Feng et al. 2024).

    W (2n, m) and b (2n,) stack rows of z, c. The exponents are the means of log(1 − z), whatever
    the state does: arXiv:2410.01201.
    """

    name = "min-gru"
    program = "dh' = a dh + p W_z dx + z W_c dx"
    coefficients: tuple[str, ...] = ("a", "p", "z")
    gates = "zc"
    decoupled = True

    def __init__(self, W: Any, b: Any = None) -> None:
        self.arguments = {"W": W, "b": b}
        if W is None and b is None:
            raise ValueError("W and b are both None; give one, from which the units follow")
        rows, count = len(np.asarray(b if W is None else W)), len(self.gates)
        if rows % count:
            letters = ", ".join(self.gates)
            raise ValueError(
                f"W has {rows} rows; they must be a multiple of {count} (gates {letters})"
            )
        self.W, self.b = as_input(W, rows), as_vector(b, "b", rows)
        self.weights = Weights()
        self.variables = {"h": rows // count}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        z, z_slope = logistic(drive[..., :n])
        rest, _ = logistic(-drive[..., :n])
        c = drive[..., n:]
        return (rest * state + z * c,), (rest, (c - state) * z_slope, z)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> MinGRU:
        rows = len(cls.gates) * n
        return cls(draw.inputs(rows, m), draw.biases(rows), **options)

    def matrices(self) -> dict[str, Array]:
        rows = np.split(self.W, len(self.gates))
        return {f"W_{gate}": part for gate, part in zip(self.gates, rows, strict=True)}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        return log_abs_product(coefficients["a"])

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        n = self.state_size
        z, rest = (activated(gate, SIGMOID)[0] for gate in (drive[:n], -drive[:n]))
        return Enclosure(mixed(z, state, drive[n:]), {"a": rest})


class MinLSTM(MinGRU):
    """minLSTM h′ = (f h + i c) / (f + i), f, i = σ(W x + b), c = W_c x + b_c (Feng et al. 2024).

    W (3n, m) and b (3n,) stack rows of f, i, c. The exponents are the means of log f/(f + i).
    """

    name = "min-lstm"
    program = "dh' = a dh + p W_f dx + q W_i dx + z W_c dx"
    coefficients = ("a", "p", "q", "z")
    gates = "fic"

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        f, i, c = drive[..., :n], drive[..., n : 2 * n], drive[..., 2 * n :]
        # σ(i)/(σ(f) + σ(i)) = σ(log σ(i) − log σ(f))
        gap = softplus(-f)[0] - softplus(-i)[0]
        z, z_slope = logistic(gap)
        a, _ = logistic(-gap)
        s = (c - state) * z_slope
        return (a * state + z * c,), (a, -s * logistic(-f)[0], s * logistic(-i)[0], z)

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        n = self.state_size
        f, i = (activated(-gate, SOFTPLUS)[0] for gate in (drive[:n], drive[n : 2 * n]))
        kept, z = (activated(ratio, SIGMOID)[0] for ratio in (i - f, f - i))
        return Enclosure(mixed(z, state, drive[2 * n :]), {"a": kept})
