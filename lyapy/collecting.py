"""From the results of the trajectories to one spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .engines.carry import Carry
from .network import Network, Part
from .schedule import Schedule
from .spectrum import Spectrum
from .trajectory import TrajectoryResult
from .types import Array

__all__ = ["collect"]


def collect(
    network: Network,
    parts: Sequence[Part],
    results: Sequence[TrajectoryResult],
    schedule: Schedule,
    settings: dict[str, Any],
) -> Spectrum:
    """Join the trajectories, and the parts behind one another."""
    carries = [[part.carry for part in found] for _, found in results]

    def counts(name: str) -> Array:
        return np.array([[getattr(carry, name) for carry in row] for row in carries])

    return Spectrum(
        growth=np.stack(
            [np.concatenate([p.growth for p in found], axis=1) for _, found in results]
        ),
        growth_steps=schedule.row_ends(),
        state_size=network.state_size,
        transient=schedule.transient,
        final_state=np.stack([state for state, _ in results]),
        final_frame=np.stack([_join_frames(network, parts, row) for row in carries]),
        intervals=counts("intervals"),
        trailing_intervals=counts("trailing_intervals"),
        rejections=counts("rejections"),
        largest_spread=counts("largest_spread"),
        split=counts("split"),
        numerical_error=np.stack([np.concatenate([c.error for c in row]) for row in carries])
        / schedule.steps,
        determinants=np.array([[part.determinants for part in found] for _, found in results]),
        settings=settings,
    )


def _join_frames(network: Network, parts: Sequence[Part], carries: list[Carry]) -> Array:
    rows = []
    for part, carry in zip(parts, carries, strict=True):
        placed = np.zeros((len(carry.frame), network.state_size))
        placed[:, part.start : part.start + part.program.state_size] = carry.frame
        rows.append(placed)
    return np.concatenate(rows)
