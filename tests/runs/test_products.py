"""Maps known by products of their Jacobian with vectors: the same spectra, J never formed."""

import numpy as np
import pytest
from scipy.optimize import brentq

import lyapy
from tests.support.made_checkpoints import interrupted

RNG = np.random.default_rng(0)
U = RNG.normal(size=(64, 64)) * 1.5 / 8


def henon(h, x):
    return [1 - 1.4 * h[0] ** 2 + h[1], 0.3 * h[0]]


def henon_jacobian(h, x):
    return np.array([[-2.8 * h[0], 1.0], [0.3, 0.0]])


def tanh(h, x):
    return np.tanh(U @ h)


def tanh_jacobian(h, x):
    return (1 - np.tanh(U @ h) ** 2)[:, None] * U


CASES = {"henon": (henon, henon_jacobian, [0.1, 0.1]), "tanh": (tanh, tanh_jacobian, np.ones(64))}


def by_products(case):
    step, jacobian, start = CASES[case]
    products = lambda h, x, Q: Q @ jacobian(h, x).T  # noqa: E731
    cell = lyapy.Map(step, products=products, state_size=len(start))
    return lyapy.Network([cell]), {"initial_state": start, "transient": 100}


@pytest.mark.parametrize("k", [1, 2, None])
@pytest.mark.parametrize("case", CASES)
def test_the_same_bits_as_with_the_jacobian(case, k):
    step, jacobian, start = CASES[case]
    network, options = by_products(case)
    dense = lyapy.Network([lyapy.Map(step, jacobian, len(start))])
    options |= {"steps": 640, "k": k}
    found = lyapy.lyapunov_spectrum(network, **options)
    wanted = lyapy.lyapunov_spectrum(dense, backend="numpy", **options)
    np.testing.assert_array_equal(found.growth, wanted.growth)
    np.testing.assert_array_equal(found.final_frame, wanted.final_frame)
    assert found.status.code == "converged"
    assert found.settings["backend"] == "numpy"


def test_a_large_jacobian_is_never_formed():
    """Diagonal plus rank one, whose eigenvalues are the roots of the secular equation."""
    D, k, steps = 20_000, 8, 192
    d = np.concatenate([np.exp(-0.2 * np.arange(12)), np.linspace(0.05, 0.04, D - 12)])
    d[0] = 2.0
    z = np.random.default_rng(1).normal(size=D) / np.sqrt(D)
    sizes = []

    def products(t, Q):
        sizes.append(Q.shape)
        return Q * d + np.outer(Q @ z, z)

    found = lyapy.spectrum_of_products(products, D, steps, k=k, transient=128)
    secular = lambda x: 1.0 + np.sum(z**2 / (d - x))  # noqa: E731
    above = [d[0] + 1.5, *d[: k - 1] * (1 - 1e-13)]
    ends = zip(d[:k] * (1 + 1e-13), above, strict=True)
    exact = np.log([brentq(secular, *each, xtol=1e-15, rtol=1e-14) for each in ends])
    np.testing.assert_allclose(found.exponents, exact, atol=1e-11)
    assert set(sizes) == {(k, D)}
    assert len(sizes) <= 1.5 * (128 + steps)


def test_the_interval_follows_the_spread():
    J = np.diag(np.exp([0.0, -3.0]))
    exponents, steps = [], []
    for interval in ("auto", 1):
        found = lyapy.spectrum_of_products(lambda t, Q: Q @ J.T, 2, 640, interval=interval)
        exponents.append(found.exponents)
        steps.append(found.intervals.item())
    np.testing.assert_allclose(exponents, [[0.0, -3.0]] * 2, atol=0.05)
    assert steps[0] < 0.3 * steps[1] == 0.3 * 640


def test_products_of_their_own_time():
    J = np.random.default_rng(2).normal(size=(300, 5, 5))
    found = lyapy.spectrum_of_products(lambda t, Q: Q @ J[t].T, 5, 250, transient=50)
    wanted = lyapy.spectrum_of_jacobians(J, transient=50, backend="numpy")
    np.testing.assert_array_equal(found.growth, wanted.growth)


def test_products_run_until_their_errors_are_small():
    J = np.random.default_rng(2).normal(size=(100, 3, 3))
    products = lambda t, Q: Q @ J[t % 7 * (t % 13)].T  # noqa: E731
    found = lyapy.spectrum_of_products(products, 3, until=1e-3, max_steps=5000, transient=64)
    assert found.steps == 5000 or found.standard_error.max() <= 1e-3
    assert np.isfinite(found.standard_error).all()
    again = lyapy.spectrum_of_products(products, 3, found.steps, transient=64)
    np.testing.assert_array_equal(found.growth, again.growth)


def test_an_interrupted_run_continues_to_the_same_bits(tmp_path, monkeypatch):
    network, options = by_products("henon")
    options |= {"steps": 9000}
    whole = lyapy.lyapunov_spectrum(network, **options)
    options["checkpoint"] = tmp_path / "run.h5"
    with interrupted(monkeypatch, 2):
        lyapy.lyapunov_spectrum(network, **options)
    continued = lyapy.lyapunov_spectrum(network, **options)
    np.testing.assert_array_equal(continued.growth, whole.growth)
    np.testing.assert_array_equal(continued.final_frame, whole.final_frame)


def test_growth_beyond_float64_is_a_bound():
    """No graded step without the rows of J: the small exponent is bounded, and not wrong."""
    J = np.array([[1.0, 1.0], [0.0, np.exp(-50.0)]])
    turn = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    J = turn @ J @ turn.T
    with pytest.warns(RuntimeWarning, match="too graded for float64"):
        found = lyapy.spectrum_of_products(lambda t, Q: Q @ J.T, 2, 640)
    assert found.exponents[0] == pytest.approx(0.0, abs=1e-2)
    assert found.bounded.tolist() == [False, True]
    assert found.exponents[1] < -30.0


def test_two_layers_of_which_one_is_known_by_products():
    cell = by_products("henon")[0].cells[0]
    above = lyapy.random_network("gru", 3, 2, seed=1).cells[0]
    options = {"initial_state": [0.1, 0.1, 0, 0, 0], "transient": 100, "steps": 640}
    found = lyapy.lyapunov_spectrum(lyapy.Network([cell, above]), **options)
    alone = lyapy.lyapunov_spectrum(lyapy.Network([cell]), **options | {"initial_state": [0.1] * 2})
    np.testing.assert_array_equal(np.sort(found.growth[:, :, :2]), np.sort(alone.growth))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: lyapy.Map(henon, state_size=2), TypeError, "give one of jacobian"),
        (lambda: lyapy.Map(henon, henon, 2, products=henon), TypeError, "give one of jacobian"),
        (lambda: lyapy.Map(henon, henon_jacobian), ValueError, "state_size is 0"),
        (
            lambda: lyapy.Map(henon, products=henon, state_size=2),
            TypeError,
            r"products takes \(h, x\); it must take \(h, x, Q\)",
        ),
        (
            lambda: lyapy.spectrum_of_products(lambda Q: Q, 2, 9),
            TypeError,
            r"products takes \(Q\); it must take \(t, Q\)",
        ),
        (
            lambda: lyapy.spectrum_of_products(lambda t, Q: Q[0], 2, 9),
            ValueError,
            r"products returned shape \(2,\) for vectors \(2, 2\)",
        ),
        (
            lambda: lyapy.spectrum_of_products(lambda t, Q: np.float32(Q), 2, 9),
            TypeError,
            "products returned float32; compute in float64",
        ),
        (
            lambda: lyapy.spectrum_of_products(lambda t, Q: Q, 2, 9, trajectories=2),
            TypeError,
            "trajectories is for networks",
        ),
    ],
)
def test_impossible_arguments_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()


def test_every_backend_leaves_the_products_to_the_readable_engine():
    network, options = by_products("henon")
    found = lyapy.lyapunov_spectrum(network, steps=64, backend="numba", **options)
    assert found.settings["backend"] == "numpy"


def test_functions_may_change_their_arguments():
    def products(h, x, Q):
        image = Q @ henon_jacobian(h, x).T
        Q[:], h[:] = np.nan, np.nan
        return image

    network, options = by_products("henon")
    wanted = lyapy.lyapunov_spectrum(network, steps=64, **options)
    network = lyapy.Network([lyapy.Map(henon, products=products, state_size=2)])
    found = lyapy.lyapunov_spectrum(network, steps=64, **options)
    np.testing.assert_array_equal(found.growth, wanted.growth)
