"""The shapes of a run's arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ...arrays import Array
from ...networks.blocks import DiagonalBlock
from ...networks.network import Network
from ..schedule import Schedule

__all__ = ["Layout", "layout_of"]


class Layout(NamedTuple):
    """The shapes of a run's arrays.

    Attributes
    ----------
    trajectories, state_size, transient : int
    row_ends : array (rows,)
        Counted steps at which the rows of the history end.
    starts : list of int
        Of the parts of the network, in its state.
    record_steps : array (rows,)
        Counted steps at which the rows of the records end.
    record_shapes : dict
        Name of a record to the shape of one row.
    """

    trajectories: int
    state_size: int
    transient: int
    row_ends: Array
    starts: list[int]
    record_steps: Array
    record_shapes: dict[str, tuple[int, ...]]

    @property
    def record_bytes(self) -> int:
        """Bytes of all records, as segments and once more in the run file."""
        per_row = sum(math.prod(shape) for shape in self.record_shapes.values())
        return 2 * 8 * per_row * len(self.record_steps) * self.trajectories


def layout_of(
    network: Network, parts: Sequence[DiagonalBlock], schedule: Schedule, trajectories: int, k: int
) -> Layout:
    """Return the layout of a run of frames with up to k rows for each part."""
    kinds = schedule.recording.kinds
    sizes = [part.program.state_size for part in parts]
    vectors = [part.vectors(k) for part in parts]
    shapes: dict[str, tuple[int, ...]] = {}
    if "growth" in kinds:
        shapes["growth"] = (sum(vectors),)
    if "states" in kinds:
        shapes["states"] = (network.state_size,)
    for i, (rows, D) in enumerate(zip(vectors, sizes, strict=True)):
        if "frames" in kinds:
            shapes[f"frames/{i}"] = (rows, D)
        if "factors" in kinds:
            shapes[f"factors/{i}"] = (rows, rows)
    return Layout(
        trajectories,
        network.state_size,
        schedule.transient,
        schedule.row_ends(),
        [part.start for part in parts],
        schedule.recording.row_ends(schedule.steps),
        shapes,
    )
