"""Exponents of saturated networks are right or marked, against arithmetic of 150 digits."""

import mpmath
import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from tests.support.precise import precise, precise_growth, precise_jacobians

pytestmark = pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning")

STEPS = 40
# kind, units, options of the network, and the least share of exponents to be resolved
CASES = [
    ("vanilla", 8, {"gain": 5.0}, 1.0),
    ("vanilla", 8, {"gain": 10.0}, 1.0),
    ("vanilla", 8, {"gain": 20.0}, 1.0),
    ("gru", 5, {"gain": 5.0}, 1.0),
    ("gru", 5, {"gain": 20.0}, 1.0),
    ("gru", 6, {"gain": 60.0}, 0.3),
    ("gru-reset-before", 5, {"gain": 20.0}, 1.0),
    ("gru-reset-before", 6, {"gain": 60.0}, 0.3),
    ("lstm", 4, {"gain": 5.0}, 1.0),
    ("lstm", 4, {"gain": 20.0}, 0.5),
    ("lstm", 6, {"gain": 60.0}, 0.05),
    ("lstm-projected", 4, {"gain": 20.0}, 0.5),
    ("vanilla", 6, {"gain": 1.2, "nonlinearity": "relu"}, 1.0),
    ("vanilla", 5, {"gain": 1.2, "nonlinearity": "relu", "layers": 3}, 1.0),
    ("vanilla", 5, {"gain": 10.0, "layers": 2}, 1.0),
]


def compute(kind, n, options, backend, tolerance):
    bias = 1.0 if kind == "vanilla" else 2.0
    network = lyapy.random_network(kind, n, 2, **{"bias": bias, "seed": 2} | options)
    inputs = np.random.default_rng(3).normal(size=(STEPS, 2))
    with mpmath.workdps(150):
        forward = "numpy" if backend == "cupy" else backend
        layers = precise_jacobians(network, inputs, forward)
        exact = np.concatenate([precise_growth(jacobians) for jacobians in layers]) / STEPS
    options = {"frame": "identity", "tolerance": tolerance, "backend": backend}
    spectrum = lyapunov_spectrum(network, inputs, **options)
    found = spectrum.growth.sum(axis=1)[0] / STEPS
    sure = np.empty(len(exact), bool)
    sure[spectrum.order] = spectrum.resolved
    return exact, found, spectrum.numerical_error[0], sure


@pytest.mark.parametrize(("kind", "n", "options", "share"), CASES)
def test_every_exponent_is_right_or_marked(kind, n, options, share, backend):
    exact, found, error, sure = compute(kind, n, options, backend, 1e-10)
    dead = np.isneginf(exact)
    np.testing.assert_array_equal(np.isneginf(found), dead)
    assert sure[dead].all()
    np.testing.assert_allclose(found[sure], exact[sure], rtol=1e-9, atol=1e-13)
    assert sure.mean() >= share
    # exponents that are not resolved lie below their bounds
    assert np.all(exact[~sure] <= found[~sure] + 3.0 * error[~sure])


@pytest.mark.parametrize(
    ("kind", "n", "gain", "seed"),
    [
        # an interval of three steps hid a growth of exp(−49) behind rounding of exp(−18)
        ("gru", 6, 40.0, 7),
        # an ordinary interval followed a frame that a graded step had tilted to reorder it
        ("gru-reset-before", 6, 60.0, 7),
        ("gru-reset-before", 6, 60.0, 2),
        ("lstm", 6, 40.0, 5),
        ("lstm", 6, 60.0, 2),
    ],
)
def test_cases_that_were_wrong_and_marked_resolved(kind, n, gain, seed, backend):
    exact, found, error, sure = compute(kind, n, {"gain": gain, "seed": seed}, backend, 1e-8)
    np.testing.assert_allclose(found[sure], exact[sure], atol=1e-7)
    assert np.all(np.abs(found - exact) <= np.maximum(3.0 * error, 1e-8))


@pytest.mark.parametrize("case", [2, 4, 9])
def test_the_tolerance_is_kept_by_default(case, backend):
    kind, n, options, _ = CASES[case]
    exact, found, _, sure = compute(kind, n, options, backend, 1e-8)
    assert sure.any()
    np.testing.assert_allclose(found[sure], exact[sure], atol=1e-7)


def test_an_exchange_of_growth_is_marked(backend):
    """Spread and determinant do not show it: one exponent gains as much as another loses."""
    exact, found, error, sure = compute("lstm", 6, {"gain": 60.0, "seed": 7}, backend, 1e-8)
    wrong = np.abs(found - exact)
    assert wrong.max() > 1e-6
    assert not sure[wrong > 1e-7].any()
    # below the tolerance a sample is no bound
    assert np.all(wrong <= np.maximum(error, 1e-8))
    assert abs(found.sum() - exact.sum()) < 1e-6


@pytest.mark.filterwarnings("ignore:interval=100 is too long:RuntimeWarning")
def test_the_rounding_of_all_steps_of_a_fixed_interval_counts():
    """As a random walk: that of one step is short by a factor of three in one of three."""
    ratios = []
    for seed in range(40):
        noise = np.random.default_rng([3, seed]).normal(size=(100, 3, 3))
        jacobians = np.eye(3) + 0.2 * noise @ np.diag([1.0, 0.8, 0.6])
        with mpmath.workdps(60):
            exact = precise_growth([precise(each) for each in jacobians])
        found = lyapy.spectrum_of_jacobians(
            jacobians[None], frame="identity", interval=100, tolerance=1e-8, backend="numpy"
        )
        wrong = np.abs(found.growth.sum(axis=1)[0] - exact) / 100
        ratios.extend(wrong / found.numerical_error[0])
    assert np.mean(np.array(ratios) > 3.0) < 0.1
