"""One graded step, number by number: how its stages are joined, and the scale of the rounding."""

import math

import numpy as np
import pytest

from lyapy.networks.program import Assignment, Columns, Program, Term
from lyapy.tangent.graded import step as graded
from lyapy.tangent.graded.step import graded_step
from lyapy.tangent.graded.tilt import SAMPLES

D = 4
NO_TILT = np.zeros((D, SAMPLES, D))
# the tolerance over the unit roundoff, of which a stage's sizes may use a hundredth
LIMIT = math.log(1e4)


def product_of(*matrices):
    state = Columns(0, D)

    def program(matrix, stages=()):
        term = Term(state, False, matrix, None, None)
        return Program((Assignment(state, (term,)),), D, D, ({},), stages)

    whole = np.linalg.multi_dot([*matrices[::-1], np.eye(D)])
    return program(whole, tuple(map(program, matrices)))


def scaled(exponents, seed):
    rows = np.linalg.qr(np.random.default_rng(seed).normal(size=(D, D)))[0]
    return 10.0 ** np.array(exponents)[:, None] * rows


def plain_qr(image):
    columns, upper = np.linalg.qr(image.T)
    signs = np.sign(np.diag(upper))
    return (columns * signs).T, np.log(np.abs(np.diag(upper)))


@pytest.fixture
def calls(monkeypatch):
    found = []

    def record(factors, image, reach, tilt, seed):
        np.testing.assert_allclose(factors.upper.T @ factors.frame, image, rtol=1e-12, atol=1e-15)
        found.append((factors, image, reach, tilt, seed))
        return carry(factors, image, reach, tilt, seed)

    carry = graded.carry_tilt
    monkeypatch.setattr(graded, "carry_tilt", record)
    return found


def test_a_map_without_stages_takes_one_qr():
    program = product_of(scaled([0, -3, -1, -2], 1))._replace(stages=())
    found = graded_step(program, np.ones(1), np.eye(D)[:3], LIMIT, NO_TILT[:3, :, :3], 5)
    frame, log_r = plain_qr(np.eye(D)[:3] @ program.assignments[0].terms[0].matrix.T)
    np.testing.assert_allclose(found.log_r, log_r, rtol=1e-12)
    np.testing.assert_allclose(found.frame, frame, atol=1e-12)
    # of a part of the frame, the sizes of the map's rows are those that it sees
    sizes = np.linalg.norm(program.assignments[0].terms[0].matrix[:, :3], axis=1)
    np.testing.assert_allclose(found.scale, np.log(np.sort(sizes)[:0:-1]), rtol=1e-12)


def test_growth_and_rounding_of_two_stages_are_joined():
    first, second = scaled([0, -4, -2, -6], 1), scaled([-5, 0, -1, -3], 2)
    found = graded_step(product_of(first, second), np.ones(1), np.eye(D), LIMIT, NO_TILT, 5)
    middle, log_first = plain_qr(first.T)
    frame, log_second = plain_qr(middle @ second.T)
    np.testing.assert_allclose(found.log_r, log_first + log_second, rtol=1e-9)
    np.testing.assert_allclose(found.frame, frame, atol=1e-9)
    # R = R₂ R₁, and each factor is rounded by the size of its stage's row
    sizes = [10.0 ** np.array([0.0, -2, -4, -6]), 10.0 ** np.array([0.0, -1, -3, -5])]
    scale = sizes[0] * np.exp(log_second) + sizes[1] * np.exp(log_first)
    np.testing.assert_allclose(found.scale, np.log(scale), rtol=1e-9)


@pytest.mark.parametrize(("ratio", "qrs"), [(99.0, 1), (101.0, 2)])
def test_a_stage_of_like_rows_waits_for_the_next(ratio, qrs, calls):
    like = np.diag([1.0, ratio, 1.0, 1.0]) @ scaled([0, 0, 0, 0], 1)
    second = scaled([0, -3, -1, -2], 2)
    found = graded_step(product_of(like, second), np.ones(1), np.eye(D), LIMIT, NO_TILT, 5)
    assert len(calls) == qrs
    # its growth is not lost
    np.testing.assert_allclose(found.log_r, plain_qr((second @ like).T)[1], rtol=1e-9)
    # the last stage has a QR in any case
    graded_step(product_of(like, np.eye(D)), np.ones(1), np.eye(D), LIMIT, NO_TILT, 5)
    assert len(calls) == 2 * qrs


def test_rounding_reaches_as_far_as_the_sums_that_are_rounded(calls):
    """|J| |Q|: of each stage, or of several that share a QR."""
    like, first, second = scaled([0] * 4, 1), scaled([0, -4, -2, -6], 2), scaled([0, -3, 0, -1], 3)
    program = product_of(like, first, second)
    found = graded_step(program, np.ones(1), -np.eye(D), LIMIT, NO_TILT, 5)
    (before, _, reach_first, *_), (_, _, reach_second, *_) = calls
    np.testing.assert_allclose(reach_first.T, np.abs(first) @ np.abs(like), rtol=1e-12)
    np.testing.assert_allclose(reach_second.T, np.abs(second) @ np.abs(before.frame.T), rtol=1e-12)
    assert found.frame is calls[1][0].frame


def test_the_tilt_goes_from_stage_to_stage_and_its_errors_add_up(calls):
    rng = np.random.default_rng(3)
    tilt = np.triu(1e-3 * rng.normal(size=(SAMPLES, D, D)), 1).swapaxes(0, 1)
    program = product_of(scaled([0, -4, -2, -6], 1), scaled([-5, 0, -1, -3], 2))
    found = graded_step(program, np.ones(1), np.eye(D), LIMIT, tilt, 5)
    assert calls[0][3] is tilt
    ends = [graded.carry_tilt(*call) for call in list(calls)]
    np.testing.assert_array_equal(calls[1][3], ends[0][1])
    np.testing.assert_array_equal(found.tilt, ends[1][1])
    np.testing.assert_array_equal(found.errors, ends[0][0] + ends[1][0])


def test_no_two_stages_share_their_sample_of_rounding(calls):
    program = product_of(*(scaled([0, -4, -2, -6], seed) for seed in range(3)))
    for seed in range(6):
        graded_step(program, np.ones(1), np.eye(D), LIMIT, NO_TILT, seed)
    assert sorted(call[4] for call in calls) == list(range(18))


def test_what_vanishes_is_dead():
    program = product_of(np.diag([2.0, 1.0, 0.5, 0.0]))
    found = graded_step(program, np.ones(1), np.eye(D), LIMIT, NO_TILT, 0)
    np.testing.assert_array_equal(found.log_r, [*np.log([2.0, 1.0, 0.5]), -math.inf])
    assert np.isneginf(found.scale[3])
