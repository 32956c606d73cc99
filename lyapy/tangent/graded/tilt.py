"""The tilt of a frame: how far rounding has mixed its vectors.

Let the frame be wrong by Q → Q (1 + E), with E strictly lower triangular: E_ij is the share of
the i-th vector in the j-th, i > j; the other way round does not matter. As J Q = Q′ R, to first
order log R_ii is wrong by the diagonal of R E R⁻¹, and Q′ by its lower triangle. So a tilt decays
while the directions keep their order, and grows while a later one outgrows an earlier one; two
directions then exchange growth, which neither the spread nor the determinant shows. A sample of
E is followed: matrices to which each QR adds random rounding of the size of each entry's. They
stand as arrays (k, samples, k), the errors of vector j in row j.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ...arrays import UNIT_ROUNDOFF, Array
from .householder import Factors

__all__ = [
    "SAMPLES",
    "carry_tilt",
    "exchanged",
    "settled_tilt",
    "tilt_limit",
]

SAMPLES = 4
# of an estimate from so few samples: |t| with four degrees of freedom is below it in 98 of 100
MARGIN = 4.0
# share of a step's error that remains where another step cancels it; measured
REMAINDER = 0.05
# beyond it a first-order estimate only shows that all is wrong
LARGEST = 1e3
# share of the tolerance that a tilt may have before it is followed from step to step
FOLLOWED = 0.01
# samples of successive steps are cut from one array, so far apart
STRIDE, SHIFTS = 977, 4096


def carry_tilt(
    factors: Factors, image: Array, reach: Array, tilt: Array, seed: int
) -> tuple[Array, Array]:
    """Carry a sample of the tilt through a QR.

    Parameters
    ----------
    factors : Factors
        Of the image.
    image, reach : array (k, D)
        Image of the frame, and the size of the rounding in its entries before the QR, over the
        roundoff.
    seed : int
        Chooses the sample of the rounding.

    Returns
    -------
    errors : array (k, samples)
        Sample of the error of log R_ii.
    tilt : array (k, samples, k)
        That of the new frame.
    """
    from ..compiled.tilting import carry

    # vectors after one that vanished are unknown, but do not disturb those before it
    size = int(np.cumprod(np.diagonal(factors.upper) > 0.0).sum())
    errors, new = np.zeros(tilt.shape[:2]), np.zeros(tilt.shape)
    D = image.shape[1]
    noise = _normals(2 * size * D, seed).reshape(2, size, SAMPLES, D)
    carry(
        factors.upper,
        factors.frame,
        np.ascontiguousarray(image),
        UNIT_ROUNDOFF * (factors.in_image + reach),
        UNIT_ROUNDOFF * factors.in_frame,
        np.ascontiguousarray(tilt),
        noise,
        LARGEST,
        np.empty(noise.shape[1:]),
        errors,
        new,
    )
    return errors, new


def settled_tilt(tilt: Array, since: Array, noise: Array, seed: int) -> Array:
    """Return the tilt (k, samples, k) after ordinary intervals.

    Given are the growth ``since`` the tilt was sampled (k,), and the rounding of each vector in
    the last interval (k,), over the roundoff.
    """
    k = len(since)
    with np.errstate(all="ignore"):
        moved = tilt * np.exp(since - since[:, None])[:, None] if tilt.size else 0.0
        added = UNIT_ROUNDOFF * noise[:, None, None] * _normals(k * k, seed).reshape(k, -1, k)
        found = np.nan_to_num(moved + added, nan=1.0)
    return np.where(np.tri(k, dtype=bool)[:, None], 0.0, np.clip(found, -1.0, 1.0))


def tilt_limit(limit: float) -> float:
    """Return the largest tilt with which an ordinary interval of a spread up to ``limit`` begins.

    The error that it adds is not followed, and can be orders of magnitude larger than the tilt.
    """
    return FOLLOWED * UNIT_ROUNDOFF * float(np.exp(limit))


def exchanged(errors: Array, turnover: Array) -> Array:
    """Return an estimate (k,) of the error, from samples (k, samples).

    They are the sum of the errors of single steps, and that of their squares.
    """
    return MARGIN * np.sqrt(np.mean(errors**2 + REMAINDER**2 * turnover, axis=1))


def _normals(count: int, seed: int) -> Array:
    """Return the samples of ``count`` normally distributed numbers, concatenated."""
    start = seed * STRIDE % SHIFTS
    return _normal(count)[start : start + SAMPLES * count]


@cache
def _normal(count: int) -> Array:
    return np.random.default_rng(count).normal(size=SAMPLES * count + SHIFTS)
