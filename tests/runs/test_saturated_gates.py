"""Coefficients of gated cells whose gates and states are near ±1, against 320 digits."""

import itertools
from functools import cache

import mpmath
import numpy as np
import pytest

import lyapy
from lyapy.cells import GRUResetBeforeVariant, GRUVariant, LSTMVariant, MinimalGated
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine

GATE = np.array([-40.0, -5.0, -1.0, 0.3, 2.0, 2.9, 5.0, 20.0, 36.8, 40.0, 300.0])
CANDIDATE = np.array([1e-9, 1e-3, 0.3, 1.0, 2.4, 10.0, 19.0, 30.0, 300.0])
STATE = np.array([1.0, 1.0 - 1e-12, -1.0 + 1e-9, 0.7, 1e-5])
# inputs of the gate and of the candidate, and the state: one unit for each combination
A, B, H = np.array([*itertools.product(GATE, [*-CANDIDATE, *CANDIDATE], STATE)]).T
N = len(A)
GATES = ("sigmoid", "hard-sigmoid", "hard-sigmoid-keras2")
CANDIDATES = ("tanh", "sigmoid", "hard-sigmoid", "relu", "identity")
CLIP = 25.0


def hard(reach):
    def both(x):
        inside = abs(x) < reach
        value = (x + reach) / (2 * reach) if inside else mpmath.mpf(x > 0)
        return value, (1 / mpmath.mpf(2 * reach)) * inside

    return both


EXACT = {
    "tanh": lambda x: (mpmath.tanh(x), 1 / mpmath.cosh(x) ** 2),
    "sigmoid": lambda x: (1 / (1 + mpmath.exp(-x)), 1 / (2 + mpmath.exp(x) + mpmath.exp(-x))),
    "hard-sigmoid": hard(3),
    "hard-sigmoid-keras2": hard(mpmath.mpf(5) / 2),
    "relu": lambda x: (max(x, mpmath.mpf(0)), mpmath.mpf(x > 0)),
    "identity": lambda x: (x, mpmath.mpf(1)),
}


@cache
def exactly(gate, candidate, clip):
    """Return (1 − z) g′ and (h − g) z′ of all units, and 1 − z."""

    def cut(kind, x):
        value, slope = EXACT[kind](min(max(x, -clip), clip))
        return value, slope * (abs(x) <= clip)

    found = []
    with mpmath.workdps(320):
        for a, b, h in zip(*(map(mpmath.mpf, v.tolist()) for v in (A, B, H)), strict=True):
            (z, z_slope), (g, g_slope) = cut(gate, a), cut(candidate, b)
            found.append(((1 - z) * g_slope, (h - g) * z_slope, 1 - z))
    return tuple(zip(*found, strict=True))


def coefficients(cell, state, backend):
    network = lyapy.Network([cell])
    run = choose_engine(backend).run_layer
    (values,) = forward_chunk(network, np.zeros((1, 0)), state, run).coefficients
    (placed,) = network.program.coefficients
    return {name: values[c.entries] for name, c in placed.items()}


def assert_right(found, exact):
    for f, e, unit in zip(found, exact, zip(A, B, H, strict=True), strict=True):
        assert abs(mpmath.mpf(float(f)) - e) <= 4e-15 * abs(e) + 1e-300, (unit, f, float(e))


def biases(*parts):
    return np.concatenate([np.zeros(N) if part is None else part for part in parts])


@pytest.mark.parametrize("cell", [lyapy.GRU, lyapy.GRUResetBefore])
def test_gru_coefficients_are_accurate(cell, backend):
    one, other, _ = exactly("sigmoid", "tanh", mpmath.inf)
    found = coefficients(cell(None, np.zeros((3 * N, N)), biases(None, A, B)), H, backend)
    assert_right(found["t"], one)
    assert_right(found["p"], other)


@pytest.mark.parametrize("clip", [None, CLIP])
@pytest.mark.parametrize("candidate", CANDIDATES)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("cell", [GRUVariant, GRUResetBeforeVariant])
def test_variants_of_the_gru_are_accurate(cell, gate, candidate, clip, backend):
    one, other, _ = exactly(gate, candidate, clip or mpmath.inf)
    options = {"gate": gate, "nonlinearity": candidate, "clip": clip}
    made = cell(None, np.zeros((3 * N, N)), biases(None, A, B), **options)
    found = coefficients(made, H, backend)
    assert_right(found["t"], one)
    assert_right(found["p"], other)


@pytest.mark.parametrize("gate", GATES)
def test_a_coupled_forget_gate_is_accurate(gate, backend):
    _, other, rest = exactly(gate, "tanh", mpmath.inf)
    b = biases(A, None, B, None)
    made = LSTMVariant(None, np.zeros((4 * N, N)), b, gate=gate, coupled=True)
    found = coefficients(made, np.concatenate([np.zeros(N), H]), backend)
    assert_right(found["f"], rest)
    assert_right(-found["q"], other)


def test_a_minimal_gated_unit_is_accurate(backend):
    _, other, rest = exactly("sigmoid", "tanh", mpmath.inf)
    found = coefficients(MinimalGated(None, np.zeros((2 * N, N)), biases(A, B)), H, backend)
    assert_right(found["v"], rest)
    assert_right(-found["q"], other)
