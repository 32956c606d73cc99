"""A plan computed: to its last step, or to its target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..spectra.spectrum import Spectrum
from ..spectra.status import target_reached
from .plan import Plan
from .result import merge_rows
from .segments import run_segments
from .threads import limit_blas
from .trajectory import Trajectory
from .until import Until

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer


def compute_spectrum(plan: Plan, checkpointer: Checkpointer | None = None) -> Spectrum:
    """Compute a plan, from where the checkpointer restores it."""
    # threads of BLAS inside the threads here would fight for the cores
    with limit_blas(plan.compute.blas_threads):
        if plan.goal is not None:
            return run_until(plan, plan.goal, checkpointer)
        if checkpointer is not None and checkpointer.saved.number:
            # goes on as it was begun
            plan = plan.in_segments(checkpointer.saved.settings["segments"])
        if plan.compute.segments != 1:
            return plan.finish(*run_segments(plan, checkpointer), checkpointer)
        return plan.finish(plan.run(plan.begin, checkpointer), {}, checkpointer)


def run_until(plan: Plan, goal: Until, checkpointer: Checkpointer | None) -> Spectrum:
    """Return the spectrum of the first run that reaches the target, or of the longest.

    The trajectories continue from one length to the next, in rows of one tile; the result is that
    of a run of so many steps from the beginning, to the last bit.
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
        merged = [merge_rows(result, coarse.schedule) for result in results]
        spectrum = coarse.finish(merged, {}, checkpointer)
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
