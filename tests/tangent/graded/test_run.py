"""Runs of graded steps, number by number, in the readable and in the compiled engine."""

import math

import numpy as np
import pytest

from lyapy.arrays import UNIT_ROUNDOFF
from lyapy.tangent.compiled import CompiledTangent
from lyapy.tangent.graded.elimination import eliminate, reflect
from lyapy.tangent.graded.run import graded_run, repeat_by_qr, well_conditioned
from lyapy.tangent.interval import UNDERFLOW, make_control
from tests.support.made_programs import linear, scaling

D = 4
# of which the sizes of a stage's rows may use a hundredth
LIMIT = math.log(1e4)
CONTROL = make_control("auto", 1e-8, 64)._replace(limit=LIMIT, graded=True)


def product_of(*matrices):
    whole = np.linalg.multi_dot([*matrices[::-1], np.eye(D)])
    return linear(whole, tuple(map(linear, matrices)))


def scaled(exponents, seed):
    rows = np.linalg.qr(np.random.default_rng(seed).normal(size=(D, D)))[0]
    return 10.0 ** np.array(exponents)[:, None] * rows


def plain_qr(image):
    columns, upper = np.linalg.qr(image.T)
    signs = np.sign(np.diag(upper))
    return (columns * signs).T, np.log(np.abs(np.diag(upper)))


def in_numpy(program, *arguments):
    return graded_run(program, *arguments)


def compiled(program, coefficients, scales, frame, *rest):
    tangent = CompiledTangent(program, len(frame))
    return tangent._advance_graded(coefficients, scales, frame, *rest)


ENGINES = pytest.mark.parametrize("engine", [in_numpy, compiled])


def one_step(engine, program, frame, control=CONTROL, scale=1.0):
    return engine(program, np.ones((1, 1)), np.array([scale]), frame, control, 40.0)


@ENGINES
@pytest.mark.parametrize("k", [1, 3, D])
def test_a_map_without_stages_takes_one_qr(engine, k):
    matrix = scaled([0, -3, -1, -2], 1)
    found = one_step(engine, linear(matrix), np.eye(D)[:k])
    frame, log_r = plain_qr(matrix.T[:k])
    np.testing.assert_allclose(found.log_r, log_r, rtol=1e-12)
    np.testing.assert_allclose(np.abs(found.frame), np.abs(frame), atol=1e-12)
    np.testing.assert_allclose(found.frame @ found.frame.T, np.eye(k), atol=1e-14)
    np.testing.assert_array_equal(found.growth, found.log_r)
    assert found.steps == 1 and well_conditioned(found)
    assert np.all(found.error >= 0.99 * UNIT_ROUNDOFF) and found.error.max() < 1e-12


@ENGINES
def test_growth_of_stages_is_joined(engine):
    first, second = scaled([0, -4, -2, -6], 1), scaled([-5, 0, -1, -3], 2)
    found = one_step(engine, product_of(first, second), np.eye(D))
    middle, log_first = plain_qr(first.T)
    frame, log_second = plain_qr(middle @ second.T)
    np.testing.assert_allclose(found.log_r, log_first + log_second, rtol=1e-9)
    np.testing.assert_allclose(np.abs(found.frame), np.abs(frame), atol=1e-9)


@pytest.mark.parametrize(("ratio", "factorizations"), [(90.0, 1), (110.0, 2)])
def test_a_stage_of_like_rows_waits_for_the_next(ratio, factorizations):
    calls = []

    def factorize(image, sizes):
        calls.append(sizes)
        return eliminate(image, sizes)

    like, second = np.diag([1.0, ratio, 1.0, 1.0]), scaled([0, -3, -1, -2], 2)
    arguments = np.ones((1, 1)), np.ones(1), np.eye(D), CONTROL, 40.0
    found = graded_run(product_of(like, second), *arguments, factorize)
    assert len(calls) == factorizations
    # its growth is not lost
    np.testing.assert_allclose(found.log_r, plain_qr((second @ like).T)[1], rtol=1e-9)
    # a step has a factorization in any case, after which a last stage may wait, too
    graded_run(product_of(np.eye(D), like), *arguments, factorize)
    assert len(calls) == factorizations + 1
    graded_run(product_of(second, like), *arguments, factorize)
    assert len(calls) == 2 * factorizations + 1


@ENGINES
def test_a_scale_is_not_seen_but_by_rounding(engine):
    program = product_of(np.diag([1.0, 2.0, 1.0, 1.0]), scaled([0, -4, -2, -6], 1))
    coefficients, frame = np.ones((20, 1)), np.eye(D)[:3]
    plain = engine(program, coefficients, np.ones(20), frame, CONTROL, 40.0)
    other = engine(program, coefficients, np.full(20, 1.7), frame, CONTROL, 40.0)
    np.testing.assert_allclose(other.log_r, plain.log_r, rtol=1e-12)
    np.testing.assert_allclose(other.growth, plain.growth, rtol=1e-12)
    np.testing.assert_allclose(other.frame, plain.frame, atol=1e-12)
    assert not np.array_equal(other.log_r, plain.log_r)


@pytest.mark.parametrize("stages", [1, 3])
def test_both_engines_agree(stages):
    program = product_of(*(scaled([0, -4, -2, -6], seed) for seed in range(stages)))
    scales = np.linspace(1.0, 2.0, 30)
    arguments = program, np.ones((30, 1)), scales, np.eye(D)[:3], CONTROL, 40.0
    one, two = in_numpy(*arguments), compiled(*arguments)
    for name in ("frame", "log_r", "growth", "error", "rate", "spread", "dual"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-6, atol=1e-12)
    assert one.steps == two.steps == 30


@ENGINES
def test_a_run_ends_where_ordinary_steps_do(engine):
    """The expected spread fades by a twentieth in a step, and faster where far less is found."""
    control = CONTROL._replace(limit=18.0, graded=False)
    matrix = np.diag([1.0, 1.0, 1.0, 1e-6])
    found = engine(linear(matrix), np.ones((50, 1)), np.ones(50), np.eye(D), control, 20.0)
    assert found.steps == 4
    assert found.rate == pytest.approx(20.0 * 0.95**4)
    steep = np.diag([1.0, 1.0, 1.0, 1e-8])
    found = engine(linear(steep), np.ones((50, 1)), np.ones(50), np.eye(D), control, 20.0)
    assert found.steps == 50
    assert found.rate == pytest.approx(math.log(1e8))
    # of the living, that is
    dead = np.diag([1.0, 1.0, 1e-2, 0.0])
    found = engine(linear(dead), np.ones((50, 1)), np.ones(50), np.eye(D), control, 20.0)
    assert found.steps == 1 and found.rate == 10.0


@ENGINES
def test_a_row_of_zeros_has_underflowed(engine):
    """Dead directions are not among the rows."""
    found = one_step(engine, linear(np.diag([2.0, 1.0, 0.5, 0.0])), np.eye(D))
    np.testing.assert_array_equal(found.log_r, [*np.log([2.0, 1.0, 0.5]), -math.inf])
    np.testing.assert_array_equal(found.growth, [*found.log_r[:3], UNDERFLOW])
    np.testing.assert_array_equal(np.isfinite(found.error), [True, True, True, False])


def swapping(closed):
    """Return a map that forgets coordinate 1 in every step, and coordinate 0 if it is closed."""
    return np.array([[1.0 - closed, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.5]])


@ENGINES
def test_a_vector_that_vanishes_grows_as_the_fastest_one_does_afterwards(engine):
    """The second is in coordinate 1 at first, which all steps forget: it takes over the third."""
    coefficients = np.ones((30, 1))
    found = engine(linear(swapping(0.0)), coefficients, np.ones(30), np.eye(3), CONTROL, 40.0)
    np.testing.assert_allclose(found.growth[:2], [0.0, UNDERFLOW + 29 * math.log(0.5)], atol=2.0)
    assert found.growth[2] < UNDERFLOW


@ENGINES
def test_growth_of_rounding_alone_is_counted_as_its_bound(engine):
    """Two rows are equal but for the last bit, which no elimination resolves."""
    matrix = np.eye(D)
    matrix[3] = matrix[2] = [0.3, 0.2, 0.1, 0.7]
    matrix[3, 3] += 1e-16
    found = one_step(engine, linear(matrix), np.linalg.qr(scaled([0] * D, 5))[0])
    assert found.error[3] == math.inf
    assert math.log(UNIT_ROUNDOFF) - 5.0 < found.growth[3] < math.log(100.0 * UNIT_ROUNDOFF)
    assert np.all(found.error[:3] < 1e-12)


@ENGINES
@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_overflow_is_not_a_number(engine, value):
    matrix = np.eye(D)
    matrix[1, 2] = value
    with np.errstate(invalid="ignore"):
        assert np.isnan(one_step(engine, linear(matrix), np.eye(D)).log_r).all()


def wilkinson(k):
    """Return the matrix whose elimination doubles at each vector, in the order of the vectors."""
    matrix = np.eye(k) - np.tril(np.ones((k, k)), -1)
    matrix[:, -1] = 1.0
    return matrix


@ENGINES
def test_where_elimination_loses_digits_the_run_is_repeated_by_qr(engine):
    k = 60
    matrix = wilkinson(k)
    arguments = linear(matrix), np.ones((1, 1)), np.ones(1), np.eye(k), CONTROL, 40.0
    plain = graded_run(*arguments)
    assert not well_conditioned(plain)
    found = repeat_by_qr(*arguments) if engine is in_numpy else compiled(*arguments)
    np.testing.assert_allclose(found.log_r, plain_qr(matrix.T)[1], rtol=1e-9, atol=1e-12)
    assert np.abs(plain.log_r - found.log_r).max() > 1e-4
    assert reflect(matrix, np.ones(k)).growth.prod() == pytest.approx(np.linalg.det(matrix))


def test_coefficients_are_those_of_each_step():
    program = scaling(2, first=1)
    coefficients = np.exp(np.random.default_rng(1).normal(size=(9, 3)))
    for engine in (in_numpy, compiled):
        found = engine(program, coefficients, np.ones(9), np.eye(2), CONTROL, 40.0)
        np.testing.assert_allclose(found.log_r, np.log(coefficients[:, 1:]).sum(axis=0))
