"""Piecewise linear networks: PLRNN, dendritic and shallow."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import Array
from .activations import bend, kind_of, relu
from .base import Cell, Vectors, as_input, as_matrix, as_vector
from .boxes import Box, Enclosure, activated
from .images import image
from .random_weights import Draw


class Weights(NamedTuple):
    A: Array
    W: Array
    alphas: Array
    thetas: Array


class ShallowWeights(NamedTuple):
    A: Array
    V: Array
    U: Array
    h: Array
    clipped: float


class PLRNN(Cell):
    """Piecewise linear network z′ = A z + W Σ_b α_b relu(z + θ_b) + h + C s.

    C (n, m) weighs external inputs s, None without them; A (n,) is diagonal, W (n, n), h (n,),
    ``alphas`` (bases,), ``thetas`` (n, bases). With one basis, α = 1 and θ = 0, it is the PLRNN
    (Durstewitz 2017), with more the dendPLRNN (Brenner et al. 2022, arXiv:2207.02542). The clipped
    form, with relu(z + θ_b) − relu(z), has an additional basis of θ = 0 and α = −Σ α_b.
    """

    name = "plrnn"
    output = "z"
    program = "dz' = l dz + W s dz + C dx"
    coefficients = ("s",)
    exact = True

    def __init__(
        self, C: Any, A: Any, W: Any, h: Any = None, *, alphas: Any = None, thetas: Any = None
    ) -> None:
        self.arguments = {"C": C, "A": A, "W": W, "h": h, "alphas": alphas, "thetas": thetas}
        n = len(np.asarray(A))
        alphas = np.ones(1) if alphas is None else alphas
        bases = len(np.asarray(alphas))
        thetas = np.zeros((n, bases)) if thetas is None else thetas
        self.W, self.b = as_input(C, n, "C"), as_vector(h, "h", n)
        A, alphas = as_vector(A, "A", n), as_vector(alphas, "alphas", bases)
        thetas = np.ascontiguousarray(as_matrix(thetas, "thetas", (n, bases)).T)
        self.weights = Weights(A, as_matrix(W, "W", (n, n)), alphas, thetas)
        self.variables = {"z": n}
        self.constants = {"l": self.weights.A}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        total, slopes = np.zeros_like(state), np.zeros_like(state)
        for i in range(len(weights.alphas)):
            value, slope = relu(state + weights.thetas[i])
            total = total + weights.alphas[i] * value
            slopes = slopes + weights.alphas[i] * slope
        return (weights.A * state + total @ weights.W.T + drive,), (slopes,)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> PLRNN:
        """Return a bounded one: two bases bend to and back at random thresholds around 0."""
        thetas = np.abs(2.0 * draw.rng.normal(size=(n, 2))) * [1.0, -1.0]
        A, bases = draw.rng.uniform(0.3, 0.9, n), {"alphas": [1.0, -1.0], "thetas": thetas}
        W, C, h = draw.recurrent(n, n), draw.inputs(n, m), draw.biases(n)
        return cls(C, A, W, h, **bases | options)

    def matrices(self) -> dict[str, Array]:
        return {"W": self.weights.W, "C": self.W}

    def curvature(self, state: Array, drive: Array, radius: float) -> float:
        arguments = state + self.weights.thetas
        return bend(arguments, kind_of("relu"), np.ones(len(state)), radius)

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        A, W, alphas, thetas = self.weights
        ends = [state.low, state.high, *np.clip(-thetas, state.low, state.high)]
        # a piecewise linear function is largest and smallest at ends and kinks
        at = np.array(ends)[:, None] + thetas
        after = np.minimum(np.nextafter(ends, np.inf), state.high)[:, None] + thetas
        with np.errstate(invalid="ignore"):
            totals = np.nan_to_num(alphas @ relu(at)[0], nan=np.inf)
        slopes = np.concatenate([alphas @ relu(places)[1] for places in (at, after)])
        least = np.where(np.isinf(totals).any(axis=0), -np.inf, totals.min(axis=0))
        new = state * A + image(W, Box(least, totals.max(axis=0))) + drive
        return Enclosure(new, {"s": Box(slopes.min(axis=0), slopes.max(axis=0))})


class ShallowPLRNN(Cell):
    """Shallow PLRNN z′ = A z + W₁ relu(W₂ z + h₂) + h₁ + C s, with A diagonal.

    Where clipped, W₁ multiplies relu(W₂ z + h₂) − relu(W₂ z), and the network is bounded if
    |A| < 1 (Hess, Monfared, Brenner and Durstewitz 2023, arXiv:2306.04406). C and A as in `PLRNN`.
    """

    name = "shallow-plrnn"
    output = "z"
    program = """
    dy = s U dz
    dz' = l dz + V dy + C dx
    """
    coefficients = ("s",)
    typical: ClassVar = {"clipped": True}
    exact = True

    def __init__(
        self, C: Any, A: Any, W_1: Any, W_2: Any, h_1: Any = None, h_2: Any = None, *,
        clipped: bool = False,
    ) -> None:  # fmt: skip
        weights = {"C": C, "A": A, "W_1": W_1, "W_2": W_2}
        self.arguments = {**weights, "h_1": h_1, "h_2": h_2, "clipped": clipped}
        n = len(np.asarray(A))
        W_1 = as_matrix(W_1, "W_1", (n, None))
        hidden = W_1.shape[1]
        self.W, self.b = as_input(C, n, "C"), as_vector(h_1, "h_1", n)
        W_2, h_2 = as_matrix(W_2, "W_2", (hidden, n)), as_vector(h_2, "h_2", hidden)
        self.weights = ShallowWeights(as_vector(A, "A", n), W_1, W_2, h_2, float(clipped))
        self.variables = {"z": n}
        self.auxiliary = {"y": hidden}
        self.constants = {"l": self.weights.A}

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        a = state @ weights.U.T
        value, slope = relu(a + weights.h)
        clip, clip_slope = relu(a)
        y = value - weights.clipped * clip
        new = weights.A * state + y @ weights.V.T + drive
        return (new,), (slope - weights.clipped * clip_slope,)

    @classmethod
    def random(cls, n: int, m: int, draw: Draw, **options: Any) -> ShallowPLRNN:
        """Return a bounded one with 2n hidden units."""
        A, C, U = draw.rng.uniform(0.3, 0.9, n), draw.inputs(n, m), draw.recurrent(2 * n, n)
        V, h_1, h_2 = draw.inputs(n, 2 * n), draw.biases(n), 2.0 * draw.rng.normal(size=2 * n)
        return cls(C, A, V, U, h_1, h_2, **{**cls.typical, **options})

    def matrices(self) -> dict[str, Array]:
        return {"V": self.weights.V, "U": self.weights.U, "C": self.W}

    def enclose(self, state: Box, drive: Box) -> Enclosure:
        A, V, U, h, clip = self.weights
        a = image(U, state)
        (value, slope), (less, less_slope) = (activated(x, kind_of("relu")) for x in (a + h, a))
        new = state * A + image(V, value - less * clip) + drive
        return Enclosure(new, {"s": slope - less_slope * clip})
