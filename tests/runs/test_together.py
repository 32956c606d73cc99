"""Trajectories that read the weights together have the bits that each has alone."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import lyapy
from lyapy.cells.base import Cell, as_layer
from lyapy.networks.forward import forward_chunk, forward_together
from lyapy.runs import threads
from lyapy.runs.trajectory import Trajectory
from lyapy.tangent import compiled
from lyapy.tangent.compiled import layers

NAMES = ("growth", "final_state", "final_frame", "numerical_error", "intervals", "rejections")
INPUTS = np.random.default_rng(0).normal(size=(9, 150, 2))


@pytest.fixture
def _large(monkeypatch):
    """Let small weights count as large."""
    monkeypatch.setattr(compiled.CompiledTangent, "most_together", lambda self, k: 16)
    monkeypatch.setattr(layers, "CACHE", 1)


class Weights(NamedTuple):
    U: Any


class Squared(Cell):
    """h′ = x + U h² / 3: the first vector that is multiplied is not the state."""

    name = "squared"
    program = "dh' = U a dh + W dx"
    coefficients = ("a",)

    def __init__(self, W, U, b=None):
        self.W, U, self.b = as_layer(W, U, b)
        self.weights = Weights(U)
        self.variables = {"h": len(U)}

    @staticmethod
    def step(weights, state, drive):
        return (drive + (state * state / 3.0) @ weights.U.T,), (state / 1.5,)


class Picked(Squared):
    """The weight is more than a factor."""

    name = "picked"

    @staticmethod
    def step(weights, state, drive):
        square = state * state / 3.0
        return (drive + square @ weights.U.T + 0.0 * weights.U[0, 0],), (state / 1.5,)


def own_network(kind, n):
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(n, 2)), rng.normal(size=(n, n)) / n, 0.1 * rng.normal(size=n)
    return lyapy.Network([kind(*weights)])


def run_in_groups(monkeypatch, size, network, **options):
    monkeypatch.setattr(threads, "GROUP", size)
    return lyapy.lyapunov_spectrum(network, INPUTS, **{"threads": 1, **options})


@pytest.mark.usefixtures("_large")
@pytest.mark.parametrize(
    ("kind", "n", "options"),
    [
        ("vanilla", 61, {"k": 1}),
        ("vanilla", 64, {"k": 3, "transient": 30}),
        # with graded steps, and intervals that are rejected
        ("vanilla", 48, {"k": 9, "gain": 25.0}),
        ("gru", 35, {"k": 10, "layers": 2}),
        ("gru-reset-before", 35, {"k": 2}),
        ("lstm", 51, {"k": 9, "gain": 4.0}),
        ("lstm-projected", 40, {"k": 5}),
        ("rate-rk4", 33, {"k": 3}),
        # all exponents: tiles that are repeated, and some that are followed from both ends
        ("lstm", 16, {"gain": 6.0}),
        ("vanilla", 40, {"gain": 3.0}),
    ],
)
def test_groups_change_no_bit(kind, n, options, monkeypatch):
    drawn = {name: options.pop(name) for name in ("gain", "layers") if name in options}
    network = lyapy.random_network(kind, n, 2, seed=1, bias=0.1, **drawn)
    alone = run_in_groups(monkeypatch, 1, network, **options)
    for size in (2, 3, 8, 9):
        found = run_in_groups(monkeypatch, size, network, **options)
        for name in NAMES:
            np.testing.assert_array_equal(getattr(found, name), getattr(alone, name), strict=True)
    found = run_in_groups(monkeypatch, 16, network, **options | {"threads": 2})
    np.testing.assert_array_equal(found.growth, alone.growth)


@pytest.mark.usefixtures("_large")
@pytest.mark.parametrize("kind", [Squared, Picked])
def test_steps_of_own_cells(kind, monkeypatch):
    network, state = own_network(kind, 37), np.random.default_rng(2).normal(size=(5, 37))
    together = forward_together(network, INPUTS[:5], state, layers.layer_forward)
    for b in range(5):
        alone = forward_chunk(network, INPUTS[b], state[b], layers.layer_forward)
        readable = forward_chunk(network, INPUTS[b], state[b])
        np.testing.assert_array_equal(together.states[b], alone.states)
        np.testing.assert_array_equal(together.coefficients[b], alone.coefficients)
        np.testing.assert_allclose(alone.states, readable.states, rtol=1e-12, atol=1e-14)


def test_the_trajectory_that_diverges_is_named(monkeypatch):
    inputs = np.zeros((4, 20, 2))
    inputs[2] = 1e200
    network = own_network(Squared, 5)
    with pytest.raises(FloatingPointError, match="trajectory 2: the state is not finite"):
        lyapy.lyapunov_spectrum(network, inputs, threads=1)


def test_groups_are_of_one_size():
    groups = threads._groups(range(40), 2)
    assert [len(group) for group in groups] == [13, 13, 14]
    assert [b for group in groups for b in group] == list(range(40))
    assert [list(group) for group in threads._groups(range(3), 8)] == [[0], [1], [2]]


@pytest.mark.parametrize(("work", "together"), [(1.0, 1), (3.0, 3), (1e9, 4)])
def test_a_signal_does_not_wait_for_chunks_of_much_work(work, together, monkeypatch):
    """Trajectories whose chunk takes long go one after another."""
    network, counts = lyapy.random_network("vanilla", 6, 2, seed=1), []
    advance = Trajectory.advance

    def counted(self, *others):
        counts.append(1 + len(others))
        return advance(self, *others)

    monkeypatch.setattr(Trajectory, "chunk_work", 1.0)
    monkeypatch.setattr(Trajectory, "advance", counted)
    monkeypatch.setattr(threads, "WORK", work)
    lyapy.lyapunov_spectrum(network, INPUTS[:4], threads=1)
    assert max(counts) == together
