"""The compiled elimination, against LAPACK's."""

import numpy as np
import pytest
from numba import njit

from lyapy.tangent.compiled.elimination import eliminate, make_elimination, restore
from lyapy.tangent.compiled.products import aligned, row_stride
from lyapy.tangent.graded import elimination


@njit(error_model="numpy")
def run(frame, rows, columns, memory, diagonal, terms, by_blas):
    eliminate(frame, rows, columns, memory, diagonal, terms, by_blas)
    restore(memory, frame, rows, columns)


def found(image, by_blas=False, memory=None):
    (k, D), stride = image.shape, row_stride(image.shape[1])
    # numbers next to the image and behind it must not count, and those behind it stay
    frame = aligned((k + 1) * stride).reshape(k + 1, stride)
    frame[...] = np.nan
    frame[:k, :D] = image
    frame[k] = 7.0
    diagonal, terms = np.empty((2, k))
    run(frame, k, D, memory or make_elimination(k, D), diagonal, terms, by_blas)
    assert np.all(frame[k] == 7.0)
    return elimination.Factors(frame[:k, :D], diagonal, terms)


SHAPES = [(1, 1), (1, 9), (3, 5), (8, 8), (7, 9), (16, 16), (17, 40), (33, 128), (130, 131)]


@pytest.mark.parametrize("fall", [0.0, 4.0])
@pytest.mark.parametrize(("k", "D", "by_blas"), [*[(*s, False) for s in SHAPES], (300, 310, True)])
def test_an_elimination_is_lapacks(k, D, by_blas, fall):
    """However small the coordinates are: the last ones are exp(−4 · 170)."""
    rng = np.random.default_rng(k + D)
    image = rng.normal(size=(k, D)) * np.exp(-fall * np.minimum(rng.permutation(D), 170))
    one, two = found(image, by_blas), elimination.eliminate(image, np.ones(D))
    for name in ("growth", "sizes"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-8)
    np.testing.assert_allclose(one.frame, two.frame, atol=1e-8)
    # exactly, as zeros that are not would grow
    np.testing.assert_array_equal(one.frame == 0.0, two.frame == 0.0)
    np.testing.assert_array_equal(one.frame == 1.0, two.frame == 1.0)


def test_workspaces_serve_fewer_vectors_after_more():
    memory, rng = make_elimination(20, 24), np.random.default_rng(0)
    for k in (20, 3):
        image = rng.normal(size=(k, 24))
        one, two = found(image, memory=memory), found(image)
        np.testing.assert_array_equal(one.frame, two.frame)


def test_vectors_of_zeros_have_no_growth_and_do_not_change_the_others():
    image = np.random.default_rng(1).normal(size=(20, 20))
    image[[0, 5, 6, 19]] = 0.0
    one, two = found(image), elimination._eliminated(image)[0]
    np.testing.assert_array_equal(np.flatnonzero(one.growth == 0.0), [0, 5, 6, 19])
    np.testing.assert_allclose(one.growth, two.growth, rtol=1e-10)
    assert np.isfinite(one.frame).all()


def test_of_equal_numbers_the_first_coordinate_is_the_pivot():
    """Otherwise the spectra would depend on the registers of the processor."""
    image = np.array([[0.5, -2.0, 2.0, 1.0, 2.0], [0.0, 3.0, 1.0, -2.0, 1.0]])
    np.testing.assert_array_equal(found(image).frame[0], [-0.25, 1.0, -1.0, -0.5, -1.0])


@pytest.mark.parametrize("size", [1e-310, 1e305])
def test_pivots_at_the_ends_of_the_range(size):
    image = size * np.array([[1.0, 0.5, 0.25], [1.0, 2.0, 0.5], [0.5, 1.0, 1.5]])
    one, two = found(image), found(image / size)
    np.testing.assert_allclose(one.frame, two.frame, rtol=1e-4)
    np.testing.assert_allclose(one.growth / size, two.growth, rtol=1e-4)
