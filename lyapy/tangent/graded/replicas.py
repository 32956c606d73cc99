"""Replicas of a frame: the same steps with other rounding.

Rounding mixes a later vector of a frame into an earlier one, and where the later one outgrows the
earlier, the two exchange growth. Neither the spread nor the determinant shows it. So a replica of
the frame takes the same steps, with other rounding: its numbers are multiplied by a factor that
changes from step to step, which exact arithmetic would not notice, and the coefficients are moved
by the size of their rounding. The difference of both growths is a sample of the error, whatever
becomes of it on the way.

The tilt of a frame Q is how far the replica's vectors are mixed: the replica is Q (1 + E), with E
strictly lower triangular but for changes within the leading subspaces, which do not count.
"""

from __future__ import annotations

import numpy as np

from ...arrays import UNIT_ROUNDOFF, Array
from ..qr import orthonormalize

__all__ = [
    "SAMPLES",
    "difference",
    "disturbed",
    "exchanged",
    "lost",
    "made_replicas",
    "settled_tilt",
    "squares",
    "tilt_limit",
    "tilts_of",
    "unknown",
]

SAMPLES = 1
# |e| exceeds so many times |e − e′| in 2 of 100 cases, for errors e, e′ of the same distribution
MARGIN = 16.0
# in nats: beyond, rounding has exchanged two directions, and has grown from a roundoff to do so
EXCHANGED = 0.1
LOST = -float(np.log(UNIT_ROUNDOFF))
# in the growth of a volume, from which on the directions of which it consists may be others
MOVED = 0.02
# samples of one run beyond it only show that all is wrong
LARGEST = 1e3
# share of the tolerance that a tilt may have before it is followed from step to step
FOLLOWED = 0.01
# of a coefficient, over the unit roundoff
ROUNDING = 2.0


def disturbed(coefficients: Array, first: int, sample: int) -> tuple[Array, Array]:
    """Return the coefficients (T, C) and scales (T,) for a replica, from step ``first`` on.

    The coefficients are moved by the size of their rounding, so that this is sampled, too. A slope
    of exp(−a) is as inexact as the sum a, whose rounding is proportional to it. The scales lie
    between 1 and 2.
    """
    rng = np.random.default_rng((first, sample))
    with np.errstate(divide="ignore"):
        sums = np.abs(np.log(np.abs(coefficients)))
    sizes = ROUNDING * UNIT_ROUNDOFF * (1.0 + np.where(np.isfinite(sums), sums, 0.0))
    noise = rng.normal(size=coefficients.shape) * sizes
    return coefficients * (1.0 + noise), rng.uniform(1.0, 2.0, len(coefficients))


def made_replicas(frame: Array, tilts: Array, noise: Array, seed: int) -> Array:
    """Return replicas (samples, k, D) of a frame (k, D) with ``tilts`` (samples, k, k).

    They leave the span of a frame of fewer vectors than coordinates by the rounding of each vector
    in the last interval, ``noise`` (k,) over the roundoff.
    """
    k, D = frame.shape
    made = frame + np.swapaxes(tilts, 1, 2) @ frame
    if k < D:
        leaked = np.random.default_rng((seed, D)).normal(size=made.shape)
        leaked -= leaked @ frame.T @ frame
        made += np.minimum(UNIT_ROUNDOFF * noise, 1.0)[:, None] * leaked
    return np.stack([orthonormalize(each)[0] for each in made])


def tilts_of(frame: Array, replicas: Array) -> Array:
    """Return the tilts (samples, k, k) between a frame (k, D) and its replicas (samples, k, D)."""
    return np.tril(frame @ np.swapaxes(replicas, 1, 2), -1)


def settled_tilt(tilts: Array, since: Array, noise: Array, seed: int) -> Array:
    """Return the tilts (samples, k, k) after ordinary intervals.

    Given are the growth ``since`` they were sampled (k,), and the rounding of each vector in the
    last interval (k,), over the roundoff.
    """
    k = len(since)
    drawn = np.random.default_rng(seed).normal(size=(SAMPLES, k, k))
    with np.errstate(all="ignore"):
        moved = tilts * np.exp(since[:, None] - since) if tilts.size else 0.0
        found = np.nan_to_num(moved + UNIT_ROUNDOFF * noise * drawn, nan=1.0)
    return np.tril(np.clip(found, -1.0, 1.0), -1)


def tilt_limit(limit: float) -> float:
    """Return the largest tilt with which an ordinary interval of a spread up to ``limit`` begins.

    The error that it adds is not followed, and can be orders of magnitude larger than the tilt.
    """
    return FOLLOWED * UNIT_ROUNDOFF * float(np.exp(limit))


def difference(log_r: Array, other: Array) -> Array:
    """Return by how much the growth of a replica differs (k,); not where it has vanished."""
    with np.errstate(invalid="ignore"):
        found = np.where(np.isneginf(log_r), 0.0, other - log_r)
    return np.clip(np.nan_to_num(found, nan=LARGEST), -LARGEST, LARGEST)


def squares(errors: Array) -> Array:
    """Return the squares of the differences (k, samples) of one run.

    Where a later direction has taken the place of an earlier one, those between have moved by one
    place, in frame and replica alike: only the growth of volumes that they share differs.
    """
    volumes = np.cumsum(np.where(np.abs(errors) < LARGEST, errors, 0.0), axis=0)
    moved = np.abs(volumes) > MOVED
    moved[1:] |= moved[:-1].copy()
    return np.where(moved, np.maximum(errors**2, (2.0 * EXCHANGED) ** 2), errors**2)


def exchanged(errors: Array, turnover: Array) -> Array:
    """Return an estimate (k,) of the error, from samples (k, samples).

    They are the sum of the differences in single runs, and that of their squares.
    """
    found = MARGIN * np.sqrt(np.mean(errors**2 + turnover, axis=1))
    # frame and replica may have gone wrong alike, and it is not known by how much
    return np.maximum(found, np.where(lost(turnover), LOST, 0.0))


def lost(turnover: Array) -> Array:
    """Return whether directions (k,) have been exchanged, by the sums of squares (k, samples)."""
    return np.asarray(np.max(turnover, axis=1) > EXCHANGED**2)


def unknown(errors: Array, turnover: Array, hidden: Array, full: bool) -> Array:
    """Return of which vectors (k,) not even the size of the error in one run is known.

    Given are the differences of the run and their `squares` (k, samples), the rounding error of
    each vector's own growth (k,), ∞ where it is hidden, and whether the frame is full. Directions
    that are exchanged leave its volume as it is; otherwise what differs is rounding only, and the
    growth below it unknown. The same is possible where growth is hidden.
    """
    volumes = np.abs(np.where(np.abs(errors) < LARGEST, errors, 0.0).sum(axis=0))
    rounding = bool(np.isinf(hidden).any()) or (full and volumes.max() > EXCHANGED)
    return lost(turnover) & rounding
