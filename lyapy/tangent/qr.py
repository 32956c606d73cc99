"""QR of a frame, by Householder's reflections, in plain array code."""

import numpy as np
from scipy.linalg import solve_triangular

from ..arrays import Array


def orthonormalize(frame: Array) -> tuple[Array, Array]:
    """Return the orthonormal rows of a frame (..., k, D) and log R_ii, by Householder's QR."""
    if not np.isfinite(frame).all():
        return frame, np.full(frame.shape[:-1], np.inf)
    rows, _, log_r = _factorize(frame)
    return rows, log_r


def orthonormalize_ends(frame: Array, split: int) -> Array:
    """Return the frame with its first ``split`` rows orthonormal, and the others from the last on.

    Gram–Schmidt leaves rows that are not quite orthogonal to those before them in its order. That
    is harmless while the order stays; where it changes, it has to be done first.
    """
    trailing = orthonormalize(frame[split:][::-1])[0][::-1] if split < len(frame) else frame[:0]
    return np.concatenate([orthonormalize(frame[:split])[0], trailing])


def orthonormalize_with(vector: Array, frame: Array) -> tuple[Array, Array, Array]:
    """Orthonormalize, and return R⁻ᵀ ``vector`` too, with zeros from the first R_ii = 0 on."""
    if not np.isfinite(frame).all():
        return frame, np.full(len(frame), np.inf), vector
    rows, R, log_r = _factorize(frame)
    duals = np.zeros_like(vector)
    size = int(np.cumprod(log_r > -np.inf).sum())
    if size and vector.any():
        upper = R[:size, :size]
        duals[:size] = solve_triangular(upper, vector[:size], trans=1, check_finite=False)
    return rows, log_r, duals


def _factorize(frame: Array) -> tuple[Array, Array, Array]:
    """Return orthonormal rows, R with no negative R_ii, and log R_ii."""
    columns, upper = np.linalg.qr(np.swapaxes(frame, -1, -2))
    signs = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0.0, -1.0, 1.0)
    upper *= signs[..., None]
    with np.errstate(divide="ignore"):
        log_r = np.log(np.diagonal(upper, axis1=-2, axis2=-1))
    rows = np.swapaxes(columns * signs[..., None, :], -1, -2)
    return np.ascontiguousarray(rows), upper, log_r
