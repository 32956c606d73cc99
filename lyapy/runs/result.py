"""From the results of the trajectories to one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from ..spectra.spectrum import Spectrum
from ..tangent.state import Carry
from .checkpoint.shapes import Layout
from .trajectory import TrajectoryResult

__all__ = ["collect"]


def collect(
    results: Sequence[TrajectoryResult], layout: Layout, settings: dict[str, Any]
) -> Spectrum:
    """Join the trajectories, and the parts behind one another."""
    carries = [[part.carry for part in found] for _, found in results]

    def counts(name: str) -> Array:
        return np.array([[getattr(carry, name) for carry in row] for row in carries])

    return Spectrum(
        growth=np.stack(
            [np.concatenate([p.growth for p in found], axis=1) for _, found in results]
        ),
        growth_steps=layout.row_ends,
        state_size=layout.state_size,
        transient=layout.transient,
        final_state=np.stack([state for state, _ in results]),
        final_frame=np.stack([_join_frames(layout, row) for row in carries]),
        intervals=counts("intervals"),
        trailing_intervals=counts("trailing_intervals"),
        rejections=counts("rejections"),
        largest_spread=counts("largest_spread"),
        split=counts("split"),
        numerical_error=np.stack([np.hstack([c.numerical_error for c in row]) for row in carries])
        / layout.row_ends[-1],
        norm_excess=counts("norm_excess"),
        frame_error=counts("frame_error"),
        determinants=np.array([[part.determinants for part in found] for _, found in results]),
        settings=settings,
    )


def _join_frames(layout: Layout, carries: list[Carry]) -> Array:
    rows = []
    for start, carry in zip(layout.starts, carries, strict=True):
        k, D = carry.frame.shape
        placed = np.zeros((k, layout.state_size))
        placed[:, start : start + D] = carry.frame
        rows.append(placed)
    return np.concatenate(rows)
