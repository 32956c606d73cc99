"""Householder's QR of a graded map, with the size of the rounding in every entry.

A reflector x − v (τ vᵀx) leaves rounding in entry d of a column in proportion to v_d w, with w
= τ vᵀx. With V the reflectors as columns and W their w for each column of A, A = V W + R, and
for the columns of the identity, from which Q is built, 1 − Q = V W′. So |V||W| and |V||W′|
are the sizes of the rounding in A = Q R and in Q. Where a frame hardly mixes the units, most of
these entries are far smaller than the norms of the map's rows, which bound them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dtrsm
from scipy.linalg.lapack import dorgqr

from ..types import Array

__all__ = ["Factors", "sorted_qr"]

# workspace of LAPACK's blocked code, in columns
BLOCK = 64


class Factors(NamedTuple):
    """The QR of an image.

    Attributes
    ----------
    frame : array (k, D)
        Orthonormal rows.
    upper : array (k, k)
        R, whose diagonal is not negative.
    order : array (D,)
        The map's rows, the largest first.
    in_image, in_frame : array (k, D)
        Sizes of the rounding in the entries of the image and of the frame, over the roundoff.
    """

    frame: Array
    upper: Array
    order: Array
    in_image: Array
    in_frame: Array


def sorted_qr(image: Array, sizes: Array) -> Factors:
    """Orthonormalize ``image`` (k, D), with the map's rows sorted by their ``sizes`` (D,).

    The map's rows are the columns here.
    """
    k = len(image)
    order = np.argsort(-sizes, kind="stable")
    sorted_image = image.T[order]
    raw, tau = np.linalg.qr(sorted_image, mode="raw")
    columns, _, _ = dorgqr(raw.T, tau, lwork=BLOCK * k)
    upper, reflectors = np.triu(raw.T[:k]), np.tril(raw.T, -1)
    np.fill_diagonal(reflectors, 1.0)
    applied = np.concatenate([sorted_image[:k] - upper, np.eye(k) - columns[:k]], axis=1)
    applied = dtrsm(1.0, reflectors[:k], applied, lower=1, diag=1)
    rounding = np.abs(reflectors) @ np.abs(applied)
    rounding[:, :k] += np.abs(sorted_image)
    signs = np.where(np.diagonal(upper) < 0.0, -1.0, 1.0)
    unsorted = np.empty((len(order), 3 * k))
    unsorted[order] = np.concatenate([columns * signs, rounding], axis=1)
    frame, in_image, in_frame = unsorted.T.reshape(3, k, -1)
    return Factors(np.ascontiguousarray(frame), upper * signs[:, None], order, in_image, in_frame)
