"""Status of a spectrum: whether it can be relied on, with advice."""

import math
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..tangent.state import RESOLVED
from .exponents import Exponents
from .quantities import counted
from .stationarity import LEAST_ROWS, drifting, memory, time_noise

FAILED = "failed check"
CONVERGED = "converged"
NOT_CONVERGED = "not converged"
INTERRUPTED = "interrupted"
UNRESOLVED = "unresolved tail"

# autocorrelation times in a run below which block averages underestimate the error
LEAST_TIMES = 50
# steps, with the transient, below which deviation vectors may not have found their directions
LEAST_STEPS = 64
# the frame's error in roots of the tolerance, of which a block of rows is admitted one
FRAME_ROOTS = 100.0
# autocorrelation times in each of several trajectories below which their growth is not stationary
LEAST_TIMES_OF_EACH = 8


class Status(NamedTuple):
    """Status of a run, with advice.

    Attributes
    ----------
    code : str
        ``converged``, ``not converged``, ``interrupted``, ``unresolved tail`` or ``failed check``.
    advice : str
        A finding and its remedy in each sentence; empty where there is nothing to do.
    """

    code: str
    advice: str


def status_of(spectrum: Exponents) -> Status:
    """Return whether a spectrum can be relied on: the first code that applies, all advice.

    ``failed check``: the run contradicts itself, as growth exceeds the norms of the Jacobians, a
    frame is not orthonormal, or the sum of the exponents is not the mean log|det J|.
    ``interrupted``: fewer steps were counted than asked for. ``not converged``: the state grows
    without bound, standard errors are unknown or miss the target, the run is too short to show
    whether exponents drift (8 rows of the history), shorter than 64 steps or 50 autocorrelation
    times (8 in each of several trajectories), seams of segments are open, trajectories differ by
    more than their errors, or exponents drift. ``unresolved tail``: float64 does not resolve all
    exponents.
    """
    checks = {
        FAILED: _failed(spectrum),
        INTERRUPTED: _interrupted(spectrum),
        NOT_CONVERGED: _not_converged(spectrum),
        UNRESOLVED: _unresolved(spectrum),
    }
    found = {code: advice for code, advice in checks.items() if advice}
    return Status(next(iter(found), CONVERGED), " ".join(found.values()))


def target_reached(spectrum: Exponents, target: float) -> bool:
    """Return whether all standard errors are known, reliable, and within the target."""
    living = np.isfinite(spectrum.exponents)
    error = spectrum.standard_error[living]
    return not living.any() or bool(np.all(error <= target) and not _short(spectrum, living))


def _failed(spectrum: Exponents) -> str:
    tolerance, interval = spectrum.settings["tolerance"], spectrum.settings["interval"]
    if interval != "auto" and spectrum.bounded.all():
        return (
            f"Intervals of {interval} steps hide the growth of all exponents. Do not use it. Give "
            "interval='auto'."
        )
    checks = (
        (
            "growth exceeds its bounds by the norms of the Jacobians, in nats per step,",
            float(spectrum.norm_excess.max()),
            RESOLVED * tolerance,
        ),
        (
            "rows of the last frame are not orthonormal",
            float(spectrum.frame_error.max()),
            FRAME_ROOTS * math.sqrt(tolerance),
        ),
        (
            "the sum of the exponents is not the mean log|det J|, for each in nats per step,",
            # a known rounding error is no contradiction
            spectrum.sum_rule_residual if spectrum.resolved.all() else 0.0,
            RESOLVED * tolerance,
        ),
    )
    failed = [f"{check} by {found:.2g}" for check, found, allowed in checks if found > allowed]
    if not failed:
        return ""
    remedy = (
        "Compute it with backend='numpy'; where that agrees with itself, the fault is the "
        "engine's: report it."
        if interval == "auto"
        else "Give interval='auto'."
    )
    return f"The run contradicts itself: {'; '.join(failed)}. Do not use it. {remedy}"


def _interrupted(spectrum: Exponents) -> str:
    if not spectrum.settings.get("interrupted"):
        return ""
    return (
        f"The run was interrupted after {spectrum.steps} counted steps: run it again to continue."
    )


def _unresolved(spectrum: Exponents) -> str:
    bounded, estimated = spectrum.bounded, spectrum.estimated
    if not (bounded | estimated).any():
        return ""
    found = []
    if bounded.any():
        of = f"of {len(bounded)} exponents"
        bounds = (f"{of} is an upper bound", f"{of} are upper bounds")
        found.append(counted(np.count_nonzero(bounded), *bounds))
    if estimated.any():
        error = f"a rounding error of up to {spectrum.rounding_error[estimated].max():.1g}"
        estimates = counted(np.count_nonzero(estimated), "is an estimate", "are estimates")
        found.append(f"{estimates} with {error} nats per step")
    return (
        f"{' and '.join(found)}: float64 resolves no more, and more steps do not help. "
        "interval='auto' resolves the most; k= leaves them out."
    )


def _not_converged(spectrum: Exponents) -> str:
    living = np.isfinite(spectrum.exponents)
    if not living.any():
        return ""
    if spectrum.escaping.any():
        return (
            f"The state of {np.count_nonzero(spectrum.escaping)} of {spectrum.trajectories} "
            f"trajectories grows without bound, up to {spectrum.state_sizes.max():.1g}: the "
            "exponents are those of an escaping orbit, not of an attractor. Give another initial "
            "state or other inputs, if the network has a bounded orbit."
        )
    error = spectrum.standard_error[living]
    if np.isnan(error).any():
        return (
            f"Standard errors are unknown: one trajectory of {spectrum.steps} steps is too short "
            "for block averages. Give more steps or trajectories."
        )
    target = spectrum.settings.get("until")
    if target and error.max() > target[0]:
        return (
            f"The largest standard error is {error.max():.2g}, the target was {target[0]:.2g}. "
            f"About {spectrum.steps * (error.max() / target[0]) ** 2:.1g} steps would reach it."
        )
    rows = len(spectrum.growth_steps)
    seen = spectrum.transient + spectrum.steps
    if rows < LEAST_ROWS or seen < LEAST_STEPS:
        enough = max(LEAST_ROWS * int(spectrum.growth_steps[0]), LEAST_STEPS)
        return (
            f"The run is too short to show whether the exponents drift: each trajectory has "
            f"{spectrum.steps} counted steps, {enough} would do."
        )
    if short := _short(spectrum, living):
        return short
    settings = spectrum.settings
    if settings.get("seam_error", 0.0) > RESOLVED * settings["tolerance"]:
        return (
            f"The seams of {settings['segments']} segments leave up to "
            f"{settings['seam_error']:.1g} nats per step open: vectors of exponents that agree "
            "take long to settle. Give fewer segments, or none."
        )
    if spectrum.apart.any():
        return (
            f"{_counted(spectrum.apart, 'differ')} between trajectories by more "
            "than the errors: the trajectories are on different attractors, or not settled. "
            "Spectrum.per_trajectory has the exponents of each; a longer transient settles them."
        )
    growth, tolerance = (
        spectrum.growth[:, :, spectrum.order[living]],
        spectrum.settings["tolerance"],
    )
    shared = spectrum.shared_inputs
    drifts = drifting(growth, spectrum.growth_steps, tolerance, shared_inputs=shared)
    if drifts.any():
        return (
            f"{_counted(drifts, 'drift')} from the beginning of the run to its "
            "second half by more than their errors allow. Give a longer transient."
        )
    return ""


def _counted(which: Array, verb: str) -> str:
    return counted(np.count_nonzero(which), f"exponent {verb}s", f"exponents {verb}")


def _short(spectrum: Exponents, living: Array) -> str:
    if len(spectrum.growth) > 1:
        return _unsettled(spectrum, living)
    longest = float(spectrum.uncertainty.correlation_time[living].max())
    # half a row stands for growth without correlation between rows
    noise = time_noise(len(spectrum.growth_steps))
    seen = longest - (0.5 + noise) * int(spectrum.growth_steps[0])
    if spectrum.steps >= LEAST_TIMES * seen:
        return ""
    return (
        f"The run is {spectrum.steps / longest:.0f} autocorrelation times long ({longest:.0f} "
        f"steps each), and standard errors may be too small below {LEAST_TIMES}. Give more "
        "steps, or several trajectories."
    )


def _unsettled(spectrum: Exponents, living: Array) -> str:
    growth = spectrum.growth[:, :, spectrum.order[living]]
    longest = memory(growth, spectrum.growth_steps, spectrum.settings["tolerance"])
    if spectrum.steps >= LEAST_TIMES_OF_EACH * longest:
        return ""
    return (
        f"Growth is correlated over {longest:.0f} of {spectrum.steps} steps of each trajectory: "
        "the trajectories are on different attractors, leave a transient at different times, or "
        "are too short to decide. Give more steps, or a longer transient, and see "
        "Spectrum.per_trajectory."
    )
