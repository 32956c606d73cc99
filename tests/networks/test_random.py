"""The laws of random weights."""

import inspect

import numpy as np
import pytest

import lyapy
from lyapy import cells
from lyapy.cells.random_weights import Draw


def recurrent(kind="vanilla", n=400, **options):
    (cell,) = lyapy.random_network(kind, n, seed=1, **options).cells
    return cell.weights.U


def test_gaussian_weights_are_drawn_in_a_fixed_order():
    (cell,) = lyapy.random_network("gru", 4, 3, gain=1.5, bias=0.5, seed=2).cells
    rng = np.random.default_rng(2)
    W, U = rng.normal(size=(12, 3)) / np.sqrt(3), 1.5 * rng.normal(size=(12, 4)) / 2.0
    np.testing.assert_array_equal(cell.W, W)
    np.testing.assert_array_equal(cell.weights.U, U)
    np.testing.assert_array_equal(cell.b, 0.5 * rng.normal(size=12))


@pytest.mark.parametrize("distribution", ["gaussian", "uniform", "levy"])
def test_weights_have_the_variance_of_the_gain(distribution):
    """Lévy's law with α = 2 is Gaussian."""
    U = recurrent(gain=1.7, distribution=distribution, alpha=2.0)
    deviation = 1.7 / np.sqrt(400)
    assert U.mean() == pytest.approx(0.0, abs=5 * deviation / 400)
    assert U.std() == pytest.approx(deviation, rel=0.01)
    kurtosis = np.mean((U / U.std()) ** 4)
    assert kurtosis == pytest.approx(1.8 if distribution == "uniform" else 3.0, abs=0.06)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_input_weights_have_the_variance_of_their_number(m):
    (cell,) = lyapy.random_network("vanilla", 2000, m).cells
    assert cell.W.var() * m == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("kind", ["vanilla", "gru", "lstm", "minimal-gated"])
def test_each_gate_has_orthogonal_weights(kind):
    U = recurrent(kind, 12, gain=0.8, distribution="orthogonal")
    gates = U.reshape(-1, 12, 12)
    for gate in gates:
        np.testing.assert_allclose(gate @ gate.T, 0.64 * np.eye(12), atol=1e-12)
    assert len({gate.tobytes() for gate in gates}) == len(gates)


def test_orthogonal_weights_need_not_be_square():
    U = recurrent("lstm-projected", 12, distribution="orthogonal")
    assert U.shape == (48, 6)
    np.testing.assert_allclose(U[:6] @ U[:6].T, np.eye(6), atol=1e-12)
    # 28 rows for 3 units, so that one is left for the last block
    U = recurrent("lstm-projected", 7, distribution="orthogonal")
    assert U.shape == (28, 3)
    np.testing.assert_allclose(np.linalg.norm(U, axis=1), 1.0, rtol=1e-12)


def test_a_draw_is_gaussian_by_default():
    rng = np.random.default_rng(0)
    assert Draw(rng) == Draw(rng, gain=1.0, bias=0.0, distribution="gaussian", alpha=2.0)


@pytest.mark.parametrize("alpha", [1.0, 1.5])
def test_levy_weights_have_their_tails(alpha):
    """Far out, P(|x| > t) is (scale / t)^α 2 Γ(α) sin(πα/2) / π; for α = 1 the law is Cauchy's."""
    U = recurrent(gain=1.3, distribution="levy", alpha=alpha)
    assert np.mean(U > 0.0) == pytest.approx(0.5, abs=5 * 0.5 / 400)
    U = np.abs(U)
    scale = 1.3 * 800 ** (-1 / alpha)
    if alpha == 1.0:
        assert np.median(U) == pytest.approx(scale, rel=0.02)
    gamma = {1.0: 1.0, 1.5: np.sqrt(np.pi) / 2}[alpha]
    far = 30.0 * scale
    share = 2 * gamma * np.sin(np.pi * alpha / 2) / np.pi * 30.0**-alpha
    assert np.mean(far < U) == pytest.approx(share, abs=5 * np.sqrt(share) / 400)


@pytest.mark.parametrize("kind", ["rate", "rate-rk4"])
def test_arguments_of_the_cell_are_passed_on(kind):
    (cell,) = lyapy.random_network(kind, 3, dt=0.25).cells
    np.testing.assert_array_equal(cell.weights.leak, 0.25)


def test_piecewise_linear_networks_are_bounded():
    """Decay between 0.3 and 0.9; one basis bends up, the other back."""
    n = 300
    (plrnn,), (shallow,) = (
        lyapy.random_network(kind, n, 4, gain=1.5, seed=1).cells
        for kind in ("plrnn", "shallow-plrnn")
    )
    for cell in (plrnn, shallow):
        assert [cell.weights.A.min(), cell.weights.A.max()] == pytest.approx([0.3, 0.9], abs=0.01)
    assert plrnn.weights.alphas.tolist() == [1.0, -1.0]
    up, down = plrnn.weights.thetas
    assert up.min() > 0.0 > down.max()
    # of the modulus of a Gaussian of standard deviation 2
    assert [up.mean(), -down.mean()] == pytest.approx([np.sqrt(8 / np.pi)] * 2, rel=0.1)
    V, U, h = shallow.weights.V, shallow.weights.U, shallow.weights.h
    assert (V.shape, U.shape, shallow.weights.clipped) == ((n, 2 * n), (2 * n, n), 1.0)
    found = [V.std() * np.sqrt(2 * n), U.std() * np.sqrt(n), h.std()]
    assert found == pytest.approx([1.0, 1.5, 2.0], rel=0.1)


def test_state_spaces_are_stable():
    """Moduli from 0.4 to 0.99 at any phase, inputs weighted so that each state has one size."""
    (cell,) = lyapy.random_network("state-space", 400, 5, seed=1).cells
    eigenvalues, B, C, D = (cell.arguments[n] for n in ("eigenvalues", "B", "C", "D"))
    moduli, phases = np.abs(eigenvalues), np.angle(eigenvalues) % (2.0 * np.pi)
    assert [moduli.min(), moduli.max()] == pytest.approx([0.4, 0.99], abs=0.005)
    assert [phases.min(), phases.max()] == pytest.approx([0.0, 2.0 * np.pi], abs=0.05)
    normalized = B / np.sqrt(1.0 - moduli**2)[:, None]
    for values, variance in (
        (normalized.real, 1 / 5), (normalized.imag, 1 / 5), (C.real, 1 / 400), (C.imag, 1 / 400),
        (D, 1 / 5),
    ):  # fmt: skip
        assert values.var() == pytest.approx(variance, rel=0.1)


def test_each_weight_of_an_independent_network_has_the_variance_of_the_gain():
    (cell,) = lyapy.random_network("independent", 2000, gain=1.5).cells
    assert cell.weights.u.std() == pytest.approx(1.5, rel=0.05)


def test_a_state_space_is_drawn_in_a_fixed_order():
    (cell,) = lyapy.random_network("state-space", 4, 3, bias=0.5, seed=2).cells
    rng = np.random.default_rng(2)
    moduli, phases = rng.uniform(0.4, 0.99, 4), rng.uniform(0.0, 2.0 * np.pi, 4)
    B, C = (
        (rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(shape[1])
        for shape in ((4, 3), (4, 4))
    )
    wanted = {"eigenvalues": moduli * np.exp(1j * phases), "C": C}
    wanted |= {"B": B * np.sqrt(1.0 - moduli**2)[:, None]}
    wanted |= {"D": rng.normal(size=(4, 3)) / np.sqrt(3), "b": 0.5 * rng.normal(size=4)}
    for name, value in wanted.items():
        np.testing.assert_allclose(cell.arguments[name], value, rtol=1e-14)


@pytest.mark.parametrize(("n", "projected"), [(1, 1), (2, 1), (5, 2), (100, 50)])
def test_projected_units_are_half_of_all(n, projected):
    (cell,) = lyapy.random_network("lstm-projected", n, 2).cells
    assert cell.variables == {"h": projected, "c": n}
    if n == 100:
        assert cell.weights.P.std() == pytest.approx(0.1, rel=0.1)


TYPICAL = {
    "reservoir": {"leak": 0.5, "nonlinearity": "tanh"},
    "rate": {"dt": 0.1, "nonlinearity": "tanh"},
    "antisymmetric": {"epsilon": 0.3, "gamma": 0.3},
    "lipschitz": {"epsilon": 0.3, "beta": 0.8, "gamma": 0.5, "alpha": 1.0},
    "cornn": {"dt": 0.3, "gamma": 1.0, "epsilon": 1.0},
    "independent": {"nonlinearity": "tanh"},
    "spiking-surrogate": {"decay": 0.9, "threshold": 1.0, "sharpness": 2.0},
}
DEFAULTS = {
    "reservoir": {"leak": 1.0, "nonlinearity": "tanh"},
    "rate": {"dt": 0.1, "nonlinearity": "tanh"},
    "independent": {"nonlinearity": "relu"},
    "spiking-surrogate": {"sharpness": 25.0, "detached_reset": False},
    "shallow-plrnn": {"clipped": False},
    "lipschitz": {"alpha": 1.0},
    "lstm-variant": {"coupled": False},
}


@pytest.mark.parametrize("kind", {**TYPICAL, **DEFAULTS})
def test_numbers_of_random_cells_and_defaults(kind):
    (cell,) = lyapy.random_network(kind, 3, 2).cells
    numbers, parameters = TYPICAL.get(kind, {}), inspect.signature(cells.CELLS[kind]).parameters
    assert {name: cell.arguments[name] for name in numbers} == numbers
    defaults = DEFAULTS.get(kind, {})
    assert {name: parameters[name].default for name in defaults} == defaults


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distribution": "cauchy"}, "distribution is 'cauchy'; it must be one of gaussian"),
        ({"distribution": "levy", "alpha": 2.5}, "alpha is 2.5; it must lie above 0 and be at m"),
        ({"distribution": "levy", "alpha": 0.0}, "alpha is 0.0; it must lie above 0"),
        ({"dt": 0.1}, "dt is no argument of vanilla, which has W, U, b, nonlinearity"),
        ({"kind": "ltsm"}, "kind is 'ltsm'; it must be one of vanilla, gru"),
        ({"kind": 3}, "kind is 3; it must be one of vanilla, "),
        ({"n": 0}, "n is 0; it must be a whole number at least 1"),
        ({"n": 2.5}, "n is 2.5; it must be a whole number at least 1"),
        ({"m": -1}, "m is -1; it must be a whole number at least 0"),
        ({"layers": 0}, "layers is 0; it must be a whole number at least 1"),
        ({"seed": -1}, "seed is -1; it must be a whole number at least 0"),
        ({"nonlinearity": "sine"}, "nonlinearity is 'sine'; it must be one of tanh"),
        ({"gain": np.nan}, "NaN"),
        ({"bias": np.inf}, "NaN or infinite"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        lyapy.random_network(**{"kind": "vanilla", "n": 3} | options)


@pytest.mark.parametrize("kind", ["LSTM", "GRUResetBefore", "gru_reset_before", "RateRK4"])
def test_a_cell_may_be_named_as_its_class(kind):
    (cell,) = lyapy.random_network(kind, 3).cells
    assert type(cell).__name__.lower() == kind.lower().replace("_", "")
