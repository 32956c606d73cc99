"""QR of a graded map, whose rows differ in size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array

__all__ = ["Factors", "sorted_qr"]


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
    """Orthonormalize ``image`` (k, D), its columns, the map's rows, sorted by ``sizes`` (D,)."""
    from ..compiled.reflections import factor, workspace

    k, D = image.shape
    order = np.argsort(-sizes, kind="stable")
    upper, (frame, in_image, in_frame) = np.empty((k, k)), np.empty((3, k, D))
    image = np.ascontiguousarray(image)
    factor(image, order, workspace(k, D), upper, frame, in_image, in_frame)
    return Factors(frame, upper, order, in_image, in_frame)
