"""The spectrum that the results of all trajectories make, and the shapes of its arrays."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..networks.blocks import DiagonalBlock
from ..spectra.rounding import bounding_growth
from ..spectra.spectrum import Spectrum
from ..tangent.state import Carry, hides
from .block import BlockResult
from .schedule import Schedule
from .trajectory import TrajectoryResult


class Layout(NamedTuple):
    """The shapes of a run's arrays."""

    trajectories: int
    state_size: int
    transient: int
    # counted steps at which the rows of the history end
    row_ends: Array
    # of the state, block by block
    columns: Array
    # counted steps at which the rows of the records end
    record_steps: Array
    # name of a record to the shape of one row
    record_shapes: dict[str, tuple[int, ...]]
    # whether the vectors of each block are orthogonalized, or each followed by itself
    coupled: Array

    @property
    def record_bytes(self) -> int:
        """Bytes of all records, in segments and once more in the run file."""
        per_row = sum(math.prod(shape) for shape in self.record_shapes.values())
        return 2 * 8 * per_row * len(self.record_steps) * self.trajectories


def make_layout(
    blocks: Sequence[DiagonalBlock], schedule: Schedule, trajectories: int, k: int
) -> Layout:
    """Return the layout of a run with up to k deviation vectors in each block."""
    sizes = [block.program.state_size for block in blocks]
    vectors = [block.vectors(k) for block in blocks]
    pairs = list(enumerate(zip(vectors, sizes, strict=True)))
    shapes: dict[str, tuple[int, ...]] = {"growth": (sum(vectors),), "states": (sum(sizes),)}
    for i, (rows, D) in pairs:
        shapes |= {f"frames/{i}": (rows, D), f"factors/{i}": (rows, rows)}
    kinds = schedule.recording.kinds
    return Layout(
        trajectories,
        sum(sizes),
        schedule.transient,
        schedule.row_ends(),
        np.concatenate([block.columns for block in blocks]),
        schedule.recording.row_ends(schedule.steps),
        {name: shape for name, shape in shapes.items() if name.partition("/")[0] in kinds},
        np.array([not block.decoupled for block in blocks]),
    )


def collect(
    results: Sequence[TrajectoryResult], layout: Layout, settings: dict[str, Any]
) -> Spectrum:
    """Return the spectrum of all trajectories, their blocks concatenated."""
    blocks = [result.blocks for result in results]
    carries = [[block.carry for block in found] for found in blocks]

    def counts(name: str) -> Array:
        return np.array([[getattr(carry.statistics, name) for carry in row] for row in carries])

    steps = int(layout.row_ends[-1])
    columns = [*zip(*blocks, strict=True)]
    errors = [
        np.stack([block.carry.statistics.numerical_error for block in column]) / steps
        for column in columns
    ]
    each = zip(columns, errors, layout.coupled.tolist(), strict=True)
    return Spectrum(
        growth=np.concatenate([_growth(*block, layout, settings) for block in each], axis=2),
        growth_steps=layout.row_ends,
        state_size=layout.state_size,
        transient=layout.transient,
        state_sizes=np.stack([result.sizes for result in results]),
        final_state=np.stack([result.state for result in results]),
        final_frame=np.stack([_join_frames(layout, row) for row in carries]),
        intervals=counts("intervals"),
        trailing_intervals=counts("trailing_intervals"),
        rejections=counts("rejections"),
        largest_spread=counts("largest_spread"),
        split=np.array([[carry.state.split for carry in row] for row in carries]),
        numerical_error=np.concatenate(errors, axis=1),
        norm_excess=counts("norm_excess"),
        frame_error=counts("frame_error"),
        determinants=np.array([[block.determinants for block in found] for found in blocks]),
        settings=settings,
    )


def _growth(
    results: Sequence[BlockResult],
    error: Array,
    coupled: bool,
    layout: Layout,
    settings: dict[str, Any],
) -> Array:
    """Return the growth (B, rows, k) of all trajectories in a block, with errors (B, k)."""
    growth, ends = np.stack([result.growth for result in results]), layout.row_ends
    hidden = hides(error.max(axis=0), settings["interval"], settings["tolerance"])
    if not coupled or not hidden.any():
        return growth
    # as far as it bounds the rounding of a fixed interval, of which more is in the growth
    most = 0.0 if settings["interval"] == "auto" else 1.0 / settings["interval"]
    error = np.where(hidden, np.minimum(error, most), error)
    steps = np.diff(ends, prepend=0)[:, None]
    return bounding_growth(growth, steps * error[:, None], hidden)


def _join_frames(layout: Layout, carries: list[Carry]) -> Array:
    rows, start = [], 0
    for carry in carries:
        k, D = carry.state.frame.shape
        placed = np.zeros((k, layout.state_size))
        placed[:, layout.columns[start : start + D]] = carry.state.frame
        rows.append(placed)
        start += D
    return np.concatenate(rows)


def merge_rows(result: TrajectoryResult, schedule: Schedule) -> TrajectoryResult:
    """Return a trajectory's result with the rows of ``schedule`` instead of tiles."""
    blocks = []
    for block in result.blocks:
        growth = np.zeros((schedule.rows, block.growth.shape[1]))
        np.add.at(growth, np.arange(len(block.growth)) // schedule.tiles_per_row, block.growth)
        blocks.append(block._replace(growth=growth))
    last = np.minimum(np.arange(1, schedule.rows + 1) * schedule.tiles_per_row, len(result.sizes))
    return result._replace(sizes=result.sizes[last - 1], blocks=blocks)
