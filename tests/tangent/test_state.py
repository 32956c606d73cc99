"""What a trajectory carries from interval to interval, number by number."""

import math

import numpy as np
import pytest

from lyapy.arrays import UNIT_ROUNDOFF
from lyapy.tangent import state as module
from lyapy.tangent.graded.step import GradedStep
from lyapy.tangent.graded.tilt import SAMPLES, exchanged
from lyapy.tangent.interval import make_control
from lyapy.tangent.state import Carry

CONTROL = make_control("auto", 1e-8, 64)
STATE = ("frame", "rate", "split", "tilt", "since", "noise", "graded_steps")


def filled(k=3, D=4):
    carry = Carry.begin(np.eye(D)[:k], 2.5)
    carry.update(
        {
            "split": 2,
            "tilt": np.triu(np.full((SAMPLES, k, k), 1e-12), 1).swapaxes(0, 1),
            "since": np.arange(k) / 2.0,
            "noise": np.arange(k) + 3.0,
            "graded_steps": 11,
            "error": np.arange(1.0, k + 1),
            "exchange": np.full((k, SAMPLES), 1e-9),
            "turnover": np.full((k, SAMPLES), 1e-18),
            "intervals": 5,
            "trailing_intervals": 6,
            "rejections": 7,
            "largest_spread": 8.0,
            "norm_excess": -9.0,
            "frame_error": 1e-5,
        }
    )
    return carry


def assert_same(carry, other, names=None):
    carry, other = carry.to_dict(), other.to_dict()
    for name in names or carry:
        np.testing.assert_array_equal(carry[name], other[name], err_msg=name)


def test_a_carry_begins_with_nothing_counted():
    carry = Carry.begin(np.eye(4)[:3])
    wanted = {
        # so much that the first interval has one step
        "rate": 40.0,
        "split": 3,
        "tilt": np.zeros((0, SAMPLES, 0)),
        **dict.fromkeys(("since", "noise", "error"), np.zeros(3)),
        **dict.fromkeys(("exchange", "turnover"), np.zeros((3, SAMPLES))),
        **dict.fromkeys(("graded_steps", "intervals", "trailing_intervals"), 0),
        **dict.fromkeys(("rejections", "repeated"), 0),
        **dict.fromkeys(("largest_spread", "frame_error"), 0.0),
        "norm_excess": -math.inf,
    }
    found = carry.to_dict()
    np.testing.assert_array_equal(found.pop("frame"), np.eye(4)[:3])
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    np.testing.assert_array_equal(carry.statistics.numerical_error, np.zeros(3))


def test_statistics_are_reset_and_the_state_is_not():
    carry = filled()
    carry.reset_statistics()
    assert_same(carry, filled(), STATE)
    assert_same(carry, Carry.begin(np.eye(4)[:3]), set(carry.to_dict()) - set(STATE))


def test_what_a_carry_saves_is_a_copy_and_is_all():
    carry = filled()
    saved = carry.to_dict()
    carry.state.frame[:] = carry.statistics.error[:] = 0.0
    restored = Carry.from_dict(saved)
    assert_same(restored, filled())
    restored.state.since[:] = 9.0
    assert_same(Carry.from_dict(saved), filled())
    values = np.ones(3)
    restored.update({"noise": values, "rejections": 1})
    values[:] = 2.0
    np.testing.assert_array_equal(restored.state.noise, np.ones(3))
    assert restored.statistics.rejections == 1


def test_a_fork_goes_on_with_separate_statistics():
    carry = filled()
    other = carry.fork(3.5)
    assert (other.state.rate, other.state.split) == (3.5, 3)
    assert_same(other, carry, ("frame", "tilt", "since", "noise", "graded_steps"))
    assert_same(other, Carry.begin(np.eye(4)[:3]), set(carry.to_dict()) - set(STATE))
    for name in ("frame", "since", "noise"):
        assert not np.shares_memory(getattr(other.state, name), getattr(carry.state, name))


def test_errors_are_those_of_intervals_and_of_graded_steps():
    counted = filled().statistics
    total = np.array([1.0, 2.0, 3.0]) + exchanged(counted.exchange, counted.turnover)
    np.testing.assert_array_equal(counted.numerical_error, total)
    # ten tolerances a step
    allowed = 10.0 * 7 * 1e-8
    counted.exchange[:] = counted.turnover[:] = 0.0
    counted.error[:] = allowed * np.array([0.99, 1.01, 0.0])
    assert counted.resolved(7, CONTROL.limit).tolist() == [True, False, True]


@pytest.mark.parametrize("large", [0.99, 1.01])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_frame_is_tilted_until_the_next_interval(large, sign):
    state = filled().state
    state.since[:] = 0.0
    # a hundredth of the tolerance
    state.tilt[0, 2, 1] = sign * large * 1e-10
    assert state.tilted(CONTROL) == (large > 1.0)
    assert state.tilted(CONTROL._replace(fixed=1)) == (large > 1.0)
    assert not state.tilted(CONTROL._replace(fixed=2))
    state.since[1] = -1.0
    assert not state.tilted(CONTROL)
    assert not Carry.begin(np.eye(3)).state.tilted(CONTROL)


@pytest.fixture
def steps(monkeypatch):
    """Graded steps with scripted growth, and a list of the arguments they get."""
    calls, growths = [], []

    def step(program, coefficients, frame, limit, tilt, seed):
        k = len(frame)
        calls.append((program, coefficients, frame.copy(), limit, tilt, seed))
        log_r, scale = growths.pop() if growths else (-np.arange(k, dtype=float), np.zeros(k))
        errors = np.full((k, SAMPLES), 1e-9)
        return GradedStep(-frame, log_r, scale, errors, np.full((k, SAMPLES, k), 0.5))

    monkeypatch.setattr(module, "graded_step", step)
    return calls, growths


def test_a_graded_step_moves_the_living_rows(steps):
    calls, _ = steps
    carry = filled()
    state, counted = carry.state, carry.statistics
    growth = carry.take_graded_step("program", "coefficients", 2, 30.0, CONTROL)
    ((program, coefficients, frame, limit, tilt, seed),) = calls
    assert (program, coefficients, limit, seed) == ("program", "coefficients", CONTROL.limit, 11)
    np.testing.assert_array_equal(frame, np.eye(4)[:2])
    np.testing.assert_array_equal(growth, [0.0, -1.0])
    np.testing.assert_array_equal(state.frame, np.diag([-1.0, -1.0, 1.0, 0.0])[:3])
    # intervals came in between, so the tilt is what they left of it
    settled = module.settled_tilt(
        filled().state.tilt[:2, :, :2], np.arange(2) / 2.0, np.array([3.0, 4.0]), 11
    )
    np.testing.assert_array_equal(tilt, settled)
    np.testing.assert_array_equal(state.tilt, np.full((2, SAMPLES, 2), 0.5))
    np.testing.assert_allclose(counted.exchange, np.tile([2e-9, 2e-9, 1e-9], (SAMPLES, 1)).T)
    np.testing.assert_allclose(counted.turnover, np.tile([2e-18, 2e-18, 1e-18], (SAMPLES, 1)).T)
    assert (state.graded_steps, counted.intervals, counted.rejections) == (12, 6, 7)
    assert not state.since.any() and not state.noise.any()
    assert state.rate == 30.0
    # none since, so the tilt goes on as it is
    carry.take_graded_step("program", "coefficients", 2, 30.0, CONTROL)
    np.testing.assert_array_equal(calls[1][4], np.full((2, SAMPLES, 2), 0.5))
    assert calls[1][5] == 12


def test_the_first_graded_step_begins_with_what_intervals_left(steps):
    calls, _ = steps
    carry = Carry.begin(np.eye(3))
    carry.state.noise[:] = 2.0
    carry.take_graded_step("program", "coefficients", 3, 30.0, CONTROL)
    settled = module.settled_tilt(np.zeros((0, SAMPLES, 0)), np.zeros(3), np.full(3, 2.0), 0)
    np.testing.assert_array_equal(calls[0][4], settled)


@pytest.mark.parametrize("largest", [math.inf, math.nan])
def test_a_graded_step_that_overflows_changes_nothing(steps, largest):
    _, growths = steps
    growths.append((np.array([largest, 0.0]), np.zeros(2)))
    carry = filled()
    growth = carry.take_graded_step("program", "coefficients", 2, 30.0, CONTROL)
    assert growth.shape == (2,) and np.isnan(growth).all()
    assert_same(carry, filled())


def test_the_growth_of_a_graded_step_is_counted(steps):
    _, growths = steps
    # of four directions one is dead, and of one the rounding is a nat above its growth's limit
    log_r = np.array([0.0, -10.0, -CONTROL.limit - 1.0])
    growths += [(log_r, np.ones(3))]
    carry = filled(4, 5)
    growth = carry.take_graded_step("program", "coefficients", 3, 12.0, CONTROL)
    noise = UNIT_ROUNDOFF * np.exp(1.0 - log_r)
    error = carry.statistics.error - filled(4, 5).statistics.error
    np.testing.assert_allclose(error, [*noise, 0.0], atol=1e-15)
    hidden = math.log(math.exp(log_r[2]) + 5 * UNIT_ROUNDOFF * math.exp(1.0))
    np.testing.assert_allclose(growth, [*log_r[:2], hidden], rtol=1e-14)
    assert carry.statistics.largest_spread == CONTROL.limit + 2.0
    # the slack of a single step is admitted
    growths += [(log_r, np.ones(3))]
    slack = CONTROL._replace(slack=3.0)
    growth = carry.take_graded_step("program", "coefficients", 3, 12.0, slack)
    np.testing.assert_array_equal(growth, log_r)
    # what vanishes has underflowed; infinite noise gives no warning
    for log_r, scale, bound, spread in (
        ([0.0, -math.inf], [0.0, -math.inf], -700.0, 0.0),
        ([0.0, -1e4], [0.0, 0.0], math.log(2 * UNIT_ROUNDOFF), 1e4),
    ):
        carry = Carry.begin(np.eye(2))
        growths += [(np.array(log_r), np.array(scale))]
        growth = carry.take_graded_step("program", "coefficients", 2, 0.0, CONTROL)
        np.testing.assert_allclose(growth, [0.0, bound])
        np.testing.assert_array_equal(carry.statistics.error, [UNIT_ROUNDOFF, math.inf])
        assert carry.statistics.largest_spread == spread


@pytest.mark.parametrize(("rounding", "counted"), [(0.09, 0.09), (0.11, math.inf)])
def test_growth_that_a_tenth_of_it_hides_has_no_error_but_a_bound(steps, rounding, counted):
    _, growths = steps
    growths += [(np.zeros(2), np.array([0.0, math.log(rounding / UNIT_ROUNDOFF)]))]
    carry = Carry.begin(np.eye(2))
    carry.take_graded_step("program", "coefficients", 2, 0.0, CONTROL)
    np.testing.assert_allclose(carry.statistics.error, [UNIT_ROUNDOFF, counted])


def test_an_interval_is_absorbed():
    carry = filled()
    state, counted = carry.state, carry.statistics
    frame = np.diag([-1.0, -1.0, 0.0, 0.0])[:2]
    log_r, duals = np.array([2.0, -3.0]), np.array([-0.5, 1e4])
    growth = carry.absorb(frame, log_r, duals, 12.0, 4, 2, CONTROL)
    np.testing.assert_array_equal(growth, log_r)
    np.testing.assert_array_equal(state.frame, [*frame, np.eye(4)[2]])
    np.testing.assert_array_equal(state.since, [2.0, -2.5, 1.0])
    # the larger of the noise that the spread shows and of the noise measured
    noise = math.exp(2.0) * np.array([0.5, 1e4])
    np.testing.assert_allclose(state.noise, [*noise, 5.0])
    wanted = [1.0, 2.0 + UNIT_ROUNDOFF * noise[1], 3.0]
    np.testing.assert_allclose(counted.error, wanted, rtol=1e-15)
    assert (counted.intervals, counted.rejections, state.rate) == (6, 9, 3.0)
    assert counted.largest_spread == 8.0
    carry = Carry.begin(np.eye(2))
    log_r = np.array([0.0, -25.0])
    growth = carry.absorb(np.eye(2), log_r, np.array([0.25, -1.0]), 25.0, 1, 0, CONTROL)
    np.testing.assert_allclose(carry.state.noise, [1.0, math.exp(25.0)])
    assert carry.statistics.largest_spread == 25.0
    # where rounding hides growth, its upper bound is counted
    np.testing.assert_allclose(growth, [0.0, math.log(math.exp(-25.0) + 2 * UNIT_ROUNDOFF)])


def test_ends_are_absorbed_by_their_rows():
    carry, front, back = filled(), filled(1), filled(2)
    back.statistics.largest_spread = 9.0
    back.statistics.exchange[1] = 4e-9
    back.state.frame = np.eye(4)[1:3]
    carry.absorb_ends(front, back)
    counted = carry.statistics
    np.testing.assert_array_equal(counted.error, [2.0, 4.0, 4.0])
    np.testing.assert_allclose(counted.exchange, np.tile([2e-9, 5e-9, 2e-9], (SAMPLES, 1)).T)
    np.testing.assert_allclose(counted.turnover, np.tile([2e-18] * 3, (SAMPLES, 1)).T)
    assert (counted.rejections, counted.largest_spread) == (21, 9.0)
    assert (counted.intervals, counted.trailing_intervals) == (10, 11)
    # two frames have no tilt
    wanted = Carry.begin(np.eye(4)[[0, 2, 1]], 2.5)
    wanted.state.split = 1
    assert_same(carry, wanted, STATE)
    carry = filled()
    carry.statistics.largest_spread = 10.0
    front = filled()
    front.update({"split": 3, "rate": 1.0, "since": np.ones(3)})
    carry.absorb_ends(front, None)
    assert carry.statistics.largest_spread == 10.0
    assert (carry.statistics.intervals, carry.statistics.trailing_intervals) == (10, 6)
    front.state.rate = 2.5
    assert_same(carry, front, STATE)
