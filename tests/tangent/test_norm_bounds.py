"""The bounds by norms and the search for overflow, number by number."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

from lyapy.cells.sparse import as_weight
from lyapy.networks.program import Assignment, Coefficient, Columns, Program, Term
from lyapy.tangent.interval import make_control
from lyapy.tangent.norm_bounds import NormBounds, _norm_bound, log_norm_bound
from lyapy.tangent.overflow import describe_overflow
from tests.support.made_programs import scaling

# a map of two units that scale their own direction, and that of its inverse
SCALING = scaling(2)
INVERTIBLE = SimpleNamespace(program=SCALING, inverse=True, inverse_program=SCALING)
INVERTIBLE.inverse_coefficients = lambda coefficients: 1.0 / coefficients


def test_growth_passes_the_tighter_bound():
    # three steps of the second tile; the largest and the smallest scale lie in different steps
    coefficients = np.array([[9.0, -9.0]] * 2 + [[2.0, 1.0], [1.0, -4.0], [0.5, 1.0]] + [[9.0] * 2])
    ends = np.array([2, 5, 6])
    bounds = NormBounds(INVERTIBLE)
    for upper, lower in ((0.25, -0.5), (-0.5, -0.75), (-1.0, 0.5)):
        rates = np.array([math.log(4.0) + upper, 0.0, math.log(0.5) - lower, -np.inf])
        growth = np.array([9.0 * rates, 3.0 * rates, 9.0 * rates])
        # the number of the first tile is 31: the second is a multiple of 32
        found = bounds.excess(coefficients, ends, growth, 31)
        assert found == pytest.approx(max(upper, lower))
    assert bounds.excess(coefficients, ends, growth, 32 - 3) == -math.inf
    # of more tiles the worst counts
    T = 40 * 32
    ends, many = np.arange(1, T + 1), np.ones((T, 2))
    growth = np.zeros((T, 2))
    growth[[32, 64, 65], 0] = 0.25, 0.125, 7.0
    assert bounds.excess(many, ends, growth) == pytest.approx(0.25)
    assert bounds.excess(many, ends, growth, 31) == pytest.approx(7.0)
    assert bounds.excess(many, ends, growth, 30) == pytest.approx(0.0, abs=1e-12)


def test_norms_of_blocks_are_joined():
    rng = np.random.default_rng(1)
    h, c, a = Columns(0, 2), Columns(2, 3), Columns(5, 4)
    A, B, P = rng.normal(size=(4, 2)), rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
    r, f, whole = Coefficient(0, 3), Coefficient(3, 3), Coefficient(6, 8)
    program = Program(
        (
            Assignment(a, (Term(h, False, A, None, None), Term(c, False, B, None, r))),
            Assignment(h, (Term(a, True, whole, None, None),)),
            Assignment(c, (Term(c, False, None, f, None), Term(h, True, P, f, r))),
            Assignment(c, (Term(c, False, None, r, None),)),
        ),
        5,
        9,
        ({},),
    )
    norms = {id(A): 2.0, id(B): 3.0, id(P): 5.0}
    coefficients = rng.normal(size=(6, 14))
    sizes = [np.abs(coefficients[:, part.entries]).max(axis=1) for part in (r, f)]
    J = np.linalg.norm(coefficients[:, 6:], axis=1)
    for t, found in enumerate(log_norm_bound(program, coefficients, norms)):
        r_size, f_size = (size[t] for size in sizes)
        # columns are those of h and of c; auxiliary rows are no part of J
        row_a = np.array([2.0, 3.0 * r_size])
        row_h = J[t] * row_a
        row_c = np.array([0.0, f_size + r_size]) + 5.0 * f_size * r_size * row_h
        assert found == pytest.approx(math.log(math.hypot(*row_h, *row_c)))


def test_nan_bounds_nothing():
    coefficients = np.array([[np.inf, 0.0], [np.nan, 1.0], [0.0, 0.0], [3.0, -4.0]])
    found = log_norm_bound(SCALING, coefficients)
    np.testing.assert_allclose(found, [np.inf, np.inf, math.log(1e-150), math.log(4.0)])


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (40, 7), (7, 40)])
def test_the_bound_of_a_weight_is_close(shape):
    matrix = np.random.default_rng(4).normal(size=shape)
    exact = np.linalg.norm(matrix, 2)
    assert exact * (1 - 1e-14) <= _norm_bound(matrix) <= 1.01 * exact
    assert _norm_bound(0.0 * matrix) == 0.0


@pytest.mark.parametrize("n", [3, 100, 256])
def test_four_squares_bound_a_norm(n):
    # ‖1‖ = 1 ≤ n^(1/64)
    assert _norm_bound(np.eye(n)) == pytest.approx(n ** (1 / 64), rel=1e-12)
    assert _norm_bound(np.eye(n)[:, : n // 2]) == pytest.approx((n // 2) ** (1 / 64), rel=1e-12)


def test_larger_norms_are_bounded_by_sums():
    n = 257
    assert _norm_bound(np.eye(n)) == 1.0
    corner = np.zeros((n, n + 1))
    corner[0] = corner[:, 0] = 1.0
    # a row and a column of ones: their Frobenius norm is less than that of their sums
    assert _norm_bound(corner) == pytest.approx(math.sqrt(2 * n))
    two = np.eye(n)
    two[0, :3] = 1.0
    assert _norm_bound(two) == pytest.approx(math.sqrt(3 * 2))


def test_norms_of_sparse_matrices_are_bounded():
    matrix = scipy.sparse.csr_array(np.array([[1.0, -2.0, 0.0], [0.0, 4.0, 0.0]]))
    assert _norm_bound(as_weight(matrix, "U", (2, 3))) == pytest.approx(math.sqrt(4.0 * 6.0))
    assert _norm_bound(as_weight(0.01 * matrix, "U", (2, 3))) == pytest.approx(0.01 * math.sqrt(24))
    assert _norm_bound(as_weight(0.0 * matrix, "U", (2, 3))) == 0.0


def overflow(coefficients, interval="auto", frame=None):
    frame = np.eye(2) if frame is None else frame
    control = make_control(interval, 1e-8, 64)
    found = describe_overflow(SCALING, np.asarray(coefficients), frame, 100, control)
    return found.removeprefix("deviation vectors ")


def test_the_step_of_an_overflow_is_named():
    steps = np.full((8, 2), 1.0)
    steps[5, 0] = np.inf
    steps[6, 1] = np.nan
    assert "the Jacobian is not finite in step 105" in overflow(steps)
    # the vector itself, its square, and neither
    steps = np.full((8, 2), 1e100)
    assert overflow(steps[:3], 3).startswith("overflow in step 101; use a shorter")
    assert overflow(steps[:4], 4).startswith("overflow in step 103; use a shorter")
    assert overflow(steps[:1], 4).startswith("overflow in steps 100 to 100; use")
    # the squares of a row are summed
    large = np.full((1, 2), math.sqrt(1.2e308))
    assert overflow(large, 4, np.ones((1, 2))).startswith("overflow in step 100;")
    # with a QR in every step, or in every second
    steps[6] = 1e160
    assert overflow(steps[:7]).startswith("overflow in step 106: one Jacobian")
    assert overflow(steps[:7], 1).startswith("overflow in step 106: one Jacobian")
    steps = np.array([[1e100], [1e50]] * 3 + [[1e100], [1e60]]) * np.ones(2)
    assert overflow(steps, 2).startswith("overflow in step 107; use a shorter")
    assert overflow(steps[:6], 2).startswith("overflow in steps 100 to 105; use")
