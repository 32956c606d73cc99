"""The exact cases of the CPU, on a GPU or its stand-in."""

import pytest

from tests.runs.test_exact_spectra import (  # noqa: F401
    test_dead_relu_units,
    test_lstm_without_recurrence,
    test_mean_exponent_of_a_random_tanh_network,
    test_periodic_orbit_of_a_network,
    test_relu_units_that_die_now_and_then,
    test_sum_rule,
)
from tests.tools.test_validation import check_on
from tools.validation import exact

pytestmark = pytest.mark.usefixtures("device")

# whether a slope is zero or has underflowed is decided on the CPU
test_lstm_without_recurrence = pytest.mark.repeats(test_lstm_without_recurrence)
# and frames are completed there, where the transient ends
test_dead_relu_units = pytest.mark.repeats(test_dead_relu_units)

# an sLSTM's growth is spread so widely that a tile can fail its checks
test_periodic_orbit_of_a_network = pytest.mark.repeats(test_periodic_orbit_of_a_network)


@pytest.fixture
def backend():
    """The device of the tests."""
    return "cupy"


CASES = [exact.orthogonal, exact.symmetric, exact.cat_map, exact.period_three, exact.idle_gru]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_cases_of_the_validation(case, backend, monkeypatch):
    check_on(case, backend, monkeypatch)
