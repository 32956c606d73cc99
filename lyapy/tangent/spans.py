"""How far the spans of two frames' leading rows are apart."""

import numpy as np

from ..arrays import Array


def span_sines(one: Array, other: Array) -> Array:
    """Return the sines (k,) between the spans of the first i rows of two orthonormal frames.

    They are bounded by Frobenius norms of the parts of one span outside the other, which keep
    the digits of small angles.
    """
    overlaps = other @ one.T
    outside = np.sum((other - overlaps @ one) ** 2, axis=1)
    # rows up to i on columns after i
    inside = np.cumsum(np.cumsum(overlaps[:, ::-1] ** 2, axis=1)[:, ::-1], axis=0)
    inside = np.append(np.diagonal(inside, 1), 0.0)
    return np.asarray(np.minimum(np.sqrt(np.cumsum(outside) + inside), 1.0))
