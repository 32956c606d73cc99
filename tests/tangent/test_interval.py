"""Decisions on intervals and splits: a mistake costs time, and shows nowhere else."""

import math

import numpy as np
import pytest

import lyapy
from lyapy.arrays import UNIT_ROUNDOFF
from lyapy.tangent.interval import (
    VANISHED,
    accept_interval,
    block_spread_limit,
    counted_growth,
    disturbed_spread,
    dual_sign,
    effective_spread,
    eliminated_spread,
    first_steps,
    image_noise,
    interval_spread,
    make_control,
    next_interval,
    next_rate,
    repeated_steps,
    shortened,
)
from lyapy.tangent.two_ended import best_split


def test_the_limit_is_the_spread_of_the_tolerance():
    control = make_control("auto", 1e-8, 64)
    assert control.limit == pytest.approx(math.log(1e-8 / 2**-53))
    assert (control.fixed, control.tile, control.graded) == (0, 64, False)
    assert make_control(10, 1e-8, 64).tile == 70


def test_the_steps_of_the_next_interval():
    # 0.95 of the limit of 18 nats allows 8.55 steps of 2 nats: 20 are cut into three of 7, 7, 6
    assert next_interval(2.0, 20, 18.0) == 7
    assert next_interval(2.0, 13, 18.0) == 7
    assert next_interval(2.0, 6, 18.0) == 6
    assert next_interval(0.1, 64, 18.0) == 64
    assert next_interval(100.0, 64, 18.0) == 1


def test_the_rate_is_remembered_and_fades():
    assert next_rate(1.0, 20.0, 10) == 2.0
    assert next_rate(2.0, 15.0, 10) == 1.9
    # far below the expected, as after the first interval
    assert next_rate(40.0, 9.0, 1) == 20.0
    assert next_rate(4.0, 10.0, 10) == 3.8


def test_a_rejected_interval_is_shortened_by_its_spread():
    assert shortened(10, 20.0, 18.0) == 8
    assert shortened(10, 18.5, 18.0) == 9
    assert shortened(2, 20.0, 18.0) == 1
    # rounding noise shows only that it was too long
    assert shortened(10, 27.0, 18.0) == shortened(10, 30.0, 18.0) == 5
    assert shortened(10, math.nan, 18.0) == 5
    assert shortened(2, math.inf, 18.0) == shortened(3, math.inf, 18.0) == 1
    assert shortened(10, math.inf, 18.0) == 5


def test_a_fixed_interval_is_neither_chosen_nor_rejected():
    assert first_steps(2.0, 20, 18.0, 0) == next_interval(2.0, 20, 18.0)
    assert [first_steps(2.0, left, 18.0, 10) for left in (20, 7)] == [10, 7]
    assert first_steps(2.0, 20, 18.0, 1) == 1
    assert repeated_steps(10, 20.0, 18.0, 0) == shortened(10, 20.0, 18.0)
    assert repeated_steps(10, 18.0, 18.0, 0) == repeated_steps(1, 99.0, 18.0, 0) == 0
    assert repeated_steps(10, 99.0, 18.0, 10) == 0


def test_attempts_are_repeated_until_one_is_accepted():
    tried = []

    def attempt(steps):
        tried.append(steps)
        return f"{steps} steps", 5.0 * steps

    control = make_control("auto", 1e-8, 64)
    assert accept_interval(attempt, 0.1, 64, control) == ("3 steps", 15.0, 3, 5)
    assert tried == [64, 32, 16, 8, 4, 3]
    assert accept_interval(attempt, 0.1, 64, control._replace(fixed=40))[1:] == (200.0, 40, 0)


def test_rounding_is_that_of_the_spread_or_the_measured_one():
    assert interval_spread(3.0, -2.0, 0.0, 18.0) == effective_spread(3.0, -2.0, 18.0)
    assert interval_spread(3.0, 3.0, 1e9, 18.0) == disturbed_spread(0.0, 3.0, 1e9)
    assert image_noise(-2.0, 3.0, 0.0, 0) == math.exp(5.0)
    assert image_noise(-2.0, 3.0, -1e9, 1) == math.exp(3.0) * 1e9
    assert image_noise(-2.0, 3.0, 0.0, 49) == 7.0 * math.exp(5.0)
    # where exp overflows
    # squares of the image lose their digits
    assert image_noise(-310.0, -305.0, 0.0, 0) == math.inf
    assert image_noise(-708.0, 1.0, 0.0, 0) < image_noise(-709.0, 1.0, 0.0, 0) == math.inf


def test_growth_that_rounding_hides_is_counted_as_its_bound():
    floor = math.log(4 * UNIT_ROUNDOFF)
    assert counted_growth(-15.0, 3.0, 18.0, floor) == -15.0
    hidden = math.log(math.exp(-15.5) + 4 * UNIT_ROUNDOFF * math.exp(3.0))
    assert counted_growth(-15.5, 3.0, 18.0, floor) == pytest.approx(hidden, rel=1e-14)
    assert counted_growth(-math.inf, 3.0, 18.0, floor) == floor + 3.0
    assert counted_growth(-math.inf, -math.inf, 18.0, floor) == VANISHED


def test_the_spread_of_an_elimination_leaves_out_vanished_vectors():
    assert eliminated_spread(np.array([1.0, 3.0, -math.inf, -2.0])) == 5.0
    assert eliminated_spread(np.array([-7.0])) == 0.0
    assert eliminated_spread(np.array([-math.inf])) == 0.0


def test_norms_near_the_end_of_the_range_count_as_spread():
    assert effective_spread(3.0, -2.0, 18.0) == 5.0
    assert effective_spread(150.0, 149.0, 18.0) == 9.0
    assert effective_spread(-149.0, -150.0, 18.0) == 9.0
    assert effective_spread(math.inf, 0.0, 18.0) == math.inf
    assert effective_spread(0.0, -math.inf, 18.0) == math.inf
    for nowhere in (math.inf, -math.inf, math.nan):
        assert effective_spread(nowhere, nowhere, 18.0) == math.inf
    for ends in ((math.nan, 0.0), (0.0, math.nan)):
        assert effective_spread(*ends, 18.0) == math.inf


def test_rounding_measured_above_the_spread_counts():
    # 2 + 10 nats of noise are 4 more than a sound R leaves
    assert disturbed_spread(5.0, 2.0, math.exp(10.0)) == pytest.approx(8.0)
    assert disturbed_spread(9.0, 2.0, math.exp(10.0)) == 9.0
    assert disturbed_spread(5.0, 20.0, 0.5) == pytest.approx(16.0 - math.log(2.0))
    for unknown in (0.0, math.inf, math.nan):
        assert disturbed_spread(5.0, 20.0, unknown) == 5.0


def test_the_signs_by_which_rounding_is_measured_follow_no_pattern():
    signs = np.array([dual_sign(i) for i in range(300)])
    assert set(signs) == {1.0, -1.0}
    assert 100 < np.count_nonzero(signs > 0.0) < 200
    assert all(abs(np.mean(signs[lag:] * signs[:-lag])) < 0.5 for lag in range(1, 12))


def test_impossible_controls_are_refused():
    # 9 u, in one digit
    assert make_control("auto", 1e-15, 64).limit > 2.0
    assert make_control(np.int64(1), 0.5, 64).fixed == 1
    for tolerance in (0.9e-15, 1.0, 1, 0.0, -1e-8, math.nan, "1e-8"):
        with pytest.raises(ValueError, match=r"tolerance is .* between 1e-15 and 1"):
            make_control("auto", tolerance, 64)
    for interval in (0, -1, 2.5, math.nan, "all", None):
        with pytest.raises(ValueError, match=r"interval is .* 'auto' or a positive whole number"):
            make_control(interval, 1e-8, 64)
    assert make_control("auto", 1e-3, 64, 2.0**-24).limit == pytest.approx(math.log(1e-3 * 2**24))
    with pytest.raises(ValueError, match="between 5e-07 and 1"):
        make_control("auto", 4e-7, 64, 2.0**-24)


def test_one_step_alone_may_spread_by_the_slack_more():
    control = make_control("auto", 1e-8, 64)
    assert control.alone == control.limit
    assert control._replace(slack=2.5).alone == control.limit + 2.5


def test_a_block_of_rows_may_be_off_by_the_root_of_the_tolerance():
    limit = make_control("auto", 1e-8, 64).limit
    assert 2**-53 * math.exp(limit + block_spread_limit(limit)) == pytest.approx(1e-4, rel=1e-6)
    # and no more than the tolerance admits to an interval
    assert block_spread_limit(5.0) == 5.0


def test_a_frame_is_cut_where_both_ends_spread_alike():
    assert best_split(np.linspace(0.0, -20.0, 64), 18.4, 64) == 32
    # one frame where it spreads over nothing, or there is nothing to cut
    assert best_split(np.zeros(64), 18.4, 64) == 64
    assert best_split(np.zeros(1), 18.4, 64) == 1


def test_a_steep_end_is_cut_off():
    gentle, steep = np.linspace(0.0, -0.1, 48), np.linspace(-1.0, -14.0, 16)
    assert best_split(np.concatenate([gentle, steep]), 18.4, 64) == 48
    assert best_split(np.concatenate([-steep[::-1], gentle]), 18.4, 64) == 16


@pytest.mark.parametrize("kind", ["vanilla", "lstm"])
def test_both_ends_of_a_wide_spectrum_are_followed(kind):
    network = lyapy.random_network(kind, 40, 2, gain=1.5, bias=0.3, seed=1)
    inputs = np.random.default_rng(1).normal(size=(256, 2))
    spectrum = lyapy.lyapunov_spectrum(network, inputs, backend="numpy")
    assert spectrum.split.max() < network.state_size
    assert spectrum.trailing_intervals.min() > 0
    assert np.all(spectrum.numerical_error > 0.0) and spectrum.numerical_error.max() < 1e-8


def test_a_mild_network_takes_neither_graded_nor_short_steps(backend):
    network = lyapy.random_network("vanilla", 8, 2, gain=1.0, bias=0.3, seed=1)
    inputs = np.random.default_rng(1).normal(size=(640, 2))
    spectrum = lyapy.lyapunov_spectrum(network, inputs, backend=backend)
    assert spectrum.intervals.max() < 640 / 3
    assert spectrum.rejections.max() < 40
