"""The state that a trajectory carries from interval to interval, number by number."""

import math

import numpy as np
import pytest

from lyapy.arrays import UNIT_ROUNDOFF
from lyapy.tangent import state as module
from lyapy.tangent.graded.replicas import SAMPLES, disturbed, exchanged, made_replicas, tilts_of
from lyapy.tangent.graded.run import GradedRun
from lyapy.tangent.interval import SLACK, UNDERFLOW, eliminated_growth, make_control
from lyapy.tangent.state import Carry

CONTROL = make_control("auto", 1e-8, 64)
STATE = ("frame", "rate", "split", "replicas", "tilt", "since", "noise", "graded_steps", "vanished")


def filled(k=3, D=4):
    carry = Carry.begin(np.eye(D)[:k], 2.5)
    carry.update(
        {
            "split": 2,
            "replicas": np.tile(np.eye(D)[:k], (SAMPLES, 1, 1)),
            "tilt": np.tril(np.full((SAMPLES, k, k), 1e-12), -1),
            "since": np.arange(k) / 2.0,
            "noise": np.arange(k) + 3.0,
            "graded_steps": 11,
            "vanished": True,
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
        "replicas": np.zeros((SAMPLES, 0, 4)),
        "tilt": np.zeros((SAMPLES, 0, 0)),
        **dict.fromkeys(("since", "noise", "error"), np.zeros(3)),
        **dict.fromkeys(("exchange", "turnover"), np.zeros((3, SAMPLES))),
        **dict.fromkeys(("graded_steps", "intervals", "trailing_intervals"), 0),
        **dict.fromkeys(("rejections", "repeated"), 0),
        **dict.fromkeys(("largest_spread", "frame_error"), 0.0),
        "norm_excess": -math.inf,
        "vanished": False,
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


def test_a_carry_saves_copies_of_all_its_fields():
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
    assert_same(other, carry, ("frame", "replicas", "tilt", "since", "noise", "graded_steps"))
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
    # the first step is an ordinary one
    assert not Carry.begin(np.eye(3)).state.follows_tilt(CONTROL)


@pytest.mark.parametrize(("lost", "error"), [(-math.inf, math.inf), (-140.0, math.exp(103.0))])
def test_growth_after_a_vector_of_rounding_is_as_unknown(lost, error):
    """Such a vector points anywhere, which decides on the growth of those after it."""
    carry = Carry.begin(np.eye(4))
    log_r = np.array([0.0, -2.0, lost, -1.0])
    carry.absorb(np.eye(4), log_r, np.zeros(4), 10.0, 5, 0, CONTROL._replace(fixed=5))
    assert carry.statistics.error[:2].max() < 1e-14
    assert carry.statistics.error[2] == carry.statistics.error[3] >= error


def test_graded_steps_go_on_until_the_spread_has_fallen():
    state = filled().state
    state.since[:], state.vanished = 0.0, False
    for rate, follows in ((0.94 * CONTROL.limit, False), (0.96 * CONTROL.limit, True)):
        state.rate = rate
        assert state.follows_tilt(CONTROL) == follows
        assert not state.follows_tilt(CONTROL._replace(fixed=2))
    # after an ordinary interval the loop decides
    state.since[1] = -1.0
    assert not state.follows_tilt(CONTROL)


class Scripted:
    """Runs of graded steps with scripted growth, and a list of the arguments they get."""

    def __init__(self, *log_r, steps=3, error=1e-12):
        self.calls, self.log_r, self.steps = [], [*map(np.array, log_r)], steps
        self.error = error

    def __call__(self, coefficients, scales, frame, control, rate):
        self.calls.append((coefficients, scales, frame.copy(), control, rate))
        log_r, k = self.log_r.pop(0), len(frame)
        error = np.full(k, self.error)
        return GradedRun(-frame, log_r, log_r + 0.5, error, self.steps, 7.0, 9.0, 1.0)


COEFFICIENTS = np.arange(1.0, 11.0)[:, None]


def test_no_step_is_ordinary_while_vectors_outgrow_others_after_one_has_vanished():
    """A share smaller than rounding leaves decides when a vector follows the one that grows."""
    vanishing, outgrown, ordered = [0.0, -5.0, -math.inf], [0.0, -5.0, 0.0], [0.0, -5.0, -2.0]
    run = Scripted(*(each for each in (vanishing, outgrown, ordered) for _ in range(2)))
    carry = Carry.begin(np.eye(3))
    follows = []
    for _ in range(3):
        carry.take_graded_steps(run, COEFFICIENTS, 3, 0.0, CONTROL)
        follows.append(carry.state.follows_tilt(CONTROL))
        # a fork goes on in the same way
        assert carry.fork(7.0).state.vanished == follows[-1]
    assert follows == [True, True, False]
    assert [call[3].graded for call in run.calls[::2]] == [False, True, True]
    assert not carry.state.follows_tilt(CONTROL._replace(fixed=2))


def test_graded_steps_move_the_living_rows():
    run = Scripted([0.0, -1.0], [1e-3, -1.0], [0.0, -1.0], [0.0, -1.0])
    carry = filled()
    carry.state.vanished = False
    state, counted = carry.state, carry.statistics
    growth, steps = carry.take_graded_steps(run, COEFFICIENTS, 2, 30.0, CONTROL)
    plain, replica = run.calls
    np.testing.assert_array_equal(plain[0], COEFFICIENTS)
    np.testing.assert_array_equal(plain[1], 1.0)
    np.testing.assert_array_equal(plain[2], np.eye(4)[:2])
    assert plain[3:] == (CONTROL, 30.0)
    # the replica takes as many steps, whatever it spreads
    moved, scales = disturbed(COEFFICIENTS[:3], 11, 0)
    np.testing.assert_array_equal(replica[0], moved)
    np.testing.assert_array_equal(replica[1], scales)
    assert replica[3:] == (CONTROL._replace(graded=True), 30.0)
    # intervals came in between, so the tilt is what they left of it
    settled = module.settled_tilt(
        filled().state.tilt[:, :2, :2], np.arange(2) / 2.0, np.array([3.0, 4.0]), 11
    )
    np.testing.assert_array_equal(
        replica[2], made_replicas(np.eye(4)[:2], settled, np.array([3.0, 4.0]), 11)[0]
    )
    np.testing.assert_array_equal(growth, [0.5, -0.5])
    assert steps == 3
    np.testing.assert_array_equal(state.frame, np.diag([-1.0, -1.0, 1.0, 0.0])[:3])
    np.testing.assert_array_equal(state.replicas[0], -replica[2])
    np.testing.assert_array_equal(state.tilt, tilts_of(state.frame[:2], state.replicas))
    np.testing.assert_allclose(counted.exchange[:, 0], [1e-3 + 1e-9, 1e-9, 1e-9])
    np.testing.assert_allclose(counted.turnover[:, 0], [1e-6 + 1e-18, 1e-18, 1e-18])
    np.testing.assert_allclose(counted.error, [1.0 + 1e-12, 2.0 + 1e-12, 3.0])
    assert (state.graded_steps, counted.intervals, counted.rejections) == (14, 8, 7)
    assert not state.since.any() and not state.noise.any()
    assert (state.rate, counted.largest_spread) == (7.0, 9.0)
    # none since, so the replica goes on as it is, with another disturbance
    before = state.replicas.copy()
    carry.take_graded_steps(run, COEFFICIENTS[:3], 2, 0.0, CONTROL)
    np.testing.assert_array_equal(run.calls[3][2], before[0])
    np.testing.assert_array_equal(run.calls[3][1], disturbed(COEFFICIENTS[:3], 14, 0)[1])
    assert run.calls[2][4] == 7.0


def test_the_first_graded_step_begins_with_what_intervals_left():
    run = Scripted([0.0] * 3, [0.0] * 3)
    carry = Carry.begin(np.eye(3))
    carry.state.noise[:] = 1e6
    carry.take_graded_steps(run, COEFFICIENTS, 3, math.inf, CONTROL)
    none = np.zeros((SAMPLES, 0, 0))
    settled = module.settled_tilt(none, np.zeros(3), np.full(3, 1e6), 0)
    assert np.abs(settled).max() > 1e-11
    np.testing.assert_array_equal(
        run.calls[1][2], made_replicas(np.eye(3), settled, np.full(3, 1e6), 0)[0]
    )
    # no spread leaves the rate infinite for good
    assert run.calls[0][4] == max(40.0, 2.0 * CONTROL.limit)


@pytest.mark.parametrize(("D", "known"), [(4, False), (5, True)])
def test_growth_that_is_not_exchanged_but_differs_is_unknown_in_a_full_frame(D, known):
    run, carry = Scripted(np.zeros(4), [0.0, 3.0, -1.0, 0.0]), Carry.begin(np.eye(D)[:4])
    carry.take_graded_steps(run, COEFFICIENTS, 4, 0.0, CONTROL)
    assert np.isfinite(carry.statistics.error[1]) == known


@pytest.mark.parametrize("second", [-math.inf, -2.0])
def test_hidden_growth_next_to_a_vanished_vector_is_bounded_by_the_largest(second):
    log_r = [0.0, second, -3.0]
    run = Scripted(log_r, log_r, error=[1e-12, math.inf, math.inf])
    growth, _ = Carry.begin(np.eye(3)).take_graded_steps(run, COEFFICIENTS, 3, 0.0, CONTROL)
    wanted = [0.5, second + 0.5, 0.5 + SLACK if second == -math.inf else -2.5]
    np.testing.assert_array_equal(growth, wanted)


@pytest.mark.parametrize("largest", [math.inf, math.nan])
def test_graded_steps_that_overflow_change_nothing(largest):
    carry = filled()
    run = Scripted([largest, 0.0])
    growth, _ = carry.take_graded_steps(run, COEFFICIENTS, 2, 30.0, CONTROL)
    assert growth.shape == (2,) and np.isnan(growth).all()
    assert_same(carry, filled())


@pytest.mark.parametrize(
    ("log_u", "size", "growth", "error"),
    [
        (-1.0, 1.0, -1.0, UNIT_ROUNDOFF * math.exp(2.0)),
        (-30.0, 1.0, -30.0, UNIT_ROUNDOFF * math.exp(31.0)),
        # below a tenth of a nat's rounding there is nothing but a bound
        (-36.0, 1.0, math.log(math.exp(-36.0) + 4.0 * UNIT_ROUNDOFF * math.e), math.inf),
        (-math.inf, 0.0, math.log(4.0 * UNIT_ROUNDOFF), math.inf),
        # numbers that have underflowed, or may have lost digits
        (-math.inf, -math.inf, UNDERFLOW, math.inf),
        (-701.0, -701.0, UNDERFLOW, math.inf),
    ],
)
def test_the_growth_of_a_factorization_is_counted(log_u, size, growth, error):
    floor = math.log(4.0 * UNIT_ROUNDOFF)
    found = eliminated_growth(log_u, size, floor)
    assert found.growth == pytest.approx(growth)
    assert found.error == pytest.approx(error)


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
    carry = Carry.begin(np.eye(3))
    log_r, duals = np.array([0.0, -25.0, -1.0]), np.array([0.25, -1.0, 0.5])
    growth = carry.absorb(np.eye(3), log_r, duals, 25.0, 1, 0, CONTROL)
    # noise that leaves digits does not spoil the vectors after it
    np.testing.assert_allclose(carry.state.noise, [1.0, math.exp(25.0), math.exp(1.0)])
    assert carry.statistics.largest_spread == 25.0
    # where rounding hides growth, its upper bound is counted
    hidden = math.log(math.exp(-25.0) + 3 * UNIT_ROUNDOFF)
    np.testing.assert_allclose(growth, [0.0, hidden, -1.0])


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
