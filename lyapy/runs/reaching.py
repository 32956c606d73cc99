"""Runs with as many vectors as a measure needs, estimated by short runs, confirmed by the whole."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import Array
from ..spectra.measures import entropy_rate, kaplan_yorke_dimension
from ..spectra.spectrum import Spectrum
from .checkpoint.folder import checkpoint_folder, newest_state
from .checkpoint.identity import differing, is_place
from .computation import compute_spectrum
from .options import Keep
from .plan import Plan
from .start import Start, check_frame

REACHED: dict[str, Callable[[Array, int], float]] = {
    "kaplan-yorke": kaplan_yorke_dimension,
    "entropy": entropy_rate,
}
# vectors of the first short run, which are doubled, and its counted steps
FIRST = 8
SHORT = 1024


def spectrum_reaching(
    measure: str, plan_of: Callable[[int], Plan], run: Callable[[Plan, Keep], Spectrum], keep: Keep
) -> tuple[Spectrum, Plan]:
    """Return a run whose k exponents reach a measure, or are all, as spectrum and plan.

    The result is that of a run of this k, to the last bit. k is that of an earlier process that
    computed the same run, or follows from short runs of the first trajectory. The measure is a
    name in `REACHED`.
    """

    def marked(k: int) -> Plan:
        plan = plan_of(k)
        return replace(plan, settings=plan.settings | {"k_reaches": measure})

    plan = marked(1)
    D = plan.network.state_size
    k = _earlier(plan, keep) or _estimate(measure, marked, D)
    while True:
        spectrum = run(plan := marked(k), keep)
        if k == D or _needed(measure, spectrum.exponents, D):
            return spectrum, plan
        k = min(math.ceil(1.25 * k) + 2, D)
        # the result just computed, which is too small
        keep = replace(keep, overwrite=True)


def check_k(k: Any, frame: Any, state_size: int) -> None:
    """Raise ValueError unless ``k`` is a number of exponents, or names a measure that finds it."""
    if not isinstance(k, str):
        check_frame(frame, k, state_size)
    elif k not in REACHED:
        known = " or ".join(map(repr, REACHED))
        raise ValueError(f"k is {k!r}; it must be a whole number, {known}")
    elif not isinstance(frame, str):
        raise ValueError(
            f"k is {k!r}, but frame is an array, which has the number; give one of them"
        )


def _needed(measure: str, exponents: Array, state_size: int) -> int:
    """Return how many leading exponents the measure needs; 0 if more than there are."""
    exponents = -np.sort(-exponents)
    for k in range(1, len(exponents) + 1):
        if math.isfinite(REACHED[measure](exponents[:k], state_size)):
            return k
    return 0


def _estimate(measure: str, plan_of: Callable[[int], Plan], state_size: int) -> int:
    """Return the number that short runs suggest, with a margin for their errors."""
    k = min(FIRST, state_size)
    while k < state_size:
        plan = plan_of(k)
        schedule = plan.schedule
        schedule = schedule._replace(recording=schedule.recording._replace(kinds=()))
        start = Start(plan.start.inputs[:1], plan.start.states[:1])
        whole = replace(plan.compute, segments=1)
        plan = replace(plan, start=start, goal=None, compute=whole)
        short = plan.lasting(schedule.shortened(min(SHORT, schedule.steps)))
        needed = _needed(measure, compute_spectrum(short).exponents, state_size)
        if needed:
            return min(math.ceil(1.15 * needed) + 2, state_size)
        k = min(2 * k, state_size)
    return k


def _earlier(plan: Plan, keep: Keep) -> int | None:
    """Return the k with which an earlier process computes, or has computed, this run."""
    if keep.checkpoint is None:
        return None
    saved = newest_state(checkpoint_folder(keep.path))
    found: list[dict[str, Any]] = [saved.settings] if saved else []
    if keep.path.exists() and not keep.overwrite:
        found.append(Spectrum.load(keep.path).settings)
    for settings in found:
        different = differing(settings, plan.settings).keys() - {"k"}
        if all(map(is_place, different)):
            return int(settings["k"])
    return None
