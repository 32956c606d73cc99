"""Measures of a spectrum: values, errors and status."""

import math
from dataclasses import replace

import numpy as np
import pytest

import lyapy
from lyapy.spectra.measures import (
    entropy_rate,
    kaplan_yorke_dimension,
    kaplan_yorke_slopes,
    participation_ratio,
)
from tests.support.made_spectra import made


def test_errors_of_measures_are_those_of_their_sums():
    spectrum = made([0.5, 0.2, -1.0, -2.0], trajectories=2000, rows=1, noise=0.02)
    found = spectrum.measures()
    sigma = 0.02 / math.sqrt(2000)
    assert found["mean"].standard_error == pytest.approx(sigma / 2, rel=0.1)
    assert found["entropy_rate"].standard_error == pytest.approx(sigma * math.sqrt(2), rel=0.1)
    a, b, c = spectrum.exponents[:3]
    assert found["kaplan_yorke_dimension"].value == pytest.approx(2 - (a + b) / c)
    slope = math.sqrt(2 / c**2 + (a + b) ** 2 / c**4)
    assert found["kaplan_yorke_dimension"].standard_error == pytest.approx(sigma * slope, rel=0.1)
    samples = spectrum.per_trajectory
    dimension = 2 - samples[:, :2].sum(axis=1) / samples[:, 2]
    error = dimension.std(ddof=1) / math.sqrt(2000)
    assert found["kaplan_yorke_dimension"].standard_error == pytest.approx(error, rel=0.01)


@pytest.mark.parametrize("exponents", [[0.5, 1.0, -2.0], [1.0, -0.5, -0.2]])
def test_exponents_in_another_order_are_refused(exponents):
    with pytest.raises(ValueError, match="not in descending order"):
        kaplan_yorke_dimension(np.array(exponents), 3)


def test_measures_have_a_status():
    found = made([0.5, 0.2], state_size=10).measures()
    assert found["kaplan_yorke_dimension"].status == found["entropy_rate"].status == "not reached"
    assert found["mean"].status == "computed"
    found = made([0.5, -1.0, -3.0], unresolved=[2]).measures()
    assert found["mean"].status == "upper bound"
    # it does not enter these
    assert found["kaplan_yorke_dimension"].status == found["entropy_rate"].status == "computed"
    assert made([0.5, -1.0], unresolved=[1]).measures()["kaplan_yorke_dimension"].status == (
        "upper bound"
    )
    contracting = made([-0.5, -1.0]).measures()["kaplan_yorke_dimension"]
    assert (contracting.value, contracting.standard_error) == (0.0, 0.0)
    assert made([0.5, -np.inf]).measures()["kaplan_yorke_dimension"][:2] == (1.0, 0.0)


def test_participation_ratio_of_the_frame():
    spectrum = made([0.5, -1.0, -2.0])
    frame = np.zeros((3, 3, 3))
    frame[:, 0, 1] = 1.0
    frame[:, 1] = 1 / math.sqrt(3)
    frame[:, 2, :2] = 1 / math.sqrt(2)
    object.__setattr__(spectrum, "final_frame", frame)
    np.testing.assert_allclose(spectrum.participation_ratio, [[1.0, 3.0, 2.0]] * 3)


def test_a_partial_spectrum_has_measures_once_it_is_no_longer_positive():
    for last in (0.0, -0.5, -3.0):
        assert entropy_rate(np.array([0.5, last]), 5) == 0.5
    assert math.isnan(entropy_rate(np.array([0.5, 1e-3]), 5))


@pytest.mark.parametrize("exponents", [[0.5, 0.3, -0.7, -3.0], [0.5, -2.0], [3.0, 1.0, -5.0, -6.0]])
def test_the_slopes_of_the_dimension_are_its_derivatives(exponents):
    exponents = np.array(exponents)
    slopes = kaplan_yorke_slopes(exponents)
    full = np.append(slopes, np.zeros(len(exponents) - len(slopes)))
    for i, slope in enumerate(full):
        step = 1e-6 * np.eye(len(exponents))[i]
        ends = [kaplan_yorke_dimension(exponents + s * step, 9) for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(slope, abs=1e-8)
    # a crossing at an exponent counts it
    np.testing.assert_array_equal(kaplan_yorke_slopes(np.array([1.0, -1.0, -2.0])), [0.5, 0.5, 0.0])
    assert kaplan_yorke_slopes(np.array([-1.0, -2.0])).shape == (0,)
    assert kaplan_yorke_slopes(np.array([2.0, -1.0])).shape == (0,)


def test_measures_take_the_exponents_that_enter():
    """The error of the entropy rate is that of one exponent, which alone is positive."""
    spectrum = made([0.5, -0.5, -2.0], trajectories=5)
    found = spectrum.measures()["entropy_rate"]
    assert found.standard_error == pytest.approx(spectrum.standard_error[0])
    assert found.status == "computed"


def test_participation_does_not_depend_on_length():
    vectors = np.random.default_rng(7).normal(size=(4, 6))
    np.testing.assert_allclose(participation_ratio(3.0 * vectors), participation_ratio(vectors))


@pytest.mark.parametrize("exponents", [[0.0, -0.5], [0.0, 0.0, -0.5], [0.0, 0.0, 0.0]])
def test_exponents_that_may_be_zero_leave_dimension_and_entropy_undetermined(exponents):
    """A limit cycle, a torus and orthogonal weights, whose exponents fall as 1 / T ."""
    spectrum = made(exponents, trajectories=1, rows=20, noise=0.0)
    neutral = np.array(exponents) == 0.0
    for sign in (-1.0, 1.0):
        swing = sign * np.sin(2.0 * np.arange(20))[:, None] * neutral
        found = replace(spectrum, growth=spectrum.growth + swing).measures()
        dimension, entropy = found["kaplan_yorke_dimension"], found["entropy_rate"]
        assert dimension.status == entropy.status == "undetermined"
        assert math.isnan(dimension.value) and math.isnan(entropy.value)
        assert dimension.low <= neutral.sum() <= dimension.high
        assert entropy.low == 0.0 < entropy.high < 0.02


def test_a_neutral_exponent_next_to_a_positive_one():
    """The flow of a chaotic attractor: neither measure depends on the sign of the second."""
    found = made([0.5, 0.0, -2.0], trajectories=5).measures()
    for name, truth in (("kaplan_yorke_dimension", 2.25), ("entropy_rate", 0.5)):
        assert found[name].status == "computed"
        assert found[name].low <= truth <= found[name].high


def test_reading_an_unreached_measure_warns(recwarn):
    spectrum = made([0.5, 0.2], state_size=10)
    # no table, file or status is a reader
    str(spectrum), spectrum.report(), spectrum.measures(), repr(spectrum)
    assert not recwarn.list
    for name, k in (("kaplan_yorke_dimension", "kaplan-yorke"), ("entropy_rate", "entropy")):
        words = f"{name} is NaN: the 2 of 10 exponents .* do not reach it; .* k='{k}'"
        with pytest.warns(RuntimeWarning, match=words) as warned:
            assert math.isnan(getattr(spectrum, name))
        assert warned[0].filename == __file__


def test_slow_directions_of_exact_exponents():
    rates = np.array([0.999, 0.99, 0.98, 0.9, 0.5])
    jacobians = np.tile(np.diag(rates), (200, 1, 1))
    spectrum = lyapy.spectrum_of_jacobians(jacobians, frame="identity")
    for T, count in ((10.0, 3), (9.0, 4), (60.0, 2), (2.0, 4), (1e-3, 5), (5000.0, 0)):
        found = spectrum.slow_directions(T)
        assert found.value == np.count_nonzero(np.log(rates) > -1.0 / T) == count
        assert (found.low, found.high) == (count, count)
        assert found.standard_error == 0.0 and found.status == "computed"


def test_the_time_of_slow_directions_is_that_of_the_exponents():
    jacobians = np.tile(np.diag([0.99, 0.9]), (200, 1, 1))
    spectrum = lyapy.spectrum_of_jacobians(jacobians, dt=0.1)
    assert spectrum.slow_directions(5.0).value == 1
    with pytest.raises(
        ValueError,
        match="T is 0; it must be a positive number, a time in the units of the exponents",
    ):
        spectrum.slow_directions(0)


def test_the_interval_counts_slow_directions_that_may_lie_on_either_side():
    spectrum = made([0.1, -0.0101, -0.0099, -0.5], noise=0.02)
    found = spectrum.slow_directions(100.0)
    assert (found.low, found.high) == (1, 3)
    assert 0.0 < found.standard_error <= 1.0


def test_more_slow_directions_may_follow():
    network = lyapy.random_network("vanilla", 20, gain=3.0, seed=1)
    spectrum = lyapy.lyapunov_spectrum(network, steps=500, k=2)
    found = spectrum.slow_directions(2.0)
    assert math.isnan(found.value) and found.status == "not reached"
    assert (found.low, found.high) == (2, 20)
    whole = lyapy.lyapunov_spectrum(network, steps=500).slow_directions(2.0)
    assert whole.value == np.count_nonzero(
        lyapy.lyapunov_spectrum(network, steps=500).exponents > -0.5
    )


def test_slow_directions_next_to_bounds_and_dead_ones():
    spectrum = made([0.1, -0.3, -np.inf], unresolved=[1])
    found = spectrum.slow_directions(5.0)
    assert (found.value, found.low, found.high, found.status) == (1, 1, 1, "computed")
    found = spectrum.slow_directions(2.0)
    assert found.status == "upper bound" and found.value == 2
    assert (found.low, found.high) == (1, 2)
