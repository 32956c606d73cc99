"""−∞ only where it is proven: exact zeros are dead, what underflows is bounded."""

import warnings

import numpy as np
import pytest

import lyapy
from lyapy.networks.forward import forward_chunk
from lyapy.runs import schedule


def vanilla(U, W=None, **options):
    return lyapy.Network([lyapy.Vanilla(W, U, **options)])


def spectrum(network, x=None, **options):
    return lyapy.lyapunov_spectrum(network, x, **options)


def test_nearly_singular_weights_are_not_dead(backend):
    options = {"steps": 300, "backend": backend}
    found = spectrum(vanilla(np.diag([1.0, 1e-16]), nonlinearity="identity"), **options)
    np.testing.assert_allclose(found.exponents, [0.0, np.log(1e-16)], atol=1e-10)
    # irreducible: each step swaps both
    swap = vanilla(np.array([[0.0, 1.0], [1e-16, 0.0]]), nonlinearity="identity")
    with pytest.warns(RuntimeWarning, match="upper bound"):
        found = spectrum(swap, **options)
    assert np.all(found.bounded | (np.abs(found.exponents - np.log(1e-16) / 2) < 1e-8))
    assert np.isfinite(found.exponents).all()
    ones = vanilla(np.ones((3, 3)), nonlinearity="identity")
    found = spectrum(ones, transient=10, **options)
    np.testing.assert_allclose(found.exponents, [np.log(3.0), -np.inf, -np.inf])


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("spike", [360.0, 380.0, 410.0, 1e5])
def test_one_input_far_into_saturation(n, spike, backend):
    """Its slope underflows; the exponents are finite, as log-slopes add up to."""
    rng = np.random.default_rng(1)
    U, W = rng.normal(size=(n, n)), np.ones((n, 1))
    x = 0.1 * rng.normal(size=(2000, 1))
    x[700] = spike
    with pytest.warns(RuntimeWarning, match="upper bound|rounding error"):
        found = spectrum(vanilla(U, W), x, backend=backend)
    assert np.isfinite(found.exponents).all()
    assert found.status.code != "converged"
    h = forward_chunk(vanilla(U, W), x, np.zeros(n)).states
    a = x @ W.T + np.concatenate([np.zeros((1, n)), h[:-1]]) @ U.T
    # log 1/cosh², and the sum rule
    logs = -2.0 * (np.abs(a) + np.log1p(np.exp(-2.0 * np.abs(a))) - np.log(2.0))
    exact = logs.sum(axis=1).mean() + np.linalg.slogdet(U)[1]
    assert not found.resolved.all()
    # a bound is one from above
    error = np.where(found.bounded, 0.0, found.rounding_error).sum()
    assert found.exponents.sum() >= exact - error - 1e-6
    if spike < 400.0:
        assert found.exponents.sum() < exact + error + 0.5 * n


def test_a_gate_that_is_almost_closed_is_not_dead(backend):
    b = np.repeat([0.0, -720.0, 0.0], 2)
    network = lyapy.Network([lyapy.GRU(None, np.zeros((6, 2)), b)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = spectrum(network, steps=200, backend=backend)
    # a bound where the compiled exponential underflows
    assert np.all(found.bounded | (np.abs(found.exponents + 720.0) < 1e-6))
    assert np.all((found.exponents >= -720.0 - 1e-6) & (found.exponents <= -700.0))


def lstm_that_begins_at_zero():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 2))
    x[0] = 0.0
    return lyapy.Network([lyapy.LSTM(rng.normal(size=(16, 2)), rng.normal(size=(16, 4)))]), x


@pytest.mark.parametrize("k", [8, 6])
def test_dead_in_the_transient_only(k, backend):
    """The first step has no output gate's slope; it counts only where it is counted."""
    network, x = lstm_that_begins_at_zero()
    h = forward_chunk(network, x[:1], np.zeros(8)).states[-1]
    found = spectrum(network, x, transient=100, k=k, backend=backend)
    wanted = spectrum(network, x[1:], transient=99, k=k, initial_state=h, backend=backend)
    np.testing.assert_allclose(found.exponents, wanted.exponents, atol=1e-6)
    counted = spectrum(network, x, k=k, backend=backend)
    assert np.isneginf(counted.exponents).sum() == k - 4


def test_dead_in_the_transient_in_any_chunks(monkeypatch):
    network, x = lstm_that_begins_at_zero()
    x[130] = 0.0
    whole = spectrum(network, x, transient=192)
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    np.testing.assert_array_equal(spectrum(network, x, transient=192).growth, whole.growth)


def test_the_module_that_dies_is_the_dead_one(backend):
    """Two relu modules; a unit of the first, faster one is off in one step."""
    rng = np.random.default_rng(0)
    first, second = 1.5 * np.abs(rng.normal(size=(2, 2))), 0.1 * np.abs(rng.normal(size=(2, 2)))
    U = np.zeros((4, 4))
    U[:2, :2], U[2:, 2:] = first / 3.0, second
    W, b = np.eye(4)[:, :1], np.full(4, 0.5)
    x = np.zeros((300, 1))
    x[150] = -1e3
    found = spectrum(vanilla(U, W, b=b, nonlinearity="relu"), x, backend=backend)
    eigenvalues = np.log(np.abs(np.linalg.eigvals(second)))
    alone = spectrum(vanilla(U[:2, :2], W[:2], b=b[:2], nonlinearity="relu"), x, backend=backend)
    assert np.isneginf(found.exponents).tolist() == [False, False, False, True]
    np.testing.assert_allclose(found.exponents[0], alone.exponents[0], atol=1e-8)
    np.testing.assert_allclose(found.exponents[1:3], np.sort(eigenvalues)[::-1], atol=0.05)
