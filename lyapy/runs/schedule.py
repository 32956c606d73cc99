"""How a trajectory is cut in time: tiles, chunks, rows of the history, rows of the records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..networks.network import Network
from ..tangent.interval import Control
from .options import Keep

HISTORY_ROWS = 1024
# so many that calls into compiled code are few, so few that they stay in a cache
CHUNK_BYTES = 1024 * 1024
CHUNK_TILES = 64


class Recording(NamedTuple):
    """What is recorded, and how often."""

    # as Keep.kinds; empty if the history suffices
    kinds: tuple[str, ...]
    # counted steps from one row to the next
    every: int
    # steps after which a reorthonormalization takes place in any case; divides every
    tile: int

    @property
    def needs_frames(self) -> bool:
        """Whether the frames at the ends of the rows are needed."""
        return bool({"frames", "factors"} & set(self.kinds))

    def row_ends(self, steps: int) -> Array:
        """Return the counted steps at which the rows end."""
        rows = -(-steps // self.every) if self.kinds else 0
        return np.minimum(np.arange(1, rows + 1) * self.every, steps)

    def chunk(self, longest: int) -> int:
        """Return the steps of a chunk, up to ``longest``, that ends wherever a row does."""
        if not self.needs_frames:
            return longest
        tiles = self.every // self.tile
        return self.tile * max(c for c in range(1, longest // self.tile + 1) if tiles % c == 0)


def make_recording(keep: Keep, control: Control) -> Recording:
    """Return the recording that the options ask for; refuse rows that do not fit the interval."""
    kinds, every = keep.kinds, keep.record_every
    unit, tile = control.fixed or 1, control.tile
    if every is None:
        kinds, every = () if kinds == ("growth",) else kinds, tile
    whole = isinstance(every, (int, np.integer)) and not isinstance(every, bool)
    step = unit if whole and every <= tile else tile
    if not whole or every < 1 or every % step:
        raise ValueError(
            f"record_every is {every!r}; it must be a whole number of steps"
            + (f", up to {tile} a multiple of interval={unit}" if unit > 1 else f" up to {tile}")
            + f", or a multiple of {tile}"
        )
    if kinds and keep.checkpoint is None:
        raise ValueError(
            f"record is {', '.join(kinds)}, which needs a file to go to; give checkpoint=FILE"
        )
    return Recording(kinds, int(every), min(int(every), tile))


class Schedule(NamedTuple):
    """How the steps of a trajectory are cut."""

    transient: int
    # counted ones, after the transient
    steps: int
    # tiles whose growth is summed into one row of the history
    tiles_per_row: int
    control: Control
    # steps from one forward pass to the next; a whole number of tiles
    chunk: int
    recording: Recording

    @property
    def total(self) -> int:
        """All steps, the transient included."""
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

    def rows_ending(self, start: int, stop: int) -> tuple[slice, Array]:
        """Return the rows of the history that end in a chunk, and the steps of it they end with."""
        rows = slice(self.rows_done(start), self.rows_done(stop))
        return rows, self.row_ends()[rows] - 1 - (start - self.transient)

    def shortened(self, steps: int) -> Schedule:
        """Return the schedule of the same run with so many counted steps."""
        tiles = -(-steps // self.control.tile)
        return self._replace(steps=steps, tiles_per_row=-(-tiles // HISTORY_ROWS))

    def tile_ends(self, steps: int) -> Array:
        """Return the steps at which the tiles of a chunk of ``steps`` end."""
        tile = self.control.tile
        return np.minimum(np.arange(tile, steps + tile, tile), steps)

    def chunks(self, position: int) -> Iterator[tuple[int, int]]:
        """Yield the chunks from ``position`` on; none spans the end of the transient."""
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
