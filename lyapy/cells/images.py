"""The images of boxes under constant weights, dense or sparse."""

import numpy as np

from ..arrays import Array
from .boxes import WIDER, Box
from .sparse import Sparse, as_scipy


def image(matrix: Array | Sparse, box: Box) -> Box:
    """Return the box of ``matrix @ x`` for x in a box."""
    rows = as_scipy(matrix) if isinstance(matrix, Sparse) else matrix
    sizes = abs(rows)
    up, down = 0.5 * (sizes + rows), 0.5 * (sizes - rows)
    if np.isfinite(box.low).all() and np.isfinite(box.high).all():
        low, high = up @ box.low - down @ box.high, up @ box.high - down @ box.low
        margin = WIDER * (sizes @ np.maximum(np.abs(box.low), np.abs(box.high)))
        return Box(low - margin, high + margin)
    reached = np.asarray(sizes @ (np.isinf(box.low) | np.isinf(box.high)).astype(float)) > 0.0
    limited = Box(*(np.where(np.isfinite(end), end, 0.0) for end in (box.low, box.high)))
    found = image(matrix, limited)
    return Box(np.where(reached, -np.inf, found.low), np.where(reached, np.inf, found.high))
