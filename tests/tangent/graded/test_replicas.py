"""Replicas of a frame: how they are disturbed, and the estimate from their growth."""

import math

import numpy as np
import pytest

from lyapy.arrays import UNIT_ROUNDOFF
from lyapy.tangent.graded import replicas as module
from lyapy.tangent.graded.replicas import (
    SAMPLES,
    difference,
    disturbed,
    exchanged,
    made_replicas,
    settled_tilt,
    squares,
    tilt_limit,
    tilts_of,
    unknown,
)


def tilts(k, size=1e-3):
    return np.tril(size * np.random.default_rng(7).normal(size=(SAMPLES, k, k)), -1)


def test_coefficients_are_moved_by_the_size_of_their_rounding():
    coefficients = np.tile([1.0, -0.5, math.exp(-300.0), 0.0], (4000, 1))
    moved, scales = disturbed(coefficients, 3, 0)
    wrong = (moved / np.where(coefficients == 0.0, 1.0, coefficients))[:, :3] - 1.0
    # whole roundoffs, as numbers have them
    sizes = np.array([1.0, 1.0 + math.log(2.0), 301.0])
    np.testing.assert_allclose(wrong.std(axis=0) / (2.0 * UNIT_ROUNDOFF), sizes, rtol=0.3)
    assert not moved[:, 3].any()
    assert 1.0 <= scales.min() < 1.01 and 1.99 < scales.max() <= 2.0


def test_no_two_runs_or_samples_are_disturbed_alike():
    found = [disturbed(np.ones((5, 1)), first, s)[1] for first in (0, 5, 10) for s in (0, 1)]
    assert len({tuple(scales) for scales in found}) == 6
    np.testing.assert_array_equal(found[2], disturbed(np.ones((5, 1)), 5, 0)[1])


@pytest.mark.parametrize(("k", "D"), [(4, 4), (3, 7)])
def test_a_replica_has_the_tilt_of_which_it_is_made(k, D):
    frame = np.linalg.qr(np.random.default_rng(1).normal(size=(D, k)))[0].T
    wanted = tilts(k, 1e-7)
    made = made_replicas(frame, wanted, np.zeros(k), 0)
    np.testing.assert_allclose(made @ np.swapaxes(made, 1, 2), np.eye(k)[None], atol=1e-14)
    np.testing.assert_allclose(tilts_of(frame, made), wanted, atol=1e-13)
    assert not tilts_of(frame, frame[None])[:, np.triu_indices(k)[0], np.triu_indices(k)[1]].any()


def test_a_replica_of_a_partial_frame_leaves_its_span_by_the_noise():
    frame = np.linalg.qr(np.random.default_rng(1).normal(size=(40, 3)))[0].T
    noise = np.array([1.0, 1e4, math.inf])
    made = made_replicas(frame, np.zeros((SAMPLES, 3, 3)), noise, 5)[0]
    np.testing.assert_allclose(made @ made.T, np.eye(3), atol=1e-14)
    outside = np.linalg.norm(made - made @ frame.T @ frame, axis=1)
    size = 1e4 * UNIT_ROUNDOFF * math.sqrt(37)
    assert outside[0] < 1e-14 and 0.7 < outside[1] / size < 1.3 and outside[2] > 0.5


def test_ordinary_intervals_scale_a_tilt_by_growth():
    tilt, since = tilts(3), np.array([0.0, -1.0, 2.0])
    found = settled_tilt(tilt, since, np.zeros(3), 0)
    for i in range(3):
        for j in range(3):
            wanted = tilt[:, i, j] * np.exp(since[i] - since[j]) if i > j else 0.0
            np.testing.assert_allclose(found[:, i, j], wanted)
    # no tilt is beyond one, and none has become NaN
    found = settled_tilt(tilts(2, 1.0), np.array([-2000.0, 2000.0]), np.zeros(2), 0)
    np.testing.assert_array_equal(np.abs(found[:, 1, 0]), 1.0)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_last_interval_tilts_by_the_noise_of_each_vector(seed):
    noise = np.array([1.0, 1e3, 1e6])
    found = settled_tilt(np.zeros((SAMPLES, 0, 0)), np.zeros(3), noise, seed)
    many = np.stack([settled_tilt(found, np.zeros(3), noise, s) for s in range(200)])
    sizes = np.sqrt(np.mean((many - found) ** 2, axis=(0, 1)))
    assert 0.8 < sizes[1, 0] / UNIT_ROUNDOFF < 1.25
    assert 0.8 < sizes[2, 1] / (1e3 * UNIT_ROUNDOFF) < 1.25


def test_the_tilt_that_is_followed_is_a_hundredth_of_the_tolerance():
    assert tilt_limit(np.log(1e-8 / UNIT_ROUNDOFF)) == pytest.approx(1e-10)


def test_growth_that_vanished_is_a_bound_and_does_not_differ():
    log_r = np.array([1.0, -math.inf, -3.0, -math.inf, 2.0])
    other = np.array([1.5, -math.inf, -math.inf, -3.0, math.nan])
    np.testing.assert_array_equal(difference(log_r, other), [0.5, 0.0, -1e3, 0.0, 1e3])


def test_the_estimate_covers_errors_of_the_same_distribution():
    rng = np.random.default_rng(3)
    error, other = 1e-9 * rng.normal(size=(2, 20_000))
    samples = np.tile((other - error)[:, None], (1, SAMPLES))
    estimate = exchanged(samples, samples**2)
    assert 0.01 < np.mean(np.abs(error) > estimate) < 0.03


def test_growth_that_runs_take_back_still_counts():
    turnover = np.full((1, SAMPLES), 1e-18)
    assert exchanged(np.zeros((1, SAMPLES)), turnover)[0] == pytest.approx(module.MARGIN * 1e-9)


def test_directions_that_were_exchanged_are_lost():
    for error, lost in ((0.09, False), (0.11, True)):
        samples = np.full((1, SAMPLES), error)
        estimate = exchanged(1e-3 * samples, samples**2)[0]
        wanted = module.LOST if lost else module.MARGIN * error
        assert estimate == pytest.approx(wanted, rel=1e-3)


def test_directions_between_exchanged_ones_are_lost():
    """They have moved by one place in frame and replica alike, so their growth does not differ."""
    errors = np.array([0.0, 0.3, 0.0, 0.0, -0.3, 0.0])[:, None]
    found = squares(errors)[:, 0]
    np.testing.assert_array_equal(found > module.EXCHANGED**2, [False, *[True] * 4, False])
    assert found[0] == found[5] == 0.0
    # so little is no exchange, and what vanished in one of both no growth of a volume
    for size in (0.01, module.LARGEST):
        errors = np.array([0.0, size, 0.0, 0.0, 0.0])[:, None]
        np.testing.assert_array_equal(squares(errors), errors**2)


def test_how_wrong_a_vector_is_can_be_unknown():
    """Exchanged growth comes back within a full frame; rounding differs as it likes."""
    swap, noise = np.array([[0.0, 3.0, -3.0, 0.0], [0.0, 3.0, -1.0, 0.0]])[..., None]
    known = np.zeros(4)
    hidden = np.array([0.0, 0.0, 0.0, math.inf])
    some = [False, True, True, False]
    for errors, error, full, wanted in (
        (swap, known, True, 4 * [False]),
        (noise, known, True, [False, True, True, True]),
        (noise, known, False, 4 * [False]),
        (swap, hidden, False, some),
    ):
        found = unknown(errors, squares(errors), error, full)
        np.testing.assert_array_equal(found, wanted)
