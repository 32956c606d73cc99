"""Runs of steps for graded Jacobians: saturated units, relu, closed gates.

Where one step spreads the deviation vectors over more than float64's digits, the QR of an ordinary
interval loses the small ones to the rounding of the large ones. But if the map is graded because
its rows are (a unit's slope scales its row), elimination with partial pivoting keeps them: no
operation mixes the rows, so none notices their scale. A map that is a product of such maps is
factorized after each, unless the rows of an image are still alike.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...arrays import UNIT_ROUNDOFF, Array
from ...networks.apply import tangent_step
from ...networks.program import Program
from ..interval import (
    TINY,
    UNDERFLOW,
    Control,
    admitted_ratio,
    dual_sign,
    eliminated_growth,
    eliminated_spread,
    leaves_run,
    next_rate,
)
from .elimination import Factors, eliminate, fillings, reflect

# of the frame by elimination; random matrices stay far below
LARGEST_DUAL = 1e6


class GradedRun(NamedTuple):
    """Result of a run of graded steps.

    Attributes
    ----------
    frame : array (k, D)
        Orthonormal.
    log_r, growth : array (k,)
        Σ log R_ii, −∞ where a row has vanished; and the same with upper bounds where rounding
        hides it. NaN if a norm overflowed.
    error : array (k,)
        Rounding in the growth itself, ∞ where it is hidden.
    steps : int
        Steps taken.
    rate : float
        Expected spread per step.
    spread : float
        The largest of log R_ii above its rounding, at one factorization.
    dual : float
        Largest |R⁻ᵀ b| of the frame by elimination, which shows its condition; ∞ after an overflow.
    """

    frame: Array
    log_r: Array
    growth: Array
    error: Array
    steps: int
    rate: float
    spread: float
    dual: float


def graded_run(
    program: Program,
    coefficients: Array,
    scales: Array,
    frame: Array,
    control: Control,
    rate: float,
    factorize: Callable[[Array, Array], Factors] = eliminate,
) -> GradedRun:
    """Advance a frame (k, D) by graded steps, until they may be ordinary ones.

    Parameters
    ----------
    coefficients : array (T, C)
        Of the steps to take at most. All are taken where ``control.graded``.
    scales : array (T,)
        Numbers by which the frame is multiplied before each stage of a step: not seen in exact
        arithmetic, they change all rounding. With others than 1 the images are moved by the size
        of what may have underflowed, too.
    rate : float
        Expected spread per step. Below the limit, the next step may be an ordinary one.
    """
    k, D = frame.shape
    floor, admitted = math.log(D * UNIT_ROUNDOFF), admitted_ratio(control.limit)
    log_r, growth, error = np.zeros((3, k))
    stages, scale, widest, step = program.stages or (program,), 1.0, 0.0, 0
    sampled = bool((scales != 1.0).any())
    for step, values in enumerate(coefficients, 1):
        gained, factorized = np.zeros(k), False
        for number, stage in enumerate(stages, 1):
            scale *= scales[step - 1]
            frame = tangent_step(stage, values, scales[step - 1] * frame)
            if sampled:
                frame = add_underflowed(frame)
            sizes = np.abs(frame).max(axis=0)
            if not np.isfinite(sizes).all():
                return _overflowed(frame, step)
            if sizes.max() <= admitted * sizes.min() and (factorized or number < len(stages)):
                continue
            frame, diagonal, terms = factorize(frame, sizes)
            factorized = True
            with np.errstate(divide="ignore"):
                logs, tops = np.log([diagonal / scale, terms / scale])
            for i in range(k):
                counted = eliminated_growth(logs[i], tops[i], floor)
                gained[i] += logs[i]
                growth[i] += counted.growth
                error[i] += counted.error
                if logs[i] < UNDERFLOW:
                    # it is not known in which direction, and so not by how much those after it grow
                    error[i:] = math.inf
                widest = max(widest, counted.spread)
            scale = 1.0
        log_r += gained
        rate = next_rate(rate, eliminated_spread(gained), 1)
        if leaves_run(rate, control):
            break
    frame, logs, dual = _orthonormalize(frame)
    logs -= math.log(scale)
    return GradedRun(frame, log_r + logs, growth + logs, error, step, rate, widest, dual)


def repeat_by_qr(
    program: Program,
    coefficients: Array,
    scales: Array,
    frame: Array,
    control: Control,
    rate: float,
) -> GradedRun:
    """Advance a frame as `graded_run` does, by QR, which no matrix makes inaccurate."""
    return graded_run(program, coefficients, scales, frame, control, rate, reflect)


def well_conditioned(run: GradedRun) -> bool:
    """Whether elimination left a frame that has kept its digits."""
    return run.dual <= LARGEST_DUAL


def _overflowed(frame: Array, steps: int) -> GradedRun:
    unknown = np.full(len(frame), np.nan)
    return GradedRun(frame, unknown, unknown, unknown, steps, math.nan, 0.0, math.inf)


def _orthonormalize(frame: Array) -> tuple[Array, Array, float]:
    """Return the orthonormal rows, log R_ii and the largest |R⁻ᵀ b|, by Gram–Schmidt.

    Row by row, so that a number far below its neighbours keeps its digits.
    """
    frame, logs = frame.copy(), np.empty(len(frame))
    duals = np.array([dual_sign(i) for i in range(len(frame))])
    for i, row in enumerate(frame):
        norm = np.linalg.norm(row)
        logs[i] = math.log(norm)
        row /= norm
        duals[i] /= norm
        shares = frame[i + 1 :] @ row
        frame[i + 1 :] -= shares[:, None] * row
        duals[i + 1 :] -= shares * duals[i]
    return frame, logs, float(np.abs(duals).max())


def add_underflowed(frame: Array) -> Array:
    """Return a frame moved by the size of what may have underflowed.

    Only coordinates move in which a number is so small that products underflow soon, or in which
    all are zero. In others, the loss is below the rounding, and products of numbers of 1e-304
    are slow.
    """
    sizes = np.where(frame == 0.0, np.inf, np.abs(frame)).min(axis=0)
    moved = (sizes < TINY) | (sizes == np.inf)
    return frame + np.where(moved, math.exp(UNDERFLOW) * fillings(*frame.shape), 0.0)
