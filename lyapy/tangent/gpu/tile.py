"""What trajectories side by side come to in one tile of time."""

from __future__ import annotations

from typing import NamedTuple

from ...arrays import Array

__all__ = ["Tile"]


class Tile(NamedTuple):
    """What B trajectories come to in one tile; on the host.

    Attributes
    ----------
    growth, error : array (B, rows)
        Sum of log R_ii, and of its estimated rounding error.
    noise : array (B, rows)
        Rounding of each vector's image in the last interval, relative to the image, over the
        roundoff.
    spread : array (B,)
        Largest over the intervals.
    intervals, rejections : int
    failed : array (B,)
        Trajectories that the device cannot take through the tile.
    """

    growth: Array
    error: Array
    noise: Array
    spread: Array
    intervals: int
    rejections: int
    failed: Array
