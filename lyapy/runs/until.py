"""Runs that go on until their standard errors are small enough."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import check_size
from ..networks.network import Network
from ..spectra.spectrum import Spectrum
from ..spectra.status import target_reached
from .schedule import Recording, Schedule
from .trajectory import Trajectory, TrajectoryResult

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer
    from .plan import Plan

__all__ = ["Until", "check_until", "run_until"]

# the shortest run whose errors are computed, in steps
SHORTEST = 1024


class Until(NamedTuple):
    """A target for the largest standard error, and the most steps that it may take."""

    target: float
    most: int

    def lengths(self, chunk: int) -> Iterator[int]:
        """Yield the counted steps after which the errors are compared with the target.

        They double: frequent comparisons would stop at an error that is small by chance. All but
        the last end with a chunk, so that a run of so many steps is cut in the same way.
        """
        steps = chunk * -(-SHORTEST // chunk)
        while steps < self.most:
            yield steps
            steps *= 2
        yield self.most


def check_until(
    until: Any, max_steps: int, steps: int | None, network: Network, recording: Recording
) -> Until | None:
    """Return the target, or None if the number of steps is given.

    Raises
    ------
    ValueError
        If the target is no positive number, or another argument contradicts it.
    """
    if until is None:
        return None
    number = isinstance(until, (int, float, np.floating)) and not isinstance(until, bool)
    if not number or not 0.0 < until < np.inf:
        raise ValueError(f"until is {until!r}; it must be a standard error, a positive number")
    check_size("max_steps", max_steps, 1)
    if steps is not None:
        raise ValueError(
            f"steps is {steps} and until is {until:g}; give one of them, and max_steps with until"
        )
    if network.input_size:
        raise ValueError(
            f"until is {until:g}, but the network reads {network.input_size} inputs at every "
            "step, which end; give all of them, and read Spectrum.standard_error"
        )
    if recording.kinds:
        raise ValueError(
            f"record is {', '.join(recording.kinds)} and until is {until:g}, but the number of "
            "rows must be known; record a run of as many steps as until has found"
        )
    return Until(float(until), int(max_steps))


def run_until(plan: Plan, goal: Until, checkpointer: Checkpointer | None) -> Spectrum:
    """Return the spectrum of the first run that reaches the target, or of the longest.

    The trajectories continue from one length to the next. The result is that of a run of so many
    steps from the beginning, to the last bit.

    Parameters
    ----------
    plan : Plan
        Of the longest run, with rows of one tile, as the number of tiles is not known.
    """
    begun: dict[int, Trajectory] = {}
    position = checkpointer.position if checkpointer else 0
    for steps in goal.lengths(plan.schedule.chunk):
        fine = plan.lasting(plan.schedule._replace(steps=steps))
        # an earlier process went on from here, as the target was not reached
        if fine.schedule.total < position:
            continue
        results = fine.run(partial(_extended, fine, begun), checkpointer)
        coarse = plan.lasting(plan.schedule.shortened(steps))
        merged = [_merge_rows(result, coarse.schedule) for result in results]
        spectrum = coarse.finish(merged, checkpointer)
        if target_reached(spectrum, goal.target):
            break
    return spectrum


def _extended(plan: Plan, begun: dict[int, Trajectory], b: int) -> Trajectory:
    """Return trajectory ``b``, begun earlier or now, on its way to the end of the plan."""
    if b in begun:
        begun[b].extend(plan.schedule)
    else:
        begun[b] = plan.begin(b)
    return begun[b]


def _merge_rows(result: TrajectoryResult, schedule: Schedule) -> TrajectoryResult:
    """Return the result with the rows of ``schedule`` instead of tiles."""
    blocks = []
    for block in result.blocks:
        growth = np.zeros((schedule.rows, block.growth.shape[1]))
        np.add.at(growth, np.arange(len(block.growth)) // schedule.tiles_per_row, block.growth)
        blocks.append(block._replace(growth=growth))
    return result._replace(blocks=blocks)
