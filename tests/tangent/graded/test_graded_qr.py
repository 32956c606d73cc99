"""Householder's QR of rows that differ in size, against 60 digits."""

import mpmath
import numpy as np
import pytest

from lyapy.tangent.graded.householder import sorted_qr

UNIT_ROUNDOFF = 2.0**-53


def graded(k, D, fall, seed=0):
    rng = np.random.default_rng(seed)
    scales = np.exp(-fall * rng.permutation(D))
    return rng.normal(size=(k, D)) * scales


def exact_qr(image):
    with mpmath.workdps(60):
        rows = [np.array([mpmath.mpf(x) for x in row]) for row in image]
        upper = np.zeros((len(image), len(image)), dtype=object)
        frame = []
        for j, row in enumerate(rows):
            for _ in range(2):
                for i, other in enumerate(frame):
                    part = other @ row
                    upper[i, j] += part
                    row = row - part * other
            upper[j, j] = mpmath.sqrt(row @ row)
            frame.append(row / upper[j, j])
        return np.array(frame), upper


@pytest.mark.parametrize(("k", "D"), [(7, 7), (4, 9), (1, 3), (1, 1), (6, 17)])
@pytest.mark.parametrize("fall", [0.0, 3.0, 12.0])
def test_every_r_is_right_to_its_last_digits(k, D, fall):
    image = graded(k, D, fall)
    found = sorted_qr(image, np.linalg.norm(image, axis=0))
    _, upper = exact_qr(image)
    diagonal = np.diagonal(upper).astype(float)
    assert diagonal.max() / diagonal.min() >= np.exp(fall * (k - 1) / 2)
    np.testing.assert_allclose(np.diagonal(found.upper), diagonal, rtol=1e-13)
    assert not np.tril(found.upper, -1).any()


def test_what_is_lost_in_the_norm_is_still_turned():
    """The rest of a row is below the roundoff of its norm, and yet all of the next R_ii."""
    image = np.array([[1.0, 1e-12, 0.0], [1.0, 0.0, 1e-14], [0.0, 1.0, 0.0]])
    found = sorted_qr(image, np.array([3.0, 2.0, 1.0]))
    diagonal = np.diagonal(exact_qr(image)[1]).astype(float)
    np.testing.assert_allclose(np.diagonal(found.upper), diagonal, rtol=1e-13)


@pytest.mark.parametrize("exponent", [-980, -600, 600, 980])
def test_no_scale_is_too_small_or_too_large(exponent):
    image = graded(5, 6, 1.0)
    sizes = np.linalg.norm(image, axis=0)
    plain = sorted_qr(image, sizes)
    scaled = sorted_qr(np.ldexp(image, exponent), sizes)
    np.testing.assert_array_equal(scaled.frame, plain.frame)
    np.testing.assert_array_equal(scaled.upper, np.ldexp(plain.upper, exponent))


def test_a_vector_that_vanished_leaves_zero():
    image = graded(4, 6, 1.0)
    image[2] = 0.0
    found = sorted_qr(image, np.linalg.norm(image, axis=0))
    assert found.upper[2, 2] == 0.0
    np.testing.assert_allclose(found.frame @ found.frame.T, np.eye(4), atol=1e-15)
    np.testing.assert_allclose(found.upper.T @ found.frame, image, atol=1e-15)


@pytest.mark.parametrize("fall", [0.0, 3.0])
def test_the_rounding_is_within_its_sizes(fall):
    """And near them: their sum is not many times what the rounding comes to."""
    image = graded(12, 16, fall, seed=3)
    found = sorted_qr(image, np.linalg.norm(image, axis=0))
    with mpmath.workdps(60):
        product = found.upper.T.astype(object) @ (found.frame.astype(object) * mpmath.mpf(1))
        wrong = np.abs(product - image).astype(float) / UNIT_ROUNDOFF
    # the product of a frame and R has the rounding of both
    sizes = found.in_image + np.abs(found.upper.T) @ found.in_frame
    assert np.all(wrong <= 4.0 * sizes)
    assert np.median(sizes / wrong) < 100.0
