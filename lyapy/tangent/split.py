"""Where to cut the frame of a full spectrum that is followed from both ends."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from .interval import SAFETY

__all__ = ["MARGIN", "best_split"]

# spreads over single intervals exceed those of the mean growth by about so much
FLUCTUATION = 1.2
# the second pass over coefficients and weights, as rows of the frame at a QR in every step
OVERHEAD_ROWS = 2.0
# a graded step's QRs in those of an ordinary one
GRADED_COST = 8.0
# next to the cut no row of the same frame takes up what rounding mixes into a row; measured,
# the errors there are up to this factor larger
MARGIN = 16.0


def best_split(rates: Array, limit: float, tile: int) -> int:
    """Return the rows of the leading frame that make the reorthonormalizations cheapest.

    Parameters
    ----------
    rates : array (D,)
        Growth per step in the order of the frame.
    limit : float
        Largest spread of one interval.
    tile : int
        Longest interval.

    Returns
    -------
    int
        From 1 to D; D stands for one frame.
    """
    D = len(rates)
    tail = rates[::-1]
    front = np.maximum.accumulate(rates) - np.minimum.accumulate(rates)
    back = (np.maximum.accumulate(tail) - np.minimum.accumulate(tail))[::-1]
    rows = np.arange(1, D + 1)
    # only one frame can take graded steps
    cost = _cost(rows, front, limit - np.log(MARGIN), tile, np.inf)
    cost[:-1] += _cost(D - rows[:-1], back[1:], limit - np.log(MARGIN), tile, np.inf)
    cost[:-1] += OVERHEAD_ROWS * D
    cost[-1] = _cost(rows, front, limit, tile, GRADED_COST)[-1]
    return int(np.argmin(cost)) + 1


def _cost(rows: Array, spreads: Array, limit: float, tile: int, graded: float) -> Array:
    """Operations of QR per step, over D; more by ``graded`` where one step spreads too far."""
    expected = FLUCTUATION * spreads
    intervals = np.clip(np.floor(SAFETY * limit / np.maximum(expected, 1e-300)), 1, tile)
    return rows**2 / intervals * np.where(expected > limit, graded, 1.0)
