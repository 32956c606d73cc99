"""Further cells against the published equations, and in cases that are known exactly."""

import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy import cells
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from tests.conftest import orbit_jacobians
from tests.support.weights_files import GOLDEN, of_case

SPLIT = {"epsilon": 0.4, "gamma": 0.7}
SPIKING = {"decay": 0.9, "threshold": 1.0, "sharpness": 5.0}
# case: class and the numbers of its equation, as in golden/make_other_cells.py
BUILD = {
    "rate": (cells.Rate, {"dt": 0.2}),
    "rate-rk4": (cells.RateRK4, {"dt": 0.2}),
    "reservoir": (cells.Reservoir, {"leak": 0.3}),
    "reservoir, sparse": (cells.Reservoir, {"leak": 0.3}),
    "antisymmetric": (cells.Antisymmetric, SPLIT),
    "lipschitz": (cells.Lipschitz, {**SPLIT, "beta": 0.8, "alpha": 0.9}),
    "cornn": (cells.CoRNN, {**SPLIT, "dt": 0.2}),
    "plrnn": (cells.PLRNN, {}),
    "dendritic": (cells.PLRNN, {}),
    "shallow-plrnn": (cells.ShallowPLRNN, {}),
    "shallow-plrnn-clipped": (cells.ShallowPLRNN, {"clipped": True}),
    "minimal-gated": (cells.MinimalGated, {}),
    "independent": (cells.Independent, {"nonlinearity": "tanh"}),
    "state-space": (cells.DiagonalStateSpace, {}),
    "spiking-surrogate": (cells.SpikingSurrogate, SPIKING),
    "spiking-surrogate-detached": (cells.SpikingSurrogate, {**SPIKING, "detached_reset": True}),
    "peephole-lstm": (cells.LSTMVariant, {}),
    "slstm": (cells.SLSTM, {"forget_limit": 0.5}),
    "para-gru": (cells.ParaGRU, {}),
    "para-lstm": (cells.ParaLSTM, {}),
    "min-gru": (cells.MinGRU, {}),
    "min-lstm": (cells.MinLSTM, {}),
    "ugrnn": (cells.UpdateGate, {}),
    "janet": (cells.UpdateGate, {"beta": 1.0}),
    "fast-grnn": (cells.FastGRNN, {"zeta": 0.7, "nu": 0.2}),
}
RESULTS = ("inputs", "initial_state", "states", "jacobian", "outputs")


def golden_case(name):
    arrays = of_case(GOLDEN / "other_cells.npz", name.partition(",")[0])
    results = {n: arrays.pop(n) for n in RESULTS if n in arrays}
    if name.endswith("sparse"):
        arrays["U"] = csr_array(arrays["U"])
    kind, numbers = BUILD[name]
    return kind(**arrays, **numbers), results


@pytest.mark.parametrize("name", BUILD)
def test_the_published_equations_give_the_same(name, backend):
    cell, golden = golden_case(name)
    network, inputs, start = lyapy.Network([cell]), golden["inputs"], golden["initial_state"]
    run = choose_engine(backend).run_layer
    states = forward_chunk(network, inputs, start, run).states
    np.testing.assert_allclose(states, golden["states"], rtol=1e-12, atol=1e-12)
    found = lyapy.jacobian(network, golden["states"][-2], inputs[-1])
    np.testing.assert_allclose(found, golden["jacobian"], rtol=1e-12, atol=1e-12)
    if "outputs" in golden:
        read = cell.outputs(golden["states"], cell.drive(inputs))
        np.testing.assert_allclose(read, golden["outputs"], rtol=1e-12, atol=1e-12)
        assert cell.output_size == golden["outputs"].shape[1]


def test_every_other_cell_has_a_golden_case():
    assert {kind for kind, _ in BUILD.values()} == {*cells.OTHERS, cells.LSTMVariant}


def spectrum(cell, steps=2000, **options):
    options = {"transient": 1000, "tolerance": 1e-12} | options
    return lyapy.lyapunov_spectrum(lyapy.Network([cell]), steps=steps, **options)


def rates(matrix, per=1.0):
    return np.sort(np.log(np.abs(np.linalg.eigvals(matrix))))[::-1] / per


def symmetric(n, seed, scale=0.5):
    A = np.random.default_rng(seed).normal(size=(n, n)) * scale / np.sqrt(2 * n)
    return A + A.T


@pytest.mark.parametrize("kind", [cells.Rate, cells.RateRK4])
def test_a_rate_network_at_rest_has_the_rates_of_its_matrix(kind, backend):
    """Below the transition the origin is the attractor: log|1 − δ + δμ|/δ by Euler's method."""
    n, dt, U = 8, 0.1, symmetric(8, 1)
    found = spectrum(kind(None, U, dt=dt), initial_state=np.zeros(n), dt=dt, backend=backend)
    slope = dt * (U - np.eye(n))
    powers = [np.linalg.matrix_power(slope, i) / f for i, f in enumerate((1, 1, 2, 6, 24))]
    turn = sum(powers[:2] if kind is cells.Rate else powers)
    np.testing.assert_allclose(found.exponents, rates(turn, dt), atol=1e-8)


def test_runge_kutta_is_nearer_to_the_flow():
    """The exponents of the flow at rest are Re μ − 1."""
    U = symmetric(8, 1)
    exact = np.sort(np.linalg.eigvalsh(U) - 1.0)[::-1]
    errors = [
        np.abs(spectrum(c(None, U, dt=0.1), initial_state=np.zeros(8), dt=0.1).exponents - exact)
        for c in (cells.Rate, cells.RateRK4)
    ]
    assert errors[1].max() < 1e-3 * errors[0].max()


def test_a_linear_antisymmetric_network_has_the_rates_of_its_matrix(backend):
    """At every step the same I + ε (U − Uᵀ − γ I), a normal matrix."""
    U = np.random.default_rng(2).normal(size=(7, 7))
    M = np.eye(7) + 0.2 * (U - U.T - 0.3 * np.eye(7))
    cell = cells.Antisymmetric(None, U, epsilon=0.2, gamma=0.3, nonlinearity="identity")
    found = spectrum(cell, initial_state=np.zeros(7), backend=backend)
    # complex pairs turn, and settle as 1/T
    np.testing.assert_allclose(found.exponents, rates(M), atol=2e-3)
    assert found.exponents.sum() == pytest.approx(np.linalg.slogdet(M)[1], abs=1e-10)


def test_a_linear_lipschitz_network_has_the_rates_of_its_matrix(backend):
    """With β = 0 both matrices are symmetric, and so is the map."""
    B, C = symmetric(6, 3), symmetric(6, 4)
    options = {"epsilon": 0.3, "beta": 0.0, "gamma": 0.5, "alpha": 0.9}
    cell = cells.Lipschitz(None, B, C, nonlinearity="identity", **options)
    J = np.eye(6) + 0.27 * (2 * B - 0.5 * np.eye(6)) + 0.3 * (2 * C - 0.5 * np.eye(6))
    found = spectrum(cell, initial_state=np.zeros(6), backend=backend)
    np.testing.assert_allclose(found.exponents, rates(J), atol=1e-8)


def test_exponents_of_a_coupled_oscillator_network_sum_to_its_volume(backend):
    network = lyapy.random_network("cornn", 6, 2, gain=2.0, seed=3)
    (cell,) = network.cells
    inputs = np.random.default_rng(4).normal(size=(200, 2))
    found = lyapy.lyapunov_spectrum(network, inputs, backend=backend)
    scaled_slopes = forward_chunk(network, inputs, np.zeros(12)).coefficients[:, :6]
    _, dt, _, epsilon = cell.weights[1:]
    blocks = (1 - dt * epsilon) * np.eye(6) + scaled_slopes[:, :, None] * cell.weights.Z
    wanted = np.linalg.slogdet(blocks)[1].mean()
    assert found.exponents.sum() == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("k", [2, 9])
def test_exponents_of_an_independent_network_are_means_of_logarithms(k, backend):
    """Each exponent is the mean of log|u φ′|, exactly and in any frame."""
    rng = np.random.default_rng(5)
    W, u, b, inputs = rng.normal(size=(9, 2)), rng.normal(size=9), rng.normal(size=9), []
    inputs = rng.normal(size=(300, 2))
    h, logs = np.zeros(9), []
    for x in inputs:
        h = np.tanh(W @ x + u * h + b)
        logs.append(np.log(np.abs(u)) + np.log1p(-(h**2)))
    network = lyapy.Network([cells.Independent(W, u, b, nonlinearity="tanh")])
    found = lyapy.lyapunov_spectrum(network, inputs, k=k, backend=backend)
    wanted = np.sort(np.mean(logs, axis=0))[::-1][:k]
    np.testing.assert_allclose(found.exponents, wanted, atol=1e-12)


def test_units_that_keep_their_directions_may_be_in_a_stack_and_a_run_file(tmp_path):
    """Leading exponents of two such layers and one that mixes, recorded in a file."""
    rng = np.random.default_rng(14)
    first, second, third = (
        lyapy.random_network(kind, n, m, seed=1).cells[0]
        for kind, n, m in (("independent", 6, 2), ("gru", 5, 6), ("state-space", 4, 5))
    )
    network = lyapy.Network([first, second, third])
    options = {"k": 3, "record": ("growth", "frames"), "checkpoint": tmp_path / "run.h5"}
    found = lyapy.lyapunov_spectrum(network, rng.normal(size=(300, 2)), **options)
    moduli = np.hypot(third.weights.real, third.weights.imaginary)
    assert found.exponents.shape == (3,)
    assert np.log(moduli).max() == pytest.approx(found.exponents[0], abs=1e-12)
    saved = lyapy.Spectrum.load(tmp_path / "run.h5")
    np.testing.assert_array_equal(saved.growth, found.growth)


def test_dead_units_leave_the_living_alone(backend):
    u = np.array([0.5, 0.9, -0.7, 0.2, 0.0, 0.3])
    W = 0.1 * np.random.default_rng(0).normal(size=(6, 2))
    cell = cells.Independent(W, u, np.array([1.0, -50.0, 2.0, 3.0, 1.0, 1.0]))
    inputs = np.random.default_rng(1).normal(size=(600, 2))
    h, growth = np.zeros(6), np.zeros(6)
    for x in inputs:
        drive = W @ x + u * h + cell.b
        h = np.maximum(drive, 0.0)
        with np.errstate(divide="ignore"):
            growth += np.log(np.abs(u * (drive > 0.0)))
    found = lyapy.lyapunov_spectrum(lyapy.Network([cell]), inputs, backend=backend)
    np.testing.assert_allclose(found.exponents, np.sort(growth / 600)[::-1], rtol=1e-13)
    assert found.resolved.all() and np.isneginf(found.exponents[4:]).all()


def test_coordinates_that_are_dead_do_not_take_the_others_with_them(backend):
    rng = np.random.default_rng(0)
    lstm = cells.LSTM(rng.normal(size=(16, 2)), np.zeros((16, 4)), rng.normal(size=16))
    network, inputs = lyapy.Network([lstm]), rng.normal(size=(3000, 2))
    options = {"transient": 1000, "backend": backend}
    found = lyapy.lyapunov_spectrum(network, inputs, frame="identity", **options)
    drive = inputs[1000:] @ lstm.W[4:8].T + lstm.b[4:8]
    forget = np.log(1.0 / (1.0 + np.exp(-drive))).mean(axis=0)
    assert np.isneginf(found.exponents[4:]).all()
    # h follows c, so that the vectors' lengths change at both ends of the 2000 steps
    np.testing.assert_allclose(found.exponents[:4], np.sort(forget)[::-1], atol=2e-4)


def test_exponents_of_a_state_space_are_its_moduli(backend):
    network = lyapy.random_network("state-space", 5, 2, seed=6)
    (cell,) = network.cells
    inputs = np.random.default_rng(7).normal(size=(400, 2))
    found = lyapy.lyapunov_spectrum(network, inputs, backend=backend)
    moduli = np.hypot(cell.weights.real, cell.weights.imaginary)
    wanted = np.sort(np.repeat(np.log(moduli), 2))[::-1]
    np.testing.assert_allclose(found.exponents, wanted, atol=1e-12)
    assert found.sum_rule_residual < 1e-12


def test_an_autonomous_state_space_turns_by_its_eigenvalues():
    cell = cells.DiagonalStateSpace([0.5j, 0.8], None, [[1.0, 1j]], b=[0.25])
    assert cell.input_size == 0
    states = forward_chunk(lyapy.Network([cell]), np.zeros((1, 0)), np.array([1.0, 2, 3, 4])).states
    np.testing.assert_allclose(states, [[-1.5, 1.6, 0.5, 3.2]], rtol=1e-15)
    np.testing.assert_allclose(cell.outputs(states, cell.drive(np.zeros((1, 0)))), [[-4.45]])


def test_a_unit_at_its_threshold_spikes():
    cell = cells.SpikingSurrogate(None, np.zeros((3, 3)), decay=1.0, threshold=0.5)
    v = 0.5 + np.array([-1e-9, 0.0, 1e-9])
    after = forward_chunk(lyapy.Network([cell]), np.zeros((1, 0)), v).states[0]
    np.testing.assert_allclose(after - v, [0.0, -0.5, -0.5], atol=1e-15)
    np.testing.assert_array_equal(cell.outputs(v, np.zeros(3)), [0.0, 1.0, 1.0])


def test_spikes_are_handed_on(backend):
    """A layer above reads zeros and ones; the surrogate stands for their derivative."""
    network = lyapy.random_network("spiking-surrogate", 8, 3, gain=1.5, bias=0.5, seed=9)
    (below,) = network.cells
    (above,) = lyapy.random_network("gru", 4, 8, seed=10).cells
    stack = lyapy.Network([below, above])
    inputs = 2.0 * np.random.default_rng(11).normal(size=(50, 3))
    run = choose_engine(backend).run_layer
    states = forward_chunk(stack, inputs, np.zeros(12), run).states
    spikes = (states[:, :8] >= 1.0).astype(float)
    assert 0.05 < spikes.mean() < 0.95
    alone = forward_chunk(lyapy.Network([above]), spikes, np.zeros(4), run).states
    np.testing.assert_allclose(states[:, 8:], alone, rtol=1e-13, atol=1e-15)
    J = lyapy.jacobian(stack, states[-2], inputs[-1])
    slope = 1.0 / (1.0 + 2.0 * np.abs(states[-1, :8] - 1.0)) ** 2

    def after(x):
        return forward_chunk(lyapy.Network([above]), x[None], states[-2, 8:]).states[0]

    by_input = [after(spikes[-1] + d) - after(spikes[-1] - d) for d in 1e-6 * np.eye(8)]
    wanted = np.transpose(by_input) / 2e-6 @ (slope[:, None] * J[:8, :8])
    np.testing.assert_allclose(J[8:, :8], wanted, atol=1e-8)


def test_exponents_of_decoupled_gates_are_means_of_logarithms():
    """minGRU, minLSTM and ParaGRU by the formulas, along states that numpy computes."""
    rng = np.random.default_rng(7)
    W, b, x = rng.normal(size=(9, 2)), rng.normal(size=9), rng.normal(size=(400, 2))
    first, second, third = np.split(x @ W.T + b, 3, axis=1)
    z, f, i = (1 / (1 + np.exp(-a)) for a in (first, first, second))
    for cell, factor in (
        (cells.MinGRU(W[:6], b[:6]), 1 - z),
        (cells.MinLSTM(W, b), f / (f + i)),
    ):
        found = lyapy.lyapunov_spectrum(lyapy.Network([cell]), x)
        wanted = np.sort(np.log(factor).mean(axis=0))[::-1]
        np.testing.assert_allclose(found.exponents, wanted, rtol=1e-12)
    A, h, logs = rng.normal(size=(3, 3)), np.zeros(3), []
    for z_0, r_0, c_0 in zip(first, second, third, strict=True):
        z, r = 1 / (1 + np.exp(-(z_0 + A[0] * h))), 1 / (1 + np.exp(-(r_0 + A[1] * h)))
        c = np.tanh(c_0 + A[2] * h * r)
        slope = (1 - z) + (c - h) * A[0] * z * (1 - z)
        slope += z * A[2] * (1 - c**2) * (r + h * A[1] * r * (1 - r))
        logs.append(np.log(np.abs(slope)))
        h = (1 - z) * h + z * c
    network = lyapy.Network([cells.ParaGRU(W, A, b)])
    found = lyapy.lyapunov_spectrum(network, x, initial_state=np.zeros(3))
    np.testing.assert_allclose(found.exponents, np.sort(np.mean(logs, axis=0))[::-1], rtol=1e-10)


def test_para_lstm_has_the_spectra_of_its_blocks(backend):
    network = lyapy.random_network("para-lstm", 5, 2, gain=1.5, bias=0.5, seed=3)
    x = np.random.default_rng(8).normal(size=(3000, 2))
    found = lyapy.lyapunov_spectrum(network, x, transient=100, backend=backend)
    assert found.sum_rule_residual < 1e-10
    # each unit's 2 × 2 Jacobians, out of the dense one
    J = orbit_jacobians(network, x, np.zeros(10))
    blocks = [J[:, [[i], [i + 5]], [i, i + 5]] for i in range(5)]
    assert np.count_nonzero(J) == sum(np.count_nonzero(block) for block in blocks)
    parts = [lyapy.spectrum_of_jacobians(block, transient=100).exponents for block in blocks]
    np.testing.assert_allclose(found.exponents, np.sort(np.ravel(parts))[::-1], atol=2e-3)
