"""LSTM and GRU with other activations, peepholes, coupled gates or clipping: slower ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import EXACT, activation, clipped, complement, difference, kind_of
from .base import Cell, Vectors, as_matrix
from .gru import GRU, GRUResetBefore
from .lstm import LSTM
from .random_weights import Draw


class LSTMWeights(NamedTuple):
    U: Array
    peepholes: Array
    gate: int
    candidate: int
    output: int
    coupled: float
    clip: float


class GRUWeights(NamedTuple):
    U: Array
    c: Array
    gate: int
    candidate: int
    clip: float


class _Variant(Cell):
    @property
    def exact(self) -> bool:
        weights = self.weights
        kinds = {weights.gate, weights.candidate, getattr(weights, "output", weights.gate)}
        return kinds <= {*EXACT}


class LSTMVariant(_Variant, LSTM):
    """LSTM with other activations, peepholes, a coupled forget gate or clipping.

    i = σ(W x + U h + b + p_i c), f likewise, g = φ(·), c′ = f c + i g,
    o = σ(W x + U h + b + p_o c′), h′ = o ψ(c′) (Gers and Schmidhuber 2000; ONNX), W, U and b as in
    `LSTM`. σ, φ and ψ (``gate``, ``nonlinearity``, ``output``) are among those of `Vanilla`, where
    ``"hard-sigmoid"`` is x/6 + 1/2 of PyTorch and Keras 3, ``"hard-sigmoid-keras2"`` x/5 + 1/2 of
    Keras until 2 and ONNX. ``peepholes`` (3, n) are p of the gates i, f, o. Where ``coupled``,
    f = 1 − i, whatever the weights of f (ONNX ``input_forget``). The arguments of σ and φ are cut
    to ±``clip``, a positive number.
    """

    name = "lstm-variant"

    def __init__(
        self, W: Any, U: Any, b: Any = None, *, gate: str = "sigmoid", nonlinearity: str = "tanh",
        output: str = "tanh", peepholes: Any = None, coupled: bool = False,
        clip: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(W, U, b)
        n = self.variables["h"]
        p = np.zeros((3, n)) if peepholes is None else as_matrix(peepholes, "peepholes", (3, n))
        kinds = kind_of(gate, "gate"), kind_of(nonlinearity), kind_of(output, "output")
        self.weights = LSTMWeights(self.weights.U, p, *kinds, float(coupled), _limit(clip))

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = weights.U.shape[1]
        P, gate, coupled, clip = weights.peepholes, weights.gate, weights.coupled, weights.clip
        a = drive + state[..., :n] @ weights.U.T
        c = state[..., n:]
        i_in, g_in = a[..., :n] + P[0] * c, a[..., 2 * n : 3 * n]
        i, i_slope = clipped(i_in, gate, clip)
        f, f_slope = clipped(a[..., n : 2 * n] + P[1] * c, gate, clip)
        g, g_slope = clipped(g_in, weights.candidate, clip)
        f = coupled * complement(i_in, gate, clip) + (1.0 - coupled) * f
        p = (1.0 - coupled) * c * f_slope
        q = -difference(coupled * c, g_in, weights.candidate, clip) * i_slope
        new_c = f * c + i * g
        o, o_slope = clipped(a[..., 3 * n :] + P[2] * new_c, gate, clip)
        v, v_slope = activation(new_c, weights.output)
        w = v * o_slope
        coefficients = (f + p * P[1] + q * P[0], p, q, i * g_slope, o * v_slope + w * P[2], w)
        return (o * v, new_c), coefficients

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> LSTMVariant:
        W, U, b = draw.layer(n, m, gates=4)
        return cls(W, U, b, **{"peepholes": draw.biases(3 * n).reshape(3, n)} | options)

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        # with peepholes the coefficient f may be negative
        return super().log_abs_det({**coefficients, "f": np.abs(coefficients["f"])})

    def dead_directions(self, coefficients: Mapping[str, Array]) -> Array:
        # f and w are zero as slopes of the gates are
        sure = self.weights.gate in EXACT
        zeros = [np.sum((coefficients[name] == 0.0) & sure, axis=-1) for name in "fw"]
        return np.maximum(np.maximum(*zeros), self._determinant.nullity)


def _gru_weights(plain: Any, gate: str, nonlinearity: str, clip: float | None) -> GRUWeights:
    return GRUWeights(plain.U, plain.c, kind_of(gate, "gate"), kind_of(nonlinearity), _limit(clip))


def update(h: Array, z_in: Array, n_in: Array, weights: Any) -> Vectors:
    """Return h′, z, (h − n) z′ and (1 − z) n′ from the arguments of the gate z and of n."""
    gate, kind, clip = weights.gate, weights.candidate, weights.clip
    z, z_slope = clipped(z_in, gate, clip)
    n, n_slope = clipped(n_in, kind, clip)
    p = difference(h, n_in, kind, clip) * z_slope
    return (1.0 - z) * n + z * h, z, p, complement(z_in, gate, clip) * n_slope


class GRUVariant(_Variant, GRU):
    """`GRU` with another activation of the gates r and z, or of n, or clipped as `LSTMVariant`."""

    name = "gru-variant"

    def __init__(
        self, W: Any, U: Any, b: Any = None, c: Any = None, *, gate: str = "sigmoid",
        nonlinearity: str = "tanh", clip: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(W, U, b, c)
        self.weights = _gru_weights(self.weights, gate, nonlinearity, clip)

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        a = state @ weights.U.T
        r, r_slope = clipped(drive[..., :n] + a[..., :n], weights.gate, weights.clip)
        z_in = drive[..., n : 2 * n] + a[..., n : 2 * n]
        v = a[..., 2 * n :] + weights.c
        new, z, p, t = update(state, z_in, drive[..., 2 * n :] + r * v, weights)
        return (new,), (z, p, t * v * r_slope, t * r, t)


class GRUResetBeforeVariant(_Variant, GRUResetBefore):
    """`GRUResetBefore` with other activations or clipped, as `GRUVariant`."""

    name = "gru-reset-before-variant"

    def __init__(
        self, W: Any, U: Any, b: Any = None, *, gate: str = "sigmoid",
        nonlinearity: str = "tanh", clip: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(W, U, b)
        self.weights = _gru_weights(self.weights, gate, nonlinearity, clip)

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        n = state.shape[-1]
        a = state @ weights.U[: 2 * n].T
        r, r_slope = clipped(drive[..., :n] + a[..., :n], weights.gate, weights.clip)
        z_in = drive[..., n : 2 * n] + a[..., n:]
        n_in = drive[..., 2 * n :] + (r * state) @ weights.U[2 * n :].T
        new, z, p, t = update(state, z_in, n_in, weights)
        return (new,), (r, state * r_slope, z, p, t)


def _limit(clip: float | None) -> float:
    if clip is not None and not clip > 0.0:
        raise ValueError(f"clip is {clip}; it must be positive")
    return np.inf if clip is None else float(clip)
