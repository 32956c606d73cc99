"""One step for graded Jacobians: saturated units, relu, closed gates.

Where one step spreads the deviation vectors over more than float64's digits, QR of any kind
loses the small ones to the rounding of the large ones. But if the map is graded because its
rows are (a unit's slope scales its row), Householder's QR with the rows sorted by size keeps
the relative accuracy of every R_ii (Cox and Higham 1998). A map that is a product of such maps
takes a QR after each.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...networks.apply import absolute, tangent_step
from ...networks.program import Program
from .householder import sorted_qr
from .tilt import SAMPLES, carry_tilt

# share of the tolerance that the sizes of a stage's rows may use up without a separate QR
SHARE = 0.01

__all__ = ["GradedStep", "graded_step"]


class GradedStep(NamedTuple):
    """Result of one step.

    Attributes
    ----------
    frame : array (k, D)
    log_r : array (k,)
        log R_ii of all stages of the step; −∞ where a row has vanished.
    scale : array (k,)
        Logarithm of the scale of the rounding in each R_ii; −∞ where it is exact.
    errors : array (k, samples)
        Sample of the errors of log_r, from rounding and from the tilt before the step.
    tilt : array (k, samples, k)
        Sample of the tilt of the frame after the step.
    """

    frame: Array
    log_r: Array
    scale: Array
    errors: Array
    tilt: Array


def graded_step(
    program: Program, coefficients: Array, frame: Array, limit: float, tilt: Array, seed: int
) -> GradedStep:
    """Advance a frame (k, D) by one step, reorthonormalizing after its stages.

    The size of the map's i-th largest row is the scale of the rounding in R_ii. A stage whose
    rows do not differ too much in size is joined with the next.

    Parameters
    ----------
    limit : float
        Largest spread within the tolerance, as in `Control`.
    tilt : array (k, samples, k)
        Sample of the frame's tilt; see `lyapy.tangent.graded.tilt`.
    seed : int
        Chooses the sample of the rounding.
    """
    admitted = SHARE * math.exp(limit)
    log_r, scale = np.zeros(len(frame)), np.full(len(frame), -np.inf)
    errors = np.zeros((len(frame), SAMPLES))
    stages = program.stages or (program,)
    reach = np.abs(frame)
    for number, stage in enumerate(stages):
        frame = tangent_step(stage, coefficients, frame)
        reach = tangent_step(absolute(stage), np.abs(coefficients), reach)
        sizes = np.linalg.norm(frame, axis=0)
        if stage is not stages[-1] and sizes.max() <= admitted * sizes.min():
            continue
        factors = sorted_qr(frame, sizes)
        stage_errors, tilt = carry_tilt(factors, frame, reach, tilt, 3 * seed + number)
        errors += stage_errors
        frame, reach = factors.frame, np.abs(factors.frame)
        with np.errstate(divide="ignore"):
            logs = np.log(np.diagonal(factors.upper))
            rows = np.log(sizes[factors.order[: len(frame)]])
        scale = np.logaddexp(scale + logs, rows + log_r)
        log_r = log_r + logs
    return GradedStep(frame, log_r, scale, errors, tilt)
