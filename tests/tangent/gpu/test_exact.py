"""The exact cases of the CPU, on a GPU or its stand-in."""

import pytest

from tests.runs.test_exact_spectra import (  # noqa: F401
    test_cat_map,
    test_dead_relu_units,
    test_gru_without_recurrence,
    test_lstm_without_recurrence,
    test_mean_exponent_of_a_random_tanh_network,
    test_orthogonal_weight_with_the_identity,
    test_period_three_orbit_of_jacobians,
    test_periodic_orbit_of_a_network,
    test_relu_units_that_die_now_and_then,
    test_sum_rule,
    test_symmetric_linear_map,
)

pytestmark = pytest.mark.usefixtures("device")

# whether a slope is zero or has underflowed is decided on the CPU
test_lstm_without_recurrence = pytest.mark.repeats(test_lstm_without_recurrence)

# an sLSTM's growth is spread so widely that a tile can fail its checks
test_periodic_orbit_of_a_network = pytest.mark.repeats(test_periodic_orbit_of_a_network)


@pytest.fixture
def backend():
    """What the tests run on, here."""
    return "cupy"
