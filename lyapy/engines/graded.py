"""One step for graded Jacobians: saturated units, relu, closed gates.

Where one step spreads the deviation vectors over more than float64's digits, QR of any kind
loses the small ones to the rounding of the large ones. But if the map is graded because its
rows are (a unit's slope scales its row), Householder's QR with the rows sorted by size keeps
the relative accuracy of every R_ii of such a matrix (Cox and Higham 1998). A map that is a
product of such maps takes a QR after each.

What remains is estimated to first order. Let the frame be wrong by Q → Q (1 + E), where E is the
tilt of its vectors into one another: as J Q = Q′ R, log R_ii is wrong by the diagonal of R E R⁻¹,
and Q′ by its lower triangle. So a sample of the tilt is carried along, to which each QR adds a
sample of rounding. Two directions that have been tilted into one another exchange growth as soon
as a step orders them the other way round, which neither the spread nor the determinant shows.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from ..program import Program
from ..types import Array
from .interval import UNIT_ROUNDOFF
from .tangent_step import tangent_step

# part of the tolerance that the sizes of a stage's rows may use up without a QR of their own
SHARE = 0.01
# standard deviation of the rounding in an entry of a frame's image, relative to the entries of that
# row of the map: that of product and QR, and a margin, as it is a sample that stands for the error
ROUNDING = 10.0 * UNIT_ROUNDOFF

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
    error : array (k,)
        Sample of the error of log_r, from rounding and from the tilt before the step.
    tilt : array (k, k)
        Sample of the frame's error: row a of column b is that of the b-th vector along the a-th.
    """

    frame: Array
    log_r: Array
    scale: Array
    error: Array
    tilt: Array


def graded_step(
    program: Program, coefficients: Array, frame: Array, limit: float, tilt: Array | None = None
) -> GradedStep:
    """Advance a frame (k, D) by one step, reorthonormalizing after its stages.

    The size of the map's i-th largest row is the scale of the rounding in R_ii. A stage whose
    rows do not differ too much in size is taken together with the next.

    Parameters
    ----------
    limit : float
        Largest spread within the tolerance, as in `Control`.
    tilt : array (k, k), optional
        Of the frame, from the step before.
    """
    admitted = SHARE * math.exp(limit)
    k = len(frame)
    log_r, scale, error = np.zeros(k), np.full(k, -np.inf), np.zeros(k)
    tilt = np.zeros((k, k)) if tilt is None else tilt
    stages = program.stages or (program,)
    for stage in stages:
        frame = tangent_step(stage, coefficients, frame)
        sizes = np.linalg.norm(frame, axis=0)
        if stage is not stages[-1] and sizes.max() <= admitted * sizes.min():
            continue
        frame, upper, order = _sorted_qr(frame, sizes)
        with np.errstate(divide="ignore"):
            logs, largest = np.log(np.diagonal(upper)), np.log(sizes[order[:k]])
        found = _carry_tilt(upper, (frame * sizes) @ _rounding(*frame.shape).T, tilt)
        error += np.diagonal(found)
        # beyond 1, all of a vector is wrong
        tilt = np.tril(np.clip(found, -1.0, 1.0), -1)
        scale = np.logaddexp(scale + logs, largest + log_r)
        log_r = log_r + logs
    return GradedStep(frame, log_r, scale, error, tilt)


def _carry_tilt(upper: Array, rounding: Array, tilt: Array) -> Array:
    """Return R E R⁻¹ + δ R⁻¹ for the tilt E and a sample δ of the rounding of R, (k, k) each."""
    size = int(np.argmin(np.diagonal(upper) > 0.0)) or len(upper)
    found = np.full_like(upper, np.inf)
    # vectors from the first that vanished on are not known, but do not disturb those before
    R = upper[:size, :size]
    with np.errstate(all="ignore"):
        moved = R @ tilt[:size, :size] + rounding[:size, :size]
        found[:size, :size] = solve_triangular(R, moved.T, trans=1, check_finite=False).T
    return np.where(np.isnan(found), np.inf, found)


@cache
def _rounding(vectors: int, size: int) -> Array:
    """Return a sample (vectors, size) of rounding errors for rows of norm 1, always the same."""
    noise = np.random.default_rng(0).normal(size=(vectors, size))
    return np.asarray(ROUNDING * noise / math.sqrt(vectors))


def _sorted_qr(image: Array, sizes: Array) -> tuple[Array, Array, Array]:
    """Return orthonormal rows of ``image`` (k, D), R, and the order of the map's rows.

    The map's rows are the columns here, ``sizes`` (D,) their norms. The diagonal of R is not
    negative.
    """
    order = np.argsort(-sizes, kind="stable")
    columns, upper = np.linalg.qr(image.T[order])
    unsorted = np.empty_like(columns)
    unsorted[order] = columns
    signs = np.where(np.diagonal(upper) < 0.0, -1.0, 1.0)
    return np.ascontiguousarray((unsorted * signs).T), upper * signs[:, None], order
