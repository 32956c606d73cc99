"""Factorizations of a graded image, whose coordinates differ in size."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dgetrf

from ...arrays import Array
from ..interval import filling


class Factors(NamedTuple):
    """The image is upper.T @ frame.

    Attributes
    ----------
    frame : array (k, D)
        The vectors, each without its share of those before it.
    growth : array (k,)
        The diagonal of ``upper``, as absolute values.
    sizes : array (k,)
        Of the terms of which each growth is the sum, and so of its rounding over the roundoff.
    """

    frame: Array
    growth: Array
    sizes: Array


def eliminate(image: Array, sizes: Array) -> Factors:
    """Eliminate the largest coordinate of each vector of ``image`` (k, D) from those after it.

    This is Gauss's elimination with partial pivoting: a row of the frame has a 1 at its
    coordinate, where those after it have zeros, and no larger number. Any vector may take the place
    of one that vanished. It has all coordinates, so that it soon grows as the fastest direction
    does, and what is counted of it is no less than the growth.
    """
    factors, order = _eliminated(image)
    vanished = np.flatnonzero(factors.growth == 0.0)
    if vanished.size:
        image = image.copy()
        for i in vanished:
            image[i] = fillings(*image.shape)[i]
            image[i, order[:i]] = 0.0
        first, (factors, _) = factors, _eliminated(image)
        factors.growth[vanished], factors.sizes[vanished] = 0.0, first.sizes[vanished]
    return factors


@lru_cache(maxsize=16)
def fillings(k: int, D: int) -> Array:
    """Return vectors (k, D) that may stand for those that vanished, see `filling`."""
    return np.array([[filling(i, d) for d in range(D)] for i in range(k)])


def _eliminated(image: Array) -> tuple[Factors, Array]:
    """Return the factors, and the coordinates in the order of the vectors that have them."""
    k, D = image.shape
    packed, swaps, _ = dgetrf(image.T)
    order = np.arange(D)
    for i, j in enumerate(swaps):
        order[[i, j]] = order[[j, i]]
    frame = np.empty_like(image)
    frame[:, order] = np.triu(packed.T, 1)
    frame[np.arange(k), order[:k]] = 1.0
    growth = np.abs(np.diagonal(packed))
    lower, upper = np.tril(packed[:k], -1), np.triu(packed[:k], 1)
    sizes = growth + np.einsum("im,mi->i", abs(lower), abs(upper))
    return Factors(frame, growth, sizes), order


def sorted_qr(image: Array, sizes: Array) -> tuple[Array, Array]:
    """Return orthonormal rows (k, D) and R (k, k), by QR of an image sorted by ``sizes`` (D,).

    R's diagonal is not negative. No matrix is so bad that Householder's reflections lose digits as
    elimination can, but they take far longer.
    """
    order = np.argsort(-sizes, kind="stable")
    columns, upper = np.linalg.qr(image[:, order].T)
    signs = np.where(np.diagonal(upper) < 0.0, -1.0, 1.0)
    frame = np.empty_like(image)
    frame[:, order] = (columns * signs).T
    return frame, upper * signs[:, None]


def reflect(image: Array, sizes: Array) -> Factors:
    """Orthonormalize ``image`` (k, D) instead of eliminating, by `sorted_qr`."""
    frame, upper = sorted_qr(image, sizes)
    growth = np.diagonal(upper)
    return Factors(frame, growth, np.maximum(growth, np.sort(sizes)[::-1][: len(image)]))
