"""The tilt of a frame: what rounding has mixed of its vectors into one another.

Let the frame be wrong by Q → Q (1 + E), with E strictly lower triangular: the part of E_ij is
that of the i-th vector in the j-th, i > j, the other way round does not matter. As J Q = Q′ R,
to first order log R_ii is wrong by the diagonal of R E R⁻¹, and Q′ by its lower triangle. So a
tilt decays while the directions keep their order, and grows while a later one outgrows an
earlier one; two directions then exchange growth, which neither the spread nor the determinant
shows. It is followed by a sample: matrices to which each QR adds random rounding.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.linalg.blas import dtrsm

from ..types import Array
from .interval import UNIT_ROUNDOFF

__all__ = [
    "ROUNDING",
    "ROUNDING_WHOLE",
    "SAMPLES",
    "carry_tilt",
    "exchanged",
    "settled_tilt",
    "tilt_limit",
]

SAMPLES = 4
# rounding in an image, relative to the row of the map it comes from, for one of several stages
# and for a step as a whole; measured
ROUNDING, ROUNDING_WHOLE = 0.25 * UNIT_ROUNDOFF, UNIT_ROUNDOFF
# of an estimate from so few samples: |t| with four degrees of freedom is below it in 99 of 100
MARGIN = 5.0
# a first-order estimate says no more than that all is wrong
LARGEST = 1e3
# part of the tolerance that a tilt may have before it is followed from step to step
FOLLOWED = 0.01
# of the matrices that stand for the rounding of an image
RANK = 4
# the samples of one step after another are cut from one array, so far apart
STRIDE, SHIFTS = 977, 4096


def carry_tilt(
    upper: Array, rows: Array, tilt: Array, seed: int, rounding: float = ROUNDING
) -> tuple[Array, Array]:
    """Carry a sample of the tilt through a QR.

    Parameters
    ----------
    upper : array (k, k)
        R, whose diagonal is not negative.
    rows : array (k, D)
        The new frame, times the sizes of the map's rows: rounding is relative to these, and the
        frame's vectors share it.
    tilt : array (samples, k, k)
    seed : int
        Chooses the sample of the rounding.
    rounding : float
        Its standard deviation, relative to the rows.

    Returns
    -------
    errors : array (samples, k)
        Sample of the error of log R_ii.
    tilt : array (samples, k, k)
        That of the new frame.
    """
    # vectors from the first that vanished on are not known, but do not disturb those before
    size = int(np.cumprod(np.diagonal(upper) > 0.0).sum())
    R = upper[:size, :size]
    found = np.zeros_like(tilt)
    if not size:
        return np.zeros(tilt.shape[:2]), found
    with np.errstate(all="ignore"):
        moved = R @ tilt[:, :size, :size]
        left, right = _rounding(rows.shape[1], size, seed)
        moved += rows[:size] @ left @ (rounding * right)
        right = dtrsm(1.0, R, moved.reshape(-1, size).T, trans_a=1).T
        found[:, :size, :size] = np.nan_to_num(right.reshape(moved.shape), nan=LARGEST)
    errors = np.clip(np.diagonal(found, axis1=1, axis2=2), -LARGEST, LARGEST)
    return errors, np.tril(np.clip(found, -1.0, 1.0), -1)


def settled_tilt(tilt: Array, since: Array, noise: Array, seed: int) -> Array:
    """Return the tilt (samples, k, k) after ordinary intervals.

    Parameters
    ----------
    since : array (k,)
        Growth since the tilt was that given.
    noise : array (k,)
        Rounding of each vector in the last of the intervals, over the roundoff.
    """
    k = len(since)
    with np.errstate(all="ignore"):
        moved = tilt * np.exp(since[:, None] - since) if tilt.size else 0.0
        added = UNIT_ROUNDOFF * noise * _normals(k * k, seed).reshape(-1, k, k)
        found = np.nan_to_num(moved + added, nan=1.0)
    return np.tril(np.clip(found, -1.0, 1.0), -1)


def tilt_limit(limit: float) -> float:
    """Return the tilt that an ordinary interval may begin with, where ``limit`` is its spread's.

    What it adds to the error is not followed, and can be larger than the tilt by some orders.
    """
    return FOLLOWED * UNIT_ROUNDOFF * float(np.exp(limit))


def exchanged(errors: Array) -> Array:
    """Return an estimate (k,) of the error of which there are samples (samples, k)."""
    return MARGIN * np.sqrt(np.mean(errors**2, axis=0))


def _rounding(D: int, k: int, seed: int) -> tuple[Array, Array]:
    """Return factors (samples, D, rank) and (samples, rank, k) of a sample of the rounding."""
    normal = _normals(RANK * (D + k), seed)
    left, right = normal[:, : RANK * D], normal[:, RANK * D :]
    return left.reshape(-1, D, RANK), right.reshape(-1, RANK, k) / math.sqrt(RANK)


def _normals(count: int, seed: int) -> Array:
    """Return a sample (samples, count) of the normal distribution."""
    start = seed * STRIDE % SHIFTS
    return _normal(count)[start : start + SAMPLES * count].reshape(SAMPLES, count)


@cache
def _normal(count: int) -> Array:
    return np.random.default_rng(count).normal(size=SAMPLES * count + SHIFTS)
