"""The estimated rounding error of saturated networks, against the actual one."""

from functools import cache

import mpmath
import numpy as np
import pytest

import lyapy
from lyapy.tangent.compiled import CompiledTangent
from lyapy.tangent.interval import make_control
from lyapy.tangent.reference import ArrayTangent
from lyapy.tangent.state import Carry
from tests.support.made_programs import scaling
from tests.support.precise import precise_growth, precise_jacobians

pytestmark = pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning")

STEPS = 40
TOLERANCE = 1e-8
CASES = [
    ("lstm", 6, {"gain": 20.0, "bias": 2.0}),
    ("lstm", 6, {"gain": 40.0, "bias": 2.0}),
    ("lstm", 6, {"gain": 60.0, "bias": 2.0}),
    ("lstm-projected", 5, {"gain": 20.0, "bias": 2.0}),
    ("gru", 6, {"gain": 40.0, "bias": 2.0}),
    ("gru", 6, {"gain": 60.0, "bias": 2.0}),
    ("gru-reset-before", 6, {"gain": 60.0, "bias": 2.0}),
    ("vanilla", 8, {"gain": 20.0, "bias": 1.0}),
    ("vanilla", 5, {"gain": 10.0, "bias": 1.0, "layers": 2}),
    ("vanilla", 5, {"gain": 1.2, "bias": 1.0, "nonlinearity": "relu", "layers": 3}),
]


def errors(kind, n, options, seed):
    network = lyapy.random_network(kind, n, 2, **options, seed=seed)
    inputs = np.random.default_rng(3).normal(size=(STEPS, 2))
    with mpmath.workdps(300):
        layers = precise_jacobians(network, inputs, "numba")
        exact = np.concatenate([precise_growth(jacobians) for jacobians in layers])
    spectrum = lyapy.lyapunov_spectrum(network, inputs, frame="identity", tolerance=TOLERANCE)
    alive, found = np.isfinite(exact), spectrum.growth.sum(axis=1)[0]
    wrong = np.abs(found[alive] - exact[alive]) / STEPS
    return wrong, spectrum.numerical_error[0][alive]


@cache
def all_errors():
    found = [errors(*case, seed) for case in CASES for seed in (2, 5)]
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def test_no_error_is_missed():
    wrong, estimate = all_errors()
    assert np.sum(wrong > TOLERANCE) > 5
    assert np.all(wrong <= np.maximum(3.0 * estimate, TOLERANCE))


def test_the_estimate_is_sharp():
    wrong, estimate = all_errors()
    marked = estimate > TOLERANCE
    assert marked.sum() > 10
    with np.errstate(divide="ignore"):
        assert np.median(estimate[marked] / wrong[marked]) < 30.0


@pytest.mark.parametrize("kind", [ArrayTangent, CompiledTangent])
def test_a_diagonal_map_leaves_no_error(kind):
    """Nothing is mixed, so nothing is exchanged, however far the growths are apart."""
    slopes = np.array([8.0, 0.5, 2.0**-40])
    carry, control = Carry.begin(np.eye(3)), make_control("auto", TOLERANCE, 64)
    control = control._replace(graded=True)
    tiles = np.array([20]), np.array([3])
    growth = kind(scaling(3), 3).advance(np.tile(slopes, (20, 1)), *tiles, carry, control)
    np.testing.assert_allclose(growth[0], 20 * np.log(slopes), rtol=1e-14)
    assert carry.state.graded_steps == 20
    assert carry.statistics.numerical_error.max() < 1e-12
