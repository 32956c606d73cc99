"""The number of exponents above −1/T, with its error."""

import math

import numpy as np
import pytest

import lyapy
from tests.support.made_spectra import made


def test_counts_of_exact_exponents():
    rates = np.array([0.999, 0.99, 0.98, 0.9, 0.5])
    jacobians = np.tile(np.diag(rates), (200, 1, 1))
    spectrum = lyapy.spectrum_of_jacobians(jacobians, frame="identity")
    for T, count in ((10.0, 3), (9.0, 4), (60.0, 2), (2.0, 4), (1e-3, 5), (5000.0, 0)):
        found = spectrum.slow_directions(T)
        assert found.value == np.count_nonzero(np.log(rates) > -1.0 / T) == count
        assert (found.low, found.high) == (count, count)
        assert found.standard_error == 0.0 and found.status == "computed"


def test_the_time_is_that_of_the_exponents():
    jacobians = np.tile(np.diag([0.99, 0.9]), (200, 1, 1))
    spectrum = lyapy.spectrum_of_jacobians(jacobians, dt=0.1)
    assert spectrum.slow_directions(5.0).value == 1
    with pytest.raises(
        ValueError,
        match="T is 0; it must be a positive number, a time in the units of the exponents",
    ):
        spectrum.slow_directions(0)


def test_the_interval_counts_what_may_lie_on_either_side():
    spectrum = made([0.1, -0.0101, -0.0099, -0.5], noise=0.02)
    found = spectrum.slow_directions(100.0)
    assert (found.low, found.high) == (1, 3)
    assert 0.0 < found.standard_error <= 1.0


def test_more_may_follow():
    network = lyapy.random_network("vanilla", 20, gain=3.0, seed=1)
    spectrum = lyapy.lyapunov_spectrum(network, steps=500, k=2)
    found = spectrum.slow_directions(2.0)
    assert math.isnan(found.value) and found.status == "not reached"
    assert (found.low, found.high) == (2, 20)
    whole = lyapy.lyapunov_spectrum(network, steps=500).slow_directions(2.0)
    assert whole.value == np.count_nonzero(
        lyapy.lyapunov_spectrum(network, steps=500).exponents > -0.5
    )


def test_bounds_and_dead_directions():
    spectrum = made([0.1, -0.3, -np.inf], unresolved=[1])
    found = spectrum.slow_directions(5.0)
    assert (found.value, found.low, found.high, found.status) == (1, 1, 1, "computed")
    found = spectrum.slow_directions(2.0)
    assert found.status == "upper bound" and found.value == 2
    assert (found.low, found.high) == (1, 2)
