"""What one QR and ordinary intervals make of a tilted frame, number by number.

A spectrum shows little of it: a sample that is wrong by a factor still marks most of what is wrong.
"""

import numpy as np
import pytest
import scipy.stats

from lyapy.tangent.graded.householder import Factors, sorted_qr
from lyapy.tangent.graded.tilt import (
    SAMPLES,
    _normals,
    carry_tilt,
    exchanged,
    settled_tilt,
    tilt_limit,
)

ROUNDOFF = 2.0**-53


def factors_of(upper, D=5, in_image=0.0, in_frame=0.0):
    k = len(upper)
    frame = np.linalg.qr(np.random.default_rng(k).normal(size=(D, D)))[0][:k]
    sizes = [np.broadcast_to(size, (k, D)) for size in (in_image, in_frame)]
    return Factors(frame, np.asarray(upper, float), np.arange(D), *sizes)


def carried(factors, reach, tilt, seed, image=None):
    """Return errors (samples, k) and E (samples, k, k); E_ij is kept in row j."""
    image = factors.upper.T @ factors.frame if image is None else image
    errors, after = carry_tilt(factors, image, reach, np.moveaxis(tilt, -1, 0), seed)
    return errors.T, np.moveaxis(after, 0, -1)


def settled(tilt, since, noise, seed):
    return np.moveaxis(settled_tilt(np.moveaxis(tilt, -1, 0), since, noise, seed), 0, -1)


def tilts(k, size=1e-3):
    return np.tril(size * np.random.default_rng(1).normal(size=(SAMPLES, k, k)), -1)


# one block of rows, and three
SIZES = [(3, 5), (70, 75)]


def upper_of(k, seed):
    """Return an R whose inverse is of the size of R."""
    rng = np.random.default_rng(seed)
    return np.diag(rng.uniform(0.5, 2.0, size=k)) + np.triu(rng.uniform(size=(k, k)), 1) / k


@pytest.mark.parametrize(("k", "D"), SIZES)
def test_a_qr_carries_the_tilt_to_first_order(k, D):
    R, tilt = upper_of(k, 2), tilts(k)
    errors, after = carried(factors_of(R, D), np.zeros((k, D)), tilt, 0)
    moved = R @ tilt @ np.linalg.inv(R)
    assert errors.shape == (SAMPLES, k)
    np.testing.assert_allclose(errors, np.diagonal(moved, axis1=1, axis2=2), rtol=1e-10)
    np.testing.assert_allclose(after, np.tril(moved, -1), rtol=1e-10, atol=1e-16)


def test_a_small_tilt_moves_growth_by_what_is_carried():
    """By differences: the QR of the image of a frame that is tilted indeed."""
    rng = np.random.default_rng(3)
    image, tilt = rng.normal(size=(3, 5)), tilts(3, 1e-7)
    sizes = np.linalg.norm(image, axis=0)
    sound = sorted_qr(image, sizes)
    errors, _ = carried(sound, np.zeros((3, 5)), tilt, 0)
    for sample, error in zip(tilt, errors, strict=True):
        tilted = sorted_qr((np.eye(3) + sample).T @ image, sizes)
        moved = np.log(np.diagonal(tilted.upper) / np.diagonal(sound.upper))
        np.testing.assert_allclose(moved, error, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize(("k", "D"), SIZES)
def test_each_rounding_is_projected_on_the_frame(k, D, seed):
    in_image, reach, in_frame = np.random.default_rng(4).uniform(1.0, 2.0, size=(3, k, D))
    R = upper_of(k, 4)
    factors = factors_of(R, D, in_image, in_frame)
    errors, after = carried(factors, reach, np.zeros((SAMPLES, k, k)), seed)
    normals = _normals(2 * k * D, seed).reshape(2, k, SAMPLES, D)
    for s in range(SAMPLES):
        before_qr = factors.frame @ (normals[0, :, s] * (in_image + reach)).T
        behind_qr = factors.frame @ (normals[1, :, s] * in_frame).T
        found = ROUNDOFF * (before_qr @ np.linalg.inv(R) + behind_qr)
        np.testing.assert_allclose(errors[s], np.diag(found), rtol=1e-10, atol=1e-24)
        np.testing.assert_allclose(after[s], np.tril(found, -1), rtol=1e-10, atol=1e-24)


def test_what_comes_before_a_vanished_vector_is_carried():
    R = np.triu(np.random.default_rng(5).uniform(0.5, 2.0, size=(4, 4)))
    R[2, 2] = 0.0
    tilt, reach = tilts(4), np.ones((4, 5))
    factors = factors_of(R, 5, 1.0, 1.0)
    errors, after = carried(factors, reach, tilt, 3)
    factors = factors._replace(frame=factors.frame[:2], upper=R[:2, :2].copy())
    factors = factors._replace(in_image=np.ones((2, 5)), in_frame=np.ones((2, 5)))
    wanted = carried(factors, reach[:2], tilt[:, :2, :2], 3)
    np.testing.assert_array_equal(errors[:, :2], wanted[0])
    np.testing.assert_array_equal(after[:, :2, :2], wanted[1])
    assert not errors[:, 2:].any() and not after[:, 2:].any() and not after[:, :, 2:].any()
    R[0, 0] = 0.0
    errors, after = carried(factors_of(R), reach, tilt, 3)
    assert errors.shape == (SAMPLES, 4) and after.shape == (SAMPLES, 4, 4)
    assert not errors.any() and not after.any()


def test_beyond_the_first_order_all_is_wrong():
    tilt = np.zeros((SAMPLES, 2, 2))
    tilt[:, 1, 0] = [0.5, -0.5, 0.5, -0.5]
    signs = np.sign(tilt[:, 1, 0])
    errors, after = carried(factors_of([[1e-6, 1.0], [0.0, 1.0]]), np.zeros((2, 5)), tilt, 0)
    np.testing.assert_array_equal(errors, 1e3 * signs[:, None] * [1.0, -1.0])
    np.testing.assert_array_equal(after[:, 1, 0], signs)
    assert not np.triu(after).any()
    # infinities that cancel
    errors, after = carried(factors_of([[1e-300, 1e300], [0.0, 1e300]]), np.zeros((2, 5)), tilt, 0)
    np.testing.assert_array_equal(np.abs(errors), 1e3)
    np.testing.assert_array_equal(np.abs(after[:, 1, 0]), 1.0)
    # all of a row that is longer
    tilt, R = np.zeros((SAMPLES, 3, 3)), np.diag([1e-6, 1.0, 1.0])
    R[0, 1], tilt[:, 1, 0] = 1.0, 0.5 * signs
    _, after = carried(factors_of(R), np.zeros((3, 5)), tilt, 0)
    np.testing.assert_array_equal(after[:, 1, 0], signs)


def test_ordinary_intervals_scale_a_tilt_by_growth():
    tilt, since = tilts(3), np.array([0.0, -1.0, 2.0])
    found = settled(tilt, since, np.zeros(3), 0)
    for i in range(3):
        for j in range(3):
            wanted = tilt[:, i, j] * np.exp(since[i] - since[j]) if i > j else 0.0
            np.testing.assert_allclose(found[:, i, j], wanted, rtol=1e-12)
    # the later has outgrown the earlier so far that nothing is left of their order
    found = settled(np.zeros((SAMPLES, 2, 2)), np.array([0.0, 800.0]), np.zeros(2), 0)
    np.testing.assert_array_equal(found, np.broadcast_to([[0.0, 0.0], [1.0, 0.0]], found.shape))
    large = tilts(2, 1.0)
    found = settled(large, np.array([0.0, 9.0]), np.zeros(2), 0)
    np.testing.assert_array_equal(found[:, 1, 0], np.sign(large[:, 1, 0]))


@pytest.mark.parametrize("seed", [0, 7])
def test_the_last_interval_tilts_by_the_noise_of_each_vector(seed):
    noise, since = np.array([1.0, 10.0, 100.0]), np.array([0.0, -1.0, -2.0])
    found = settled(np.zeros((SAMPLES, 0, 0)), since, noise, seed)
    normals = np.moveaxis(_normals(9, seed).reshape(3, SAMPLES, 3), 0, -1)
    np.testing.assert_allclose(found, ROUNDOFF * np.tril(normals * noise, -1), rtol=1e-12)


def test_the_tilt_that_is_followed_is_a_hundredth_of_the_tolerance():
    assert tilt_limit(np.log(1e-8 / ROUNDOFF)) == pytest.approx(1e-10)


def test_the_estimate_is_that_of_a_sample():
    errors = np.array([[1.0, -1.0, 3.0, -3.0], [0.0] * 4])
    turnover = np.array([[0.0] * 4, [1.0] * 4])
    # what a next step takes back leaves a twentieth
    np.testing.assert_allclose(exchanged(errors, turnover), [4.0 * np.sqrt(5.0), 0.2])
    # Student's t of as many degrees of freedom as there are samples
    assert round(100 * (1 - 2 * scipy.stats.t(SAMPLES).sf(4.0))) == 98


def test_the_samples_of_steps_are_normal_and_differ():
    assert len({tuple(_normals(1, seed)) for seed in range(4096)}) == 4096
    found = _normals(500, 4095)
    assert found.shape == (SAMPLES * 500,)
    assert scipy.stats.kstest(found, "norm").pvalue > 0.01
    # a column is not the next one of another step
    assert len(np.unique(np.concatenate([_normals(5, seed) for seed in range(20)]))) == 20 * 20
