"""What a run is to record on its way: growth, states, frames, R factors, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..tangent.interval import Control

__all__ = ["Recording", "make_recording"]

KINDS = ("growth", "states", "frames", "factors")


class Recording(NamedTuple):
    """What is recorded, and every how many steps.

    Attributes
    ----------
    kinds : tuple of str
        Of `KINDS`; none where only the history is kept.
    every : int
        Counted steps from one row to the next.
    tile : int
        Steps after which a reorthonormalization takes place in any case; divides ``every``.
    """

    kinds: tuple[str, ...]
    every: int
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
        """Return the steps of a chunk, up to ``longest``, so that frames are seen at row ends."""
        if not self.needs_frames:
            return longest
        tiles = self.every // self.tile
        return self.tile * max(c for c in range(1, longest // self.tile + 1) if tiles % c == 0)


def make_recording(
    record: str | Sequence[str], record_every: int | None, control: Control
) -> Recording:
    """Return the recording that the arguments ask for, with the intervals of ``control``.

    Raises
    ------
    ValueError
        If there is no such record, or the rows do not fit the interval.
    """
    kinds = (record,) if isinstance(record, str) else tuple(record)
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise ValueError(f"record is {record!r}; it must be any of {', '.join(KINDS)}")
    kinds = tuple(kind for kind in KINDS if kind in kinds)
    unit, tile = control.fixed or 1, control.tile
    if record_every is None:
        # the history is enough
        return Recording(() if kinds == ("growth",) else kinds, tile, tile)
    whole = isinstance(record_every, (int, np.integer)) and not isinstance(record_every, bool)
    step = unit if whole and record_every <= tile else tile
    if not whole or record_every < 1 or record_every % step:
        raise ValueError(
            f"record_every is {record_every!r}; it must be a whole number of steps"
            + (f", up to {tile} a multiple of interval={unit}" if unit > 1 else f" up to {tile}")
            + f", or a multiple of {tile}"
        )
    return Recording(kinds, int(record_every), min(int(record_every), tile))
