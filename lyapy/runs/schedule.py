"""How a trajectory is cut in time: tiles, chunks, rows of the history, rows of the records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Array, check_size
from ..networks.network import Network
from ..tangent.interval import Control
from .options import Keep

HISTORY_ROWS = 1024
# so many that calls into compiled code are few, so few that they stay in a cache
CHUNK_BYTES = 1024 * 1024
CHUNK_TILES = 64
# counted steps, and chunks, of a segment of a trajectory below which "auto" makes no more of them
LEAST_STEPS = 4096
LEAST_CHUNKS = 4


class Recording(NamedTuple):
    """Kinds and spacing of the recorded rows."""

    # as Keep.kinds; empty if the history suffices
    kinds: tuple[str, ...]
    # counted steps from one row to the next
    every: int
    # steps after which a reorthonormalization takes place in any case; divides every
    tile: int
    # whether the history has these rows, as there is no file
    in_history: bool = False

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
    growth_only, in_history = kinds == ("growth",), False
    if growth_only and (every is None or keep.checkpoint is None):
        kinds, in_history = (), every is not None
    every = tile if every is None else every
    whole = isinstance(every, (int, np.integer)) and not isinstance(every, bool)
    if not whole or every < 1 or every % unit:
        raise ValueError(
            f"record_every is {every!r}; it must be a whole number of steps, at least 1"
            + (f", and a multiple of interval={unit}" if unit > 1 else "")
        )
    if kinds and keep.checkpoint is None:
        raise ValueError(
            f"record is {', '.join(kinds)}, which needs a file to go to; give checkpoint=FILE"
        )
    divisors = (size for size in range(unit, min(tile, every) + 1, unit) if every % size == 0)
    return Recording(kinds, int(every), max(divisors), in_history)


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
        per_row = -(-tiles // HISTORY_ROWS)
        if self.recording.in_history:
            per_row = self.recording.every // self.recording.tile
        return self._replace(steps=steps, tiles_per_row=per_row)

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
    """Return the schedule whose history has the rows asked for, or `HISTORY_ROWS` at most."""
    entries = sum(c.size for layer in network.program.coefficients for c in layer.values())
    most = CHUNK_BYTES // (8 * max(entries, 1) * control.tile)
    chunk = recording.chunk(control.tile * min(max(most, 1), CHUNK_TILES))
    return Schedule(transient, steps, 1, control, chunk, recording).shortened(steps)


def check_segments(
    segments: int | str, schedule: Schedule, obstacle: str, together: int, on_device: bool
) -> int:
    """Return the number of segments; "auto" makes as many long ones as can run ``together``.

    More than one are refused where there is an ``obstacle``.
    """
    if segments == "auto":
        least = LEAST_STEPS if on_device else max(LEAST_CHUNKS * schedule.chunk, LEAST_STEPS)
        most = min(together, schedule.steps // least)
        return 1 if obstacle else max(most, 1)
    most = max(schedule.steps // (2 * schedule.control.tile), 1)
    check_size("segments", segments, 1, most, f"there are {schedule.steps} counted steps")
    if segments != 1 and obstacle:
        raise ValueError(f"segments is {segments}, but {obstacle}; leave it out")
    return int(segments)
