"""Tests of the CPU engines that a GPU or its stand-in passes too, and its dead directions."""

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.cells import Independent
from tests.runs.test_exact_spectra import (  # noqa: F401
    test_an_lstm_without_recurrence_grows_by_its_forget_gates,
    test_dead_relu_units_leave_the_spectrum_of_the_others,
    test_exponents_sum_to_the_mean_log_determinant,
    test_mean_exponent_of_a_random_tanh_network,
    test_periodic_orbit_of_a_network,
    test_relu_units_that_die_now_and_then,
)
from tests.runs.test_resolution import (
    test_cases_that_were_wrong_and_marked_resolved,
    test_every_exponent_is_right_or_marked,
)
from tests.tangent.test_engines import (  # noqa: F401
    test_intervals_that_overshoot_are_repeated,
    test_mixed_stack_with_a_given_frame,
)
from tests.tools.test_validation import check_on
from tools.validation import exact

pytestmark = [
    pytest.mark.usefixtures("device"),
    pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning"),
]

# left to the CPU in part: whether a slope is zero or has underflowed, frames to be completed where
# the transient ends, the wide growth of an sLSTM, and saturated units
for each in (
    test_an_lstm_without_recurrence_grows_by_its_forget_gates,
    test_dead_relu_units_leave_the_spectrum_of_the_others,
    test_periodic_orbit_of_a_network,
    test_cases_that_were_wrong_and_marked_resolved,
    test_every_exponent_is_right_or_marked,
):
    pytest.mark.repeats(each)


@pytest.fixture
def backend():
    """The device of the tests."""
    return "cupy"


CASES = [exact.orthogonal, exact.symmetric, exact.cat_map, exact.period_three, exact.idle_gru]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_cases_of_the_validation(case, backend, monkeypatch):
    check_on(case, backend, monkeypatch)


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
