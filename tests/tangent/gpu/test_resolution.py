"""Graded networks on the GPU path: resolved as far as on the CPU, against exact values."""

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.cells import Independent
from tests.runs.test_resolution import CASES, compute

pytestmark = [
    pytest.mark.usefixtures("device"),
    pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning"),
]


@pytest.mark.repeats
@pytest.mark.parametrize(("kind", "n", "options", "share"), CASES)
def test_every_exponent_is_right_or_marked(kind, n, options, share):
    exact, found, error, sure = compute(kind, n, options, "cupy", 1e-10)
    dead = np.isneginf(exact)
    np.testing.assert_array_equal(np.isneginf(found), dead)
    assert sure[dead].all()
    np.testing.assert_allclose(found[sure], exact[sure], rtol=1e-9, atol=1e-13)
    assert sure.mean() >= share
    assert np.all(exact[~sure] <= found[~sure] + 3.0 * error[~sure])


@pytest.mark.repeats
@pytest.mark.parametrize(
    ("kind", "n", "gain", "seed"),
    [
        ("gru", 6, 40.0, 7),
        ("gru-reset-before", 6, 60.0, 7),
        ("gru-reset-before", 6, 60.0, 2),
        ("lstm", 6, 40.0, 5),
        ("lstm", 6, 60.0, 2),
    ],
)
def test_what_was_wrong_and_called_resolved(kind, n, gain, seed):
    """The rounding is measured next to the spread, and a tilted frame takes a graded step."""
    exact, found, error, sure = compute(kind, n, {"gain": gain, "seed": seed}, "cupy", 1e-8)
    np.testing.assert_allclose(found[sure], exact[sure], atol=1e-7)
    assert np.all(np.abs(found - exact) <= np.maximum(3.0 * error, 1e-8))


@pytest.mark.repeats
def test_dead_directions_among_the_first_rows():
    """The first coordinates of an LSTM without recurrence die, and the identity is turned."""
    W, b = np.random.default_rng(0).normal(size=(16, 2)), np.zeros(16)
    network = lyapy.Network([lyapy.LSTM(W, np.zeros((16, 4)), b)])
    inputs = np.random.default_rng(1).normal(size=(3, 100, 2))
    gpu, cpu = (
        lyapunov_spectrum(network, inputs, frame="identity", backend=b) for b in ("cupy", "numpy")
    )
    assert np.isneginf(gpu.exponents).sum() == 4
    np.testing.assert_allclose(gpu.exponents[:4], cpu.exponents[:4], atol=1e-9)


def test_units_that_do_not_read_one_another():
    """They are left to the CPU, and the result says so."""
    rng = np.random.default_rng(2)
    W, u, b = rng.normal(size=(6, 2)), rng.normal(size=6), [9.0, -9.0, 9.0, -9.0, 1.0, 1.0]
    cell = Independent(W, u, b, nonlinearity="relu")
    network, inputs = lyapy.Network([cell]), rng.normal(size=(2, 200, 2))
    gpu, cpu = (lyapunov_spectrum(network, inputs, backend=b) for b in ("cupy", "numpy"))
    # tiles of 64 steps
    assert gpu.settings["repeated_tiles"] == 2 * 4
    np.testing.assert_array_equal(np.isneginf(gpu.per_trajectory), np.isneginf(cpu.per_trajectory))
    assert 2 <= np.isneginf(gpu.exponents).sum() < 6
    np.testing.assert_allclose(gpu.exponents, cpu.exponents, atol=1e-12)
    np.testing.assert_allclose(gpu.numerical_error, cpu.numerical_error)
    assert np.array_equal(gpu.intervals, cpu.intervals)


@pytest.mark.repeats
def test_units_that_underflow_are_bounded_and_those_that_read_nothing_are_dead():
    x = 0.1 * np.random.default_rng(1).normal(size=(2, 500, 1))
    x[1, 300] = 800.0
    cell = Independent(np.ones((3, 1)), [0.5, 0.7, 0.0], nonlinearity="tanh")
    found, wanted = (
        lyapunov_spectrum(lyapy.Network([cell]), x, backend=b) for b in ("cupy", "numpy")
    )
    np.testing.assert_allclose(found.exponents, wanted.exponents, atol=1e-12)
    assert np.isneginf(found.exponents).tolist() == [False, False, True]
    np.testing.assert_array_equal(found.bounded, [True, True, False])
