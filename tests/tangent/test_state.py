"""What a trajectory carries from interval to interval, number by number."""

import math

import numpy as np
import pytest

from lyapy.arrays import UNIT_ROUNDOFF
from lyapy.tangent import state as carry_module
from lyapy.tangent.graded.step import GradedStep
from lyapy.tangent.graded.tilt import SAMPLES, exchanged
from lyapy.tangent.interval import make_control
from lyapy.tangent.state import Carry

CONTROL = make_control("auto", 1e-8, 64)


def filled(k=3, D=4):
    """A carry in which every field has a value of its own."""
    carry = Carry(np.eye(D)[:k], 2.5)
    carry.error = np.arange(1.0, k + 1)
    carry.intervals, carry.trailing_intervals, carry.rejections = 5, 6, 7
    carry.largest_spread, carry.norm_excess = 8.0, -9.0
    carry.tilt = np.triu(np.full((SAMPLES, k, k), 1e-12), 1).swapaxes(0, 1)
    carry.since, carry.noise = np.arange(k) / 2.0, np.arange(k) + 3.0
    carry.exchange = np.full((k, SAMPLES), 1e-9)
    carry.turnover = np.full((k, SAMPLES), 1e-18)
    carry.graded_steps = 11
    return carry


def test_a_carry_begins_with_nothing_counted():
    carry = Carry(np.eye(4)[:3])
    # so much that the first interval has one step
    assert carry.rate == 40.0
    assert (carry.intervals, carry.trailing_intervals, carry.rejections) == (0, 0, 0)
    assert (carry.largest_spread, carry.graded_steps, carry.split) == (0.0, 0, 3)
    assert (carry.norm_excess, carry.frame_error) == (-math.inf, 0.0)
    assert carry.tilt.shape == (0, SAMPLES, 0)
    for values in (carry.error, carry.since, carry.noise, carry.numerical_error):
        np.testing.assert_array_equal(values, np.zeros(3))
    for sample in (carry.exchange, carry.turnover):
        np.testing.assert_array_equal(sample, np.zeros((3, SAMPLES)))


def test_statistics_are_forgotten_and_the_way_is_not():
    carry = filled()
    carry.reset_statistics()
    assert (carry.intervals, carry.trailing_intervals, carry.rejections) == (0, 0, 0)
    assert (carry.largest_spread, carry.norm_excess) == (0.0, -math.inf)
    np.testing.assert_array_equal(carry.numerical_error, np.zeros(3))
    assert not carry.exchange.any() and not carry.turnover.any()
    assert (carry.rate, carry.graded_steps) == (2.5, 11)
    assert carry.tilt.any() and carry.since.any() and carry.noise.any()


def test_a_copy_goes_on_with_statistics_of_its_own():
    carry = filled()
    other = carry.copy(3.5)
    assert (other.rate, other.intervals, other.graded_steps) == (3.5, 0, 11)
    np.testing.assert_array_equal(other.numerical_error, np.zeros(3))
    for name in ("frame", "since", "noise"):
        np.testing.assert_array_equal(getattr(other, name), getattr(carry, name))
        assert not np.shares_memory(getattr(other, name), getattr(carry, name))
    assert other.tilt is carry.tilt
    follower = Carry(np.eye(4)[:3])
    follower.follow(carry)
    assert follower.tilt is carry.tilt and follower.since is carry.since
    assert follower.noise is carry.noise and follower.graded_steps == 11


def test_errors_are_those_of_intervals_and_of_graded_steps():
    carry = filled()
    total = np.array([1.0, 2.0, 3.0]) + exchanged(carry.exchange, carry.turnover)
    np.testing.assert_array_equal(carry.numerical_error, total)
    # ten tolerances a step
    allowed = 10.0 * 7 * 1e-8
    carry.exchange[:] = carry.turnover[:] = 0.0
    carry.error[:] = allowed * np.array([0.99, 1.01, 0.0])
    assert carry.resolved(7, CONTROL.limit).tolist() == [True, False, True]


@pytest.mark.parametrize("large", [0.99, 1.01])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_frame_is_tilted_until_the_next_interval(large, sign):
    carry = filled()
    carry.since[:] = 0.0
    # a hundredth of the tolerance
    carry.tilt[0, 2, 1] = sign * large * 1e-10
    assert carry.tilted(CONTROL) == (large > 1.0)
    assert carry.tilted(CONTROL._replace(fixed=1)) == (large > 1.0)
    assert not carry.tilted(CONTROL._replace(fixed=2))
    carry.since[1] = -1.0
    assert not carry.tilted(CONTROL)
    assert not Carry(np.eye(3)).tilted(CONTROL)


@pytest.fixture
def steps(monkeypatch):
    """Graded steps of known results: arguments go in, and growth may overflow."""
    calls, growths = [], []

    def step(program, coefficients, frame, limit, tilt, seed):
        k = len(frame)
        calls.append((program, coefficients, frame.copy(), limit, tilt, seed))
        log_r = growths.pop() if growths else -np.arange(k, dtype=float)
        errors = np.full((k, SAMPLES), 1e-9)
        return GradedStep(-frame, log_r, np.zeros(k), errors, np.full((k, SAMPLES, k), 0.5))

    monkeypatch.setattr(carry_module, "graded_step", step)
    return calls, growths


def test_a_graded_step_moves_the_living_rows(steps):
    calls, _ = steps
    carry = filled()
    growth = carry.take_graded_step("program", "coefficients", 2, 30.0, CONTROL)
    ((program, coefficients, frame, limit, tilt, seed),) = calls
    assert (program, coefficients, limit, seed) == ("program", "coefficients", CONTROL.limit, 11)
    np.testing.assert_array_equal(frame, np.eye(4)[:2])
    np.testing.assert_array_equal(growth, [0.0, -1.0])
    np.testing.assert_array_equal(carry.frame, np.diag([-1.0, -1.0, 1.0, 0.0])[:3])
    # intervals came in between, so the tilt is what they left of it
    settled = carry_module.settled_tilt(
        filled().tilt[:2, :, :2], np.arange(2) / 2.0, np.array([3.0, 4.0]), 11
    )
    np.testing.assert_array_equal(tilt, settled)
    np.testing.assert_array_equal(carry.tilt, np.full((2, SAMPLES, 2), 0.5))
    np.testing.assert_allclose(carry.exchange, np.tile([2e-9, 2e-9, 1e-9], (SAMPLES, 1)).T)
    np.testing.assert_allclose(carry.turnover, np.tile([2e-18, 2e-18, 1e-18], (SAMPLES, 1)).T)
    assert (carry.graded_steps, carry.intervals) == (12, 6)
    assert not carry.since.any() and not carry.noise.any()
    assert carry.rate == 30.0
    # none since, so the tilt goes on as it is
    carry.take_graded_step("program", "coefficients", 2, 30.0, CONTROL)
    np.testing.assert_array_equal(calls[1][4], np.full((2, SAMPLES, 2), 0.5))
    assert calls[1][5] == 12


def test_the_first_graded_step_begins_with_what_intervals_left(steps):
    calls, _ = steps
    carry = Carry(np.eye(3))
    carry.noise[:] = 2.0
    carry.take_graded_step("program", "coefficients", 3, 30.0, CONTROL)
    settled = carry_module.settled_tilt(np.zeros((0, SAMPLES, 0)), np.zeros(3), carry.noise + 2, 0)
    np.testing.assert_array_equal(calls[0][4], settled)


@pytest.mark.parametrize("largest", [math.inf, math.nan])
def test_a_graded_step_that_overflows_leaves_all_as_it_was(steps, largest):
    _, growths = steps
    growths.append(np.array([largest, 0.0]))
    carry, before = filled(), filled()
    growth = carry.take_graded_step("program", "coefficients", 2, 30.0, CONTROL)
    assert growth.shape == (2,) and np.isnan(growth).all()
    for name in ("frame", "tilt", "since", "noise", "exchange", "error"):
        np.testing.assert_array_equal(getattr(carry, name), getattr(before, name))
    assert (carry.graded_steps, carry.intervals) == (11, 5)


def test_an_interval_is_counted():
    # four of five units' directions, of which the last is dead
    carry = filled(4, 5)
    before = carry.error.copy()
    log_r = np.array([0.0, -10.0, -CONTROL.limit - 1.0])
    scale = np.array([1.0, 1.0, 1.0])
    growth = carry.count(log_r, scale, 12.0, 4, CONTROL)
    noise = UNIT_ROUNDOFF * np.exp(scale - log_r)
    np.testing.assert_allclose(carry.error - before, [*noise, 0.0], atol=1e-15)
    hidden = np.log(np.exp(log_r[2]) + 5 * UNIT_ROUNDOFF * np.exp(1.0))
    np.testing.assert_allclose(growth, [*log_r[:2], hidden], rtol=1e-14)
    assert (carry.intervals, carry.rate) == (6, 3.0)
    assert carry.largest_spread == CONTROL.limit + 2.0
    # what one step alone may spread by is admitted
    slack = CONTROL._replace(slack=3.0)
    np.testing.assert_array_equal(carry.count(log_r, scale, 12.0, 4, slack), log_r)
    # −∞ that is exact is no rounding, nor is its spread one
    carry = Carry(np.eye(3))
    dead = np.array([0.0, -np.inf])
    np.testing.assert_array_equal(carry.count(dead, dead, 0.0, 1, CONTROL), dead)
    np.testing.assert_allclose(carry.error, [UNIT_ROUNDOFF, 0.0, 0.0])
    assert carry.largest_spread == 0.0
    # infinite noise is told as such, without a warning
    carry.count(np.array([0.0, -1e4]), np.zeros(2), 0.0, 1, CONTROL)
    assert carry.error[1] == math.inf


def test_an_interval_leaves_frame_growth_and_noise():
    carry = filled()
    frame = np.diag([-1.0, -1.0, 0.0, 0.0])[:2]
    log_r, duals = np.array([2.0, -3.0]), np.array([-0.5, 1e4])
    carry.settle(frame, log_r, duals)
    np.testing.assert_array_equal(carry.frame, [*frame, np.eye(4)[2]])
    np.testing.assert_array_equal(carry.since, [2.0, -2.5, 1.0])
    known, measured = np.exp([0.0, 5.0]), math.exp(2.0) * np.array([0.5, 1e4])
    np.testing.assert_allclose(carry.noise, [measured[0], measured[1], 5.0])
    # the measured noise counts by how far it exceeds that of the spread, which is counted else
    excess = UNIT_ROUNDOFF * (measured - known)
    np.testing.assert_allclose(carry.error, [1.0 + excess[0], 2.0 + excess[1], 3.0], rtol=1e-15)
    carry = Carry(np.eye(2))
    carry.settle(np.eye(2), np.array([0.0, -5.0]), np.array([0.25, -1.0]))
    np.testing.assert_allclose(carry.noise, [1.0, math.exp(5.0)])
    np.testing.assert_array_equal(carry.error, [0.0, 0.0])


def test_an_end_adds_its_statistics_to_its_rows():
    carry, end = filled(), filled(2)
    end.largest_spread = 9.0
    carry.add(end, slice(1, None))
    np.testing.assert_array_equal(carry.error, [1.0, 3.0, 5.0])
    np.testing.assert_allclose(carry.exchange, np.tile([1e-9, 2e-9, 2e-9], (SAMPLES, 1)).T)
    np.testing.assert_allclose(carry.turnover, np.tile([1e-18, 2e-18, 2e-18], (SAMPLES, 1)).T)
    assert (carry.rejections, carry.largest_spread, carry.intervals) == (14, 9.0, 5)
    end.largest_spread = 1.0
    carry.add(end, slice(1, None))
    assert carry.largest_spread == 9.0
