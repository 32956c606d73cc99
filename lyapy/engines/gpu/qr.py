"""Reorthonormalization of many frames at once, without a loop over them.

Rows of a frame are cut into panels. A panel is orthonormalized by the Cholesky factor of its
Gram matrix, which squares its condition number; so panels are short, and what was found is
checked: with Q Qᵀ = I + E the relative error of R_ii is about E_ii/2, whatever the factorization
did. Panels are joined by Gram and Schmidt's recipe for blocks, by halves and twice over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...types import Array

__all__ = ["Orthonormal", "first_panel", "orthonormalize"]

LONGEST_PANEL = 32


class Orthonormal(NamedTuple):
    """Result for B frames.

    Attributes
    ----------
    frame : array (B, k, D)
    log_r : array (B, k)
        log R_ii, in float64; not finite where a row has vanished or overflowed.
    defect : array (B,) or None
        Largest |Q Qᵀ − I| within a panel; None if panels are single rows.
    """

    frame: Array
    log_r: Array
    defect: Array | None


def first_panel(vectors: int) -> int:
    """Return the rows of a panel to begin with.

    The spread within a quarter of an evenly spread frame costs half of the digits that the
    whole one is allowed to.
    """
    return min(max(vectors // 4, 1), LONGEST_PANEL)


def orthonormalize(rows: Array, panel: int, identity: Array) -> Orthonormal:
    """Orthonormalize the rows of each of ``rows`` (B, k, D).

    Parameters
    ----------
    panel : int
        Rows of a panel; 1 is Gram and Schmidt's recipe row by row.
    identity : array (panel or more, panel or more)
    """
    frame = rows.copy()
    diagonal = np.empty_like(frame, shape=frame.shape[:2])
    defects = _orthonormalize(frame, diagonal, panel, identity)
    log_r = np.log(diagonal.astype(np.float64))
    return Orthonormal(frame, log_r, np.max(np.stack(defects), axis=0) if defects else None)


def _orthonormalize(frame: Array, diagonal: Array, panel: int, identity: Array) -> list[Array]:
    """Do so in place, write R_ii, and return the defects (B,) of the panels."""
    k = frame.shape[1]
    if k == 1:
        norms = np.sqrt(np.sum(frame * frame, axis=2))
        diagonal[...] = norms
        frame /= norms[:, :, None]
        return []
    if k <= panel:
        return [_by_cholesky(frame, diagonal, identity[:k, :k])]
    half = panel * -(-k // (2 * panel))
    first, second = frame[:, :half], frame[:, half:]
    defects = _orthonormalize(first, diagonal[:, :half], panel, identity)
    for _ in range(2):
        second -= (second @ np.swapaxes(first, 1, 2)) @ first
    return defects + _orthonormalize(second, diagonal[:, half:], panel, identity)


def _by_cholesky(frame: Array, diagonal: Array, identity: Array) -> Array:
    lower = np.linalg.cholesky(frame @ np.swapaxes(frame, 1, 2))
    diagonal[...] = np.diagonal(lower, axis1=1, axis2=2)
    frame[...] = np.linalg.inv(lower) @ frame
    found = frame @ np.swapaxes(frame, 1, 2) - identity
    return np.max(np.abs(found), axis=(1, 2))
