"""The readable engines, interval by interval."""

import math

import numpy as np
import pytest
import scipy.sparse

from lyapy.arrays import UNIT_ROUNDOFF
from lyapy.cells.sparse import as_weight
from lyapy.networks.apply import absolute, tangent_step
from lyapy.networks.program import Assignment, Coefficient, Columns, Program, Term
from lyapy.tangent import reference as array
from lyapy.tangent.graded.replicas import made_replicas
from lyapy.tangent.interval import dual_sign, make_control, next_interval, next_rate
from lyapy.tangent.qr import orthonormalize, orthonormalize_with
from lyapy.tangent.reference import ArrayTangent, DecoupledTangent, FactorTangent
from lyapy.tangent.state import Carry
from tests.conftest import qr_growth
from tests.support.made_programs import map_of, scaling

CONTROL = make_control("auto", 1e-8, 64)


def as_sparse(matrix):
    return as_weight(scipy.sparse.csr_array(matrix), "U", matrix.shape)


def jacobians(steps, D, seed=1):
    return np.random.default_rng(seed).normal(size=(steps, D, D))


def advance(J, carry=None, control=CONTROL, ends=None, alive=None, engine=ArrayTangent):
    T, D, _ = J.shape
    carry = carry or Carry.begin(np.eye(D))
    ends = np.array([T] if ends is None else ends)
    alive = np.full(len(ends), len(carry.state.frame)) if alive is None else np.asarray(alive)
    tangent = engine(map_of(D), len(carry.state.frame))
    return tangent.advance(J.reshape(T, -1), ends, alive, carry, control), carry


def counts(carry):
    counted = carry.statistics
    return counted.intervals, counted.rejections, carry.state.graded_steps


@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_orthonormal_rows_and_what_the_factor_makes_of_a_vector(size):
    frame, vector = np.random.default_rng(2).normal(size=(3, 5)), np.array([1.0, -1.0, 1.0])
    frame *= size
    rows, log_r, duals = orthonormalize_with(vector, frame)
    R = rows @ frame.T
    np.testing.assert_allclose(R, np.triu(R), atol=1e-14)
    np.testing.assert_allclose(log_r, np.log(np.diag(R)), rtol=1e-13)
    np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(R.T @ duals, vector, rtol=1e-12)
    assert rows.flags.c_contiguous
    for found, wanted in zip(orthonormalize(frame), (rows, log_r), strict=True):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(orthonormalize_with(np.zeros(3), frame)[2], np.zeros(3))
    # a row that vanishes: those behind it are not known
    frame = np.array([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    _, log_r, duals = orthonormalize_with(vector, frame)
    np.testing.assert_array_equal(log_r[:2], [math.log(2.0), -math.inf])
    np.testing.assert_array_equal(duals, [0.5, 0.0, 0.0])
    for value in (math.inf, math.nan):
        frame[2, 1] = value
        rows, log_r, duals = orthonormalize_with(vector, frame)
        assert rows is frame and duals is vector
        np.testing.assert_array_equal(log_r, [math.inf] * 3)


def test_many_steps_are_taken_at_once():
    J, frames = jacobians(4, 3), np.random.default_rng(3).normal(size=(4, 2, 3))
    found = tangent_step(map_of(3), J.reshape(4, -1), frames[0])
    np.testing.assert_allclose(found, frames[0] @ J.swapaxes(1, 2))
    found = tangent_step(map_of(3), J.reshape(4, -1), frames)
    np.testing.assert_allclose(found, frames @ J.swapaxes(1, 2))
    # one step of many frames
    found = tangent_step(map_of(3), J[0].reshape(-1), frames)
    np.testing.assert_allclose(found, frames @ J[0].T)


def test_the_bound_of_a_program_has_its_absolute_weights():
    state, dense = Columns(0, 2), np.array([[-1.0, 2.0], [3.0, -4.0]])
    given, factor = Coefficient(0, 4), Coefficient(4, 2)
    terms = [Term(state, False, m, None, factor) for m in (dense, as_sparse(dense), None, given)]
    bound = absolute(Program((Assignment(state, tuple(terms)),), 2, 2, ({},)))
    matrices = [term.matrix for term in bound.assignments[0].terms]
    np.testing.assert_array_equal(matrices[0], np.abs(dense))
    np.testing.assert_array_equal(matrices[1].values, [1.0, 2.0, 3.0, 4.0])
    assert matrices[2] is None and matrices[3] is given
    assert all(term.right is factor for term in bound.assignments[0].terms)


def test_tiles_and_their_living_directions():
    J = jacobians(23, 4)
    growth, carry = advance(J, ends=[5, 9, 20, 23], alive=[4, 2, 2, 0])
    whole, _ = advance(J[:5])
    np.testing.assert_allclose(growth[0], whole[0], rtol=1e-12)
    np.testing.assert_allclose(whole[0], qr_growth(J[:5], np.eye(4)), rtol=1e-10)
    both = growth[:3, :2].sum(axis=0)
    np.testing.assert_allclose(both, qr_growth(J[:20], np.eye(4)[:2]), rtol=1e-10)
    assert np.isneginf(growth[1:3, 2:]).all() and np.isneginf(growth[3]).all()
    assert carry.statistics.rejections == 0


def test_intervals_follow_the_spread():
    """Of a diagonal map it is known: two nats a step."""
    J = np.broadcast_to(np.diag([math.e, 1.0, 1.0 / math.e]), (300, 3, 3))
    growth, carry = advance(J, ends=[100, 164, 300])
    np.testing.assert_allclose(growth, [[t, 0.0, -t] for t in (100, 64, 136)], atol=1e-12)
    rate, intervals = 40.0, 0
    for tile in (100, 64, 136):
        while tile:
            steps = next_interval(rate, tile, CONTROL.limit)
            rate = next_rate(rate, 2.0 * steps, steps)
            intervals, tile = intervals + 1, tile - steps
    assert counts(carry) == (intervals, 0, 0)
    np.testing.assert_allclose(carry.state.rate, rate)
    assert carry.statistics.largest_spread == pytest.approx(16.0)
    np.testing.assert_array_equal(carry.state.frame, np.eye(3))


def test_an_interval_that_overshoots_is_halved_from_where_it_began():
    J = np.broadcast_to(np.diag([math.e, 1.0 / math.e]), (8, 2, 2))
    carry = Carry.begin(np.eye(2), 0.01)
    J = np.concatenate([J] * 8)
    growth, _ = advance(J, carry)
    np.testing.assert_allclose(growth, [[64.0, -64.0]], rtol=1e-12)
    # 64, 32 and 16 steps of two nats
    assert (carry.statistics.rejections, carry.statistics.intervals) == (3, 8)
    # a fixed one is not
    carry = Carry.begin(np.eye(2), 0.01)
    growth, _ = advance(J, carry, make_control(25, 1e-8, 64))
    assert (carry.statistics.rejections, carry.statistics.intervals) == (0, 3)
    assert carry.statistics.largest_spread == pytest.approx(50.0)


def test_steps_that_spread_too_far_alone_are_graded():
    steep = np.broadcast_to(np.diag([1.0, 1e-9]), (5, 2, 2))
    growth, carry = advance(steep, Carry.begin(np.eye(2), 21.0))
    assert counts(carry) == (5, 0, 5)
    np.testing.assert_allclose(growth, [[0.0, 5 * math.log(1e-9)]])
    assert carry.state.rate == pytest.approx(math.log(1e9))
    # as after attempts at an interval that were rejected
    _, carry = advance(steep, Carry.begin(np.eye(2), 0.01))
    assert counts(carry) == (5, 2, 5)
    assert carry.statistics.largest_spread < 1.0
    # with slack they are not
    _, carry = advance(steep, control=CONTROL._replace(slack=3.0))
    assert (carry.state.graded_steps, carry.statistics.intervals) == (0, 5)
    # after one that is asked for all are
    J = jacobians(5, 2)
    growth, carry = advance(J, Carry.begin(np.eye(2), 3.0), CONTROL._replace(graded=True))
    np.testing.assert_allclose(growth[0], qr_growth(J, np.eye(2)))
    assert carry.state.graded_steps == 5
    steep = J * np.array([1.0, 1e-12])[:, None]
    growth, carry = advance(steep, Carry.begin(np.eye(2), 21.0))
    assert carry.state.graded_steps == 5
    np.testing.assert_allclose(growth[0], qr_growth(steep, np.eye(2)), rtol=1e-4)
    # so is the next of a frame that one has tilted
    carry = Carry.begin(np.eye(2), 0.01)
    carry.state.tilt = np.array([[[0.0, 0.0], [0.5, 0.0]]])
    carry.state.replicas = made_replicas(np.eye(2), carry.state.tilt, np.zeros(2), 0)
    advance(np.broadcast_to(np.eye(2), (5, 2, 2)), carry)
    assert carry.state.graded_steps == 5


def test_rounding_hidden_behind_the_diagonal_is_seen():
    """R = [[1, x], [0, 1]]: its inverse is x, its spread is zero."""
    for x, graded in ((1e9, 0), (1e12, 1)):
        J = np.array([[[1.0, x], [0.0, 1.0]]])
        _, carry = advance(J)
        assert carry.state.graded_steps == graded
    _, carry = advance(np.array([[[1.0, 1e6], [0.0, 1.0]]]))
    signs = dual_sign(0), dual_sign(1)
    dual = abs(signs[1] - 1e6 * signs[0])
    assert carry.state.noise[1] == pytest.approx(dual)


@pytest.mark.parametrize(("fixed", "graded"), [(0, 1), (1, 1), (2, 0)])
def test_a_growth_of_zero_is_rounding_where_it_is_not_dead(fixed, graded):
    control = make_control(fixed or "auto", 1e-8, 64)
    growth, carry = advance(np.array([np.diag([1.0, 0.0])]), control=control)
    assert carry.state.graded_steps == graded
    assert growth[0, 0] == 0.0 and growth[0, 1] < -30.0


@pytest.mark.parametrize(("size", "interval"), [(1e200, 2), (1.5e308, 1), (1.5e308, "auto")])
def test_an_overflow_is_not_a_number(size, interval):
    J = np.full((4, 4, 4), size)
    carry = Carry.begin(np.kron([[0.5, 0.5], [0.5, -0.5]], [[1.0, 1.0], [1.0, -1.0]]))
    with np.errstate(over="ignore", invalid="ignore"):
        growth, _ = advance(J, carry, make_control(interval, 1e-8, 64), ends=[2, 4])
    assert growth.shape == (2, 4) and np.isnan(growth).all()


def test_the_engine_that_keeps_factors():
    J = jacobians(12, 4)
    tangent = FactorTangent(map_of(4), 3)
    frame = np.linalg.qr(J[0])[0][:3]
    carry = Carry.begin(frame.copy())
    tangent.advance(J.reshape(12, -1), np.array([12]), np.array([3]), carry, CONTROL)
    product = np.linalg.multi_dot([*J[::-1], frame.T])
    found = tangent.take_factor()
    np.testing.assert_allclose(carry.state.frame.T @ found, product, rtol=1e-9)
    np.testing.assert_array_equal(found, np.triu(found))
    np.testing.assert_array_equal(tangent.take_factor(), np.eye(3))
    # dead directions have no factor
    tangent.advance(J.reshape(12, -1), np.array([12]), np.array([2]), carry, CONTROL)
    other = FactorTangent(map_of(4), 3)
    other.restore(tangent.save())
    found = tangent.take_factor()
    np.testing.assert_array_equal(other.take_factor(), found)
    assert found[1, 1] > 0.0 and not found[2].any() and not found[:, 2].any()


def test_factors_of_graded_steps_are_multiplied_step_by_step():
    """The rows of two such steps would be parallel to all digits."""
    turn = np.linalg.qr(jacobians(1, 2)[0])[0]
    J = np.broadcast_to(turn @ np.diag([1.0, 1e-9]) @ turn.T, (6, 2, 2))
    tangent, carry = FactorTangent(map_of(2), 2), Carry.begin(np.eye(2), 21.0)
    ends, alive = np.array([6]), np.array([2])
    growth = tangent.advance(J.reshape(6, -1), ends, alive, carry, CONTROL)
    assert carry.state.graded_steps == 6
    np.testing.assert_allclose(np.log(np.diag(tangent.take_factor())), growth[0], atol=1e-5)


def test_units_that_do_not_read_one_another():
    values = np.array([[2.0, -0.5, 4.0], [2.0, 0.5, 0.0], [-2.0, 0.5, 3.0], [2.0, 8.0, 1.0]])
    carry = Carry.begin(np.eye(3))
    tangent = DecoupledTangent(scaling(3), 3)
    growth = tangent.advance(values, np.array([1, 4]), np.array([3, 3]), carry, CONTROL)
    log_2 = math.log(2.0)
    np.testing.assert_allclose(growth, [[log_2, -log_2, 2 * log_2], [3 * log_2, log_2, -math.inf]])
    np.testing.assert_array_equal(np.abs(carry.state.frame), np.eye(3))
    np.testing.assert_array_equal(carry.statistics.error, [4 * UNIT_ROUNDOFF] * 3)
    assert counts(carry) == (2, 0, 0) and carry.statistics.largest_spread == 0.0
    # of a part of the frame likewise
    few = DecoupledTangent(scaling(3), 2)
    carry = Carry.begin(np.eye(3)[:2])
    found = few.advance(values, np.array([1, 4]), np.array([2, 2]), carry, CONTROL)
    np.testing.assert_array_equal(found, growth[:, :2])
    # their R is diagonal, and goes on where it was saved
    other = DecoupledTangent(scaling(3), 2)
    other.restore(few.save())
    for each in (few, other):
        np.testing.assert_allclose(each.take_factor(), np.diag([16.0, 1.0]))
        np.testing.assert_array_equal(each.take_factor(), np.eye(2))


def test_rounding_is_measured_by_signs(monkeypatch):
    given = []

    def record(vector, frame):
        given.append(vector)
        return orthonormalize_with(vector, frame)

    monkeypatch.setattr(array, "orthonormalize_with", record)
    advance(jacobians(1, 4), Carry.begin(np.eye(4)[:3]))
    np.testing.assert_array_equal(given[0], [dual_sign(i) for i in range(3)])
