"""Elimination of images whose coordinates differ in size, against 60 digits."""

import mpmath
import numpy as np
import pytest

from lyapy.tangent.graded.elimination import eliminate, reflect, sorted_qr

UNIT_ROUNDOFF = 2.0**-53


def graded(k, D, fall, seed=0):
    rng = np.random.default_rng(seed)
    scales = np.exp(-fall * rng.permutation(D))
    return rng.normal(size=(k, D)) * scales


def sizes_of(image):
    return np.abs(image).max(axis=0)


def exact_growth(image):
    """Return the growth by elimination with pivoting, in 60 digits."""
    with mpmath.workdps(60):
        rows = [[mpmath.mpf(x) for x in row] for row in image.tolist()]
        growth = []
        for i, row in enumerate(rows):
            p = max(range(len(row)), key=lambda d: abs(row[d]))
            growth.append(abs(row[p]))
            for other in rows[i + 1 :]:
                factor = other[p] / row[p]
                other[:] = [x - factor * y for x, y in zip(other, row, strict=True)]
                other[p] = mpmath.mpf(0)
        return np.array([float(g) for g in growth])


@pytest.mark.parametrize(("k", "D"), [(7, 7), (4, 9), (1, 3), (1, 1), (6, 17)])
@pytest.mark.parametrize("fall", [0.0, 3.0, 12.0])
def test_every_growth_is_right_to_its_last_digits(k, D, fall):
    image = graded(k, D, fall)
    found, exact = eliminate(image, sizes_of(image)), exact_growth(image)
    assert exact.max() / exact.min() >= np.exp(fall * (k - 1) / 2)
    np.testing.assert_allclose(found.growth, exact, rtol=1e-13)
    wrong = np.abs(found.growth - exact) / UNIT_ROUNDOFF
    assert np.all(wrong <= k * found.sizes)
    # a QR of the same image loses digits of the last ones
    plain = np.abs(np.diag(np.linalg.qr(image.T)[1]))
    by_qr = np.linalg.qr(found.frame.T)[1]
    if fall == 12.0 and k > 4:
        ratio = plain / (found.growth * np.abs(np.diag(by_qr)))
        assert np.abs(np.log(ratio)).max() > 1e-3


@pytest.mark.parametrize(("k", "D"), [(7, 7), (4, 9), (1, 1)])
def test_a_frame_has_ones_where_those_after_it_have_zeros(k, D):
    image = graded(k, D, 3.0)
    frame = eliminate(image, sizes_of(image)).frame
    upper = np.linalg.lstsq(frame.T, image.T, rcond=None)[0]
    np.testing.assert_allclose(np.tril(upper, -1), 0.0, atol=1e-12 * np.abs(upper).max())
    np.testing.assert_allclose(frame.T @ upper, image.T, rtol=1e-10, atol=1e-14)
    assert np.abs(frame).max() == 1.0
    ones = [np.flatnonzero(row == 1.0)[-1] for row in frame]
    assert len(set(ones)) == k
    for i, d in enumerate(ones):
        assert not frame[i + 1 :, d].any()


@pytest.mark.parametrize("exponent", [-980, -600, 600, 980])
def test_no_scale_is_too_small_or_too_large(exponent):
    image = graded(5, 6, 1.0)
    plain = eliminate(image, sizes_of(image))
    scaled = eliminate(np.ldexp(image, exponent), np.ldexp(sizes_of(image), exponent))
    np.testing.assert_array_equal(scaled.frame, plain.frame)
    np.testing.assert_array_equal(scaled.growth, np.ldexp(plain.growth, exponent))


@pytest.mark.parametrize("factorize", [eliminate, reflect])
def test_a_vector_that_vanished_leaves_zero(factorize):
    image = graded(4, 6, 1.0)
    image[2] = 0.0
    found = factorize(image, sizes_of(image))
    assert found.growth[2] == 0.0
    assert np.linalg.matrix_rank(found.frame) == 4


def test_the_substitute_of_a_vanished_vector_has_every_free_direction():
    """It comes before a vector that lives, and the growth of that is still the image's."""
    image = np.zeros((3, 4))
    image[0, 1], image[2, 3] = 2.0, 5.0
    found = eliminate(image, sizes_of(image))
    np.testing.assert_array_equal(found.growth, [2.0, 0.0, 5.0])
    np.testing.assert_array_equal(found.sizes, [2.0, 0.0, 5.0])
    np.testing.assert_array_equal(found.frame[0], [0.0, 1.0, 0.0, 0.0])
    np.testing.assert_array_equal(found.frame[1] != 0.0, [True, False, True, True])
    assert np.linalg.matrix_rank(found.frame) == 3


def test_substitutes_of_vanished_vectors_differ_in_any_few_coordinates():
    """Otherwise it would vanish with the next slopes, and its bound be below the growth."""
    frame = eliminate(np.zeros((8, 12)), np.zeros(12)).frame
    for first in range(10):
        assert np.linalg.matrix_rank(frame[:, first : first + 3], tol=1e-3) == 3


def test_a_qr_of_sorted_coordinates_keeps_the_small_ones():
    image = graded(6, 6, 12.0)
    frame, upper = sorted_qr(image, sizes_of(image))
    np.testing.assert_allclose(frame @ frame.T, np.eye(6), atol=1e-14)
    np.testing.assert_allclose(upper.T @ frame, image, rtol=1e-9, atol=1e-13)
    assert not np.tril(upper, -1).any()
    found, by_elimination = reflect(image, sizes_of(image)), eliminate(image, sizes_of(image))
    np.testing.assert_array_equal(found.growth, np.diag(upper))
    of_frame = np.abs(np.diag(np.linalg.qr(by_elimination.frame.T)[1]))
    np.testing.assert_allclose(found.growth, by_elimination.growth * of_frame, rtol=1e-12)
    assert np.all(found.sizes >= found.growth)
