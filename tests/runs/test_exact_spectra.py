"""Spectra that are known exactly, or to a published number of digits."""

import itertools

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.cells import CELLS
from lyapy.networks.forward import forward_chunk
from tests.conftest import DERIVED, difference_jacobian, log_moduli, orbit_jacobians


def well_separated(logs, gap=0.1):
    return np.isfinite(logs).all() and np.all(np.diff(logs) < -gap)


# so that units do not all decay alike
PERIODIC = {
    "rate": {"dt": 0.6},
    "rate-rk4": {"dt": 1.0},
    "cornn": {"dt": 0.6},
    "antisymmetric": {"epsilon": 0.9, "gamma": 0.8},
    "lipschitz": {"epsilon": 0.8},
}


def pairs(logs):
    """Return where the numbers begin that differ from those before; pairs of eigenvalues do not."""
    return np.flatnonzero(np.diff(logs, prepend=np.inf) < -1e-9)


def periodic_orbit(kind, period):
    for seed in itertools.count():
        options = PERIODIC.get(kind, {})
        network = lyapy.random_network(kind, 3, 2, gain=0.8, bias=0.3, seed=seed, **options)
        cycle = 2.0 * np.random.default_rng(seed).normal(size=(period, 2))
        inputs = np.tile(cycle, (200, 1))
        states = forward_chunk(network, inputs, np.zeros(network.state_size)).states
        before = states[-period - 1 : -1]
        turn, wrong = np.eye(network.state_size), np.eye(network.state_size)
        sound = bool(np.abs(states[-1] - before[0]).max() < 1e-12)
        for h, x in zip(before, cycle, strict=True):
            J, nearer = (difference_jacobian(network, h, x, step) for step in (1e-3, 3e-4))
            turn, wrong = J @ turn, J.T @ wrong
            # no kink of a piecewise linear one lies between
            sound &= bool(np.abs(J - nearer).max() < 1e-9)
        exact, wrong = log_moduli(turn) / period, log_moduli(wrong) / period
        # where no unit reads another, Jacobians commute, and a transposed one changes nothing
        different = period < 3 or CELLS[kind].decoupled or np.abs(exact - wrong).max() > 1e-3
        if well_separated(exact[pairs(exact)], 0.05) and exact[0] < -0.15 and different and sound:
            return network, cycle, exact


# a surrogate's Jacobian is no derivative of the step, from which it could be found otherwise
@pytest.mark.parametrize("kind", DERIVED)
@pytest.mark.parametrize("period", [1, 3])
def test_periodic_orbit_of_a_network(kind, backend, period):
    """A fixed point, and a cycle of three, which a transposed Jacobian would change."""
    network, cycle, exact = periodic_orbit(kind, period)
    inputs = np.tile(cycle, (1200 // period, 1))
    options = {"transient": 600, "tolerance": 1e-12, "dt": "step", "backend": backend}
    found = lyapunov_spectrum(network, inputs, **options).exponents
    # a pair's vectors turn for ever, and settle as 1/T; its area does not
    starts = pairs(exact)
    sums = [np.add.reduceat(logs, starts) for logs in (found, exact)]
    np.testing.assert_allclose(*sums, atol=1e-8)
    np.testing.assert_allclose(found, exact, atol=1e-2)


def test_an_lstm_without_recurrence_grows_by_its_forget_gates(backend):
    rng = np.random.default_rng(2)
    W, b, inputs = rng.normal(size=(16, 3)), rng.normal(size=16), rng.normal(size=(300, 3))
    network = lyapy.Network([lyapy.LSTM(W, np.zeros((16, 4)), b)])
    i, f, g, o = np.moveaxis((inputs @ W.T + b).reshape(300, 4, 4), 1, 0)
    i, f, o, c = 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), 1 / (1 + np.exp(-o)), np.zeros(4)
    for t in range(300):
        c = f[t] * c + i[t] * np.tanh(g[t])
    # a deviation of c alone ends with one of h, which is o / cosh² c times as large
    ratio = o[-1] / np.cosh(c) ** 2
    exact = (np.log(f).sum(axis=0) + 0.5 * np.log1p(ratio**2)) / 300
    with pytest.warns(RuntimeWarning, match="the 8 diagonal blocks .* are followed as one"):
        spectrum = lyapunov_spectrum(network, inputs, frame=np.eye(8)[4:], backend=backend)
    np.testing.assert_allclose(spectrum.exponents, np.sort(exact)[::-1], atol=1e-12)
    full = lyapunov_spectrum(network, inputs, backend=backend)
    assert np.isneginf(full.exponents[4:]).all()
    assert full.resolved.all()
    assert full.exponents[:4].sum() == pytest.approx(exact.sum(), abs=0.1)
    assert full.kaplan_yorke_dimension == 0.0
    assert np.isnan(full.sum_rule_residual)


def test_dead_relu_units_leave_the_spectrum_of_the_others(backend):
    rng = np.random.default_rng(3)
    n, dead = 7, 3
    U, b = rng.normal(size=(n, n)) / np.sqrt(n), np.where(np.arange(n) < dead, -50.0, 50.0)
    network = lyapy.Network([lyapy.Vanilla(None, 0.5 * U, b, "relu")])
    spectrum = lyapunov_spectrum(network, steps=400, transient=200, backend=backend)
    assert np.isneginf(spectrum.exponents).tolist() == [False] * (n - dead) + [True] * dead
    alive = 0.5 * U[dead:, dead:]
    assert spectrum.exponents[: n - dead].sum() == pytest.approx(log_moduli(alive).sum(), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_relu_units_that_die_now_and_then(seed, backend):
    options = {"gain": 1.2, "bias": 1.0, "nonlinearity": "relu", "seed": seed}
    network = lyapy.random_network("vanilla", 6, 2, **options)
    inputs = np.random.default_rng(seed).normal(size=(6, 2))
    J = orbit_jacobians(network, inputs, np.zeros(6))
    rank = np.linalg.matrix_rank(np.linalg.multi_dot(J[::-1]))
    spectrum = lyapunov_spectrum(network, inputs, backend=backend)
    assert 0 < rank < 6
    assert np.count_nonzero(np.isneginf(spectrum.exponents)) == 6 - rank
    assert spectrum.resolved.all()


def test_exponents_sum_to_the_mean_log_determinant(kind, backend):
    network = lyapy.random_network(kind, 6, 3, gain=1.5, bias=0.5, seed=4)
    D, inputs = network.state_size, np.random.default_rng(5).normal(size=(300, 3))
    # the sum may be wrong by the tolerance of an interval, and intervals have one step at least
    options = {"transient": 40, "tolerance": 1e-10, "dt": "step", "backend": backend}
    spectrum = lyapunov_spectrum(network, inputs, **options)
    _, logs = np.linalg.slogdet(orbit_jacobians(network, inputs, np.zeros(D))[40:])
    assert abs(spectrum.exponents.sum() - logs.mean()) / D < 1e-10
    assert spectrum.sum_rule_residual < 1e-10


def test_mean_exponent_of_a_random_tanh_network(backend):
    n, steps = 30, 300
    network = lyapy.random_network("vanilla", n, gain=2.0, seed=7)
    state = np.random.default_rng(8).normal(size=n)
    spectrum = lyapunov_spectrum(network, steps=steps, initial_state=state, backend=backend)
    U, logs = network.cells[0].weights.U, []
    for _ in range(steps):
        logs.append(-2 * np.log(np.cosh(U @ state)).mean())
        state = np.tanh(U @ state)
    wanted = np.linalg.slogdet(U)[1] / n + np.mean(logs)
    assert spectrum.mean == pytest.approx(wanted, abs=1e-10)
    assert spectrum.largest > 0.0
