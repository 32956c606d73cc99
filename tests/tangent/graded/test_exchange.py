"""The estimated rounding error of saturated networks, against the actual one."""

from functools import cache

import mpmath
import numpy as np
import pytest

import lyapy
from lyapy.networks.blocks import diagonal_blocks
from lyapy.tangent.graded.householder import sorted_qr
from lyapy.tangent.graded.step import graded_step
from lyapy.tangent.graded.tilt import SAMPLES
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
    assert np.sum(wrong > TOLERANCE) > 20
    assert np.all(wrong <= np.maximum(3.0 * estimate, TOLERANCE))


def test_the_estimate_is_sharp():
    wrong, estimate = all_errors()
    marked = estimate > TOLERANCE
    assert marked.sum() > 20
    assert np.median(estimate[marked] / wrong[marked]) < 15.0


def test_rounding_of_the_reflectors_is_seen_entry_by_entry():
    """Where nothing is mixed there is none; the norms of the map's rows would allow for some."""
    # entry 0 is read by the others' reflectors, 1 and 2 by none but their own
    image = np.array([[4.0, 1.0, 1.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.125]])
    found = sorted_qr(image, np.linalg.norm(image, axis=0))
    np.testing.assert_allclose(found.frame.T @ found.upper, image.T, atol=1e-15)
    np.testing.assert_allclose(found.frame @ found.frame.T, np.eye(3), atol=1e-15)
    assert np.all(np.diagonal(found.upper) > 0)


def test_a_step_by_ones_leaves_nothing_to_tell():
    """A diagonal map of powers of two is exact, and the estimate knows."""
    U = np.diag([8.0, 0.5, 2.0**-40])
    network = lyapy.Network([lyapy.Vanilla(None, U, nonlinearity="identity")])
    (part,) = diagonal_blocks(network, whole=True, tolerance=1e-8)
    none = np.zeros((3, SAMPLES, 3))
    step = graded_step(part.program, np.ones(3), np.eye(3), 18.0, none, 0)
    np.testing.assert_array_equal(step.log_r, np.log([8.0, 0.5, 2.0**-40]))
    assert np.abs(step.errors).max() < 1e-14
    assert np.abs(step.tilt).max() < 1e-14
