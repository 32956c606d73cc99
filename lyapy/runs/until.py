"""Runs that go on until their standard errors are small enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import check_size
from ..networks.network import Network
from ..spectra.spectrum import Spectrum
from ..spectra.status import target_reached
from .recording import Recording
from .schedule import Schedule
from .trajectory import Trajectory, TrajectoryResult

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer

__all__ = ["Until", "check_until", "run_until"]

# the shortest run that is looked at, in steps
SHORTEST = 1024


class Until(NamedTuple):
    """A target for the largest standard error, and the most steps that it may take."""

    target: float
    most: int

    def lengths(self, chunk: int) -> Iterator[int]:
        """Yield the counted steps after which the errors are looked at.

        They double, so that the errors are looked at a few times only: who looks often stops at
        errors that are small by chance. All but the last end with a chunk of time, so that a
        run of so many steps from the beginning is cut in the same way.
        """
        steps = chunk * -(-SHORTEST // chunk)
        while steps < self.most:
            yield steps
            steps *= 2
        yield self.most


def check_until(
    until: Any, max_steps: int, steps: int | None, network: Network, recording: Recording
) -> Until | None:
    """Return the target, or None where the number of steps is given.

    Raises
    ------
    ValueError
        If the target is no positive number, or goes with none of the other arguments.
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
            "step, which end; give all of them, and see Spectrum.standard_error"
        )
    if recording.kinds:
        raise ValueError(
            f"record is {', '.join(recording.kinds)} and until is {until:g}; how many rows there "
            "will be must be known: record a run of so many steps once until has found them"
        )
    return Until(float(until), int(max_steps))


def run_until(
    goal: Until,
    schedule: Schedule,
    begin: Callable[[int, Schedule], Trajectory],
    run_all: Callable[..., list[TrajectoryResult]],
    finish: Callable[[list[TrajectoryResult], Schedule], Spectrum],
    checkpointer: Checkpointer | None = None,
) -> Spectrum:
    """Return the spectrum of the first run that reaches the target, or of the longest.

    The trajectories go on from one length to the next. What they come to is that of a run of
    so many steps from the beginning, to the last bit.

    Parameters
    ----------
    schedule : Schedule
        Of the longest run, in rows of one tile, until it is known how many there are.
    begin
        From the number of a trajectory, and how it is cut, to its beginning.
    run_all
        Runs the trajectories, which its argument returns by number, to their end.
    finish
        From the results, and how they are cut, to the spectrum.
    checkpointer : Checkpointer, optional
        Puts the trajectories where they were left, and takes what they come to.
    """
    trajectories: dict[int, Trajectory] = {}
    left = checkpointer.position if checkpointer else 0
    for steps in goal.lengths(schedule.chunk):
        fine = schedule._replace(steps=steps)
        if fine.total < left:
            # whoever went on had not found the target reached
            continue

        def go_on(b: int, fine: Schedule = fine) -> Trajectory:
            if b in trajectories:
                trajectories[b].extend(fine)
            else:
                trajectories[b] = begin(b, fine)
            return trajectories[b]

        results = run_all(go_on, steps=fine.total, checkpointer=checkpointer)
        coarse = schedule.shortened(steps)
        spectrum = finish([_merge_rows(result, coarse) for result in results], coarse)
        if target_reached(spectrum, goal.target):
            break
    return spectrum


def _merge_rows(result: TrajectoryResult, schedule: Schedule) -> TrajectoryResult:
    """Return the result with the rows of ``schedule`` instead of tiles."""
    parts = []
    for part in result.parts:
        growth = np.zeros((schedule.rows, part.growth.shape[1]))
        np.add.at(growth, np.arange(len(part.growth)) // schedule.tiles_per_row, part.growth)
        parts.append(part._replace(growth=growth))
    return result._replace(parts=parts)
