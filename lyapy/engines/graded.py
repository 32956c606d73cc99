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

from ..program import Program
from ..types import Array
from .tangent_step import tangent_step

# part of the tolerance that the sizes of a stage's rows may use up without a QR of their own
SHARE = 0.01

__all__ = ["GradedStep", "graded_step"]


class GradedStep(NamedTuple):
    """Result of one step.

    Attributes
    ----------
    frame : array (k, D)
    log_r : array (k,)
        log R_ii of the step, of all its stages together; −∞ where a row has vanished.
    scale : array (k,)
        Logarithm of the scale of the rounding in each R_ii; −∞ where it is exact.
    """

    frame: Array
    log_r: Array
    scale: Array


def graded_step(program: Program, coefficients: Array, frame: Array, limit: float) -> GradedStep:
    """Advance a frame (k, D) by one step, reorthonormalizing after its stages.

    The size of the map's i-th largest row is the scale of the rounding in R_ii. A stage whose
    rows do not differ too much in size is taken together with the next.

    Parameters
    ----------
    limit : float
        Largest spread within the tolerance, as in `Control`.
    """
    admitted = SHARE * math.exp(limit)
    log_r, scale = np.zeros(len(frame)), np.full(len(frame), -np.inf)
    stages = program.stages or (program,)
    for stage in stages:
        frame = tangent_step(stage, coefficients, frame)
        sizes = np.linalg.norm(frame, axis=0)
        if stage is not stages[-1] and sizes.max() <= admitted * sizes.min():
            continue
        frame, logs, sizes = _sorted_qr(frame, sizes)
        scale = np.logaddexp(scale + logs, sizes + log_r)
        log_r = log_r + logs
    return GradedStep(frame, log_r, scale)


def _sorted_qr(image: Array, sizes: Array) -> tuple[Array, Array, Array]:
    """Return orthonormal rows of ``image`` (k, D), log R_ii, and the k largest log sizes.

    The map's rows are the columns here, ``sizes`` (D,) their norms.
    """
    order = np.argsort(-sizes, kind="stable")
    columns, upper = np.linalg.qr(image.T[order])
    unsorted = np.empty_like(columns)
    unsorted[order] = columns
    diagonal = np.diagonal(upper)
    signs = np.where(diagonal < 0.0, -1.0, 1.0)
    with np.errstate(divide="ignore"):
        logs, scales = np.log(np.abs(diagonal)), np.log(sizes[order[: len(image)]])
    return np.ascontiguousarray((unsorted * signs).T), logs, scales
