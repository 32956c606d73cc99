"""How the steps of a trajectory are cut: tiles, chunks, rows of the history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..networks.network import Network
from ..tangent.interval import Control
from .recording import Recording

__all__ = ["Schedule", "make_schedule"]

HISTORY_ROWS = 1024
# so many that calls into compiled code are few, so few that they stay in a cache
CHUNK_BYTES = 1024 * 1024
CHUNK_TILES = 64


class Schedule(NamedTuple):
    """How the steps of a trajectory are cut.

    Attributes
    ----------
    transient, steps : int
        Steps not counted, and counted ones after them.
    tiles_per_row : int
        Tiles whose growth is summed into one row of the history.
    control : Control
    chunk : int
        Steps from one forward pass to the next; a whole number of tiles.
    recording : Recording
    """

    transient: int
    steps: int
    tiles_per_row: int
    control: Control
    chunk: int
    recording: Recording

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.transient + self.steps

    @property
    def rows(self) -> int:
        """Rows of the history."""
        return -(-self.steps // (self.tiles_per_row * self.control.tile))

    def row_ends(self) -> Array:
        """Return the counted steps at which the rows of the history end."""
        width = self.tiles_per_row * self.control.tile
        return np.minimum(np.arange(1, self.rows + 1) * width, self.steps)

    def rows_done(self, position: int) -> int:
        """Return the rows of the history that are complete after ``position`` steps."""
        if position >= self.total:
            return self.rows
        return max(position - self.transient, 0) // (self.tiles_per_row * self.control.tile)

    def shortened(self, steps: int) -> Schedule:
        """Return the schedule of the same run with so many counted steps."""
        tiles = -(-steps // self.control.tile)
        return self._replace(steps=steps, tiles_per_row=-(-tiles // HISTORY_ROWS))

    def tile_ends(self, steps: int) -> Array:
        """Return the steps of a chunk of so many at which its tiles end."""
        tile = self.control.tile
        return np.minimum(np.arange(tile, steps + tile, tile), steps)

    def chunks(self, position: int) -> Iterator[tuple[int, int]]:
        """Yield the chunks from ``position`` on, whole tiles, of the transient and after it."""
        for first, last in ((0, self.transient), (self.transient, self.total)):
            for start in range(max(first, position), last, self.chunk):
                yield start, min(start + self.chunk, last)


def make_schedule(
    network: Network, transient: int, steps: int, control: Control, recording: Recording
) -> Schedule:
    """Return the schedule whose history has `HISTORY_ROWS` rows at most."""
    entries = sum(c.size for layer in network.program.coefficients for c in layer.values())
    most = CHUNK_BYTES // (8 * max(entries, 1) * control.tile)
    chunk = recording.chunk(control.tile * min(max(most, 1), CHUNK_TILES))
    return Schedule(transient, steps, 1, control, chunk, recording).shortened(steps)
