"""Reorthonormalization of many frames at once, without a loop over them.

Rows of a frame are cut into panels. A panel is orthonormalized by the Cholesky factor of its
Gram matrix, which squares its condition number; so panels are short, and what was found is
checked: with Q Qᵀ = I + E the relative error of R_ii is about E_ii/2, whatever the factorization
did. Panels are joined by Gram and Schmidt's recipe for blocks, by halves and twice over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ..interval import dual_sign
from .choices import CHOICES

__all__ = ["Orthonormal", "dual_signs", "first_panel", "orthonormalize"]


class Orthonormal(NamedTuple):
    """Result for B frames.

    Attributes
    ----------
    frame : array (B, k, D)
    log_r : array (B, k)
        log R_ii, in float64; not finite where a row has vanished or overflowed.
    duals : array (B, k)
        R⁻ᵀ b in float64, b the signs by which rounding is measured; of no use where log R_ii is not
        finite.
    extremes : array (3 or 4, B)
        Largest and smallest log R_ii, largest |R⁻ᵀ b|_i, and where there are panels of several rows
        the largest |Q Qᵀ − I| within one; in float64.
    """

    frame: Array
    log_r: Array
    duals: Array
    extremes: Array


def first_panel(vectors: int) -> int:
    """Return the rows of a panel to begin with.

    The spread within a quarter of an evenly spread frame costs half of the digits that the
    whole one is allowed to.
    """
    return min(max(vectors // 4, 1), CHOICES.longest_panel)


def orthonormalize(rows: Array, identity: Array, signs: Array, panel: int) -> Orthonormal:
    """Orthonormalize the rows of each of ``rows`` (B, k, D).

    Parameters
    ----------
    panel : int
        Rows of a panel; 1 is Gram and Schmidt's recipe row by row.
    identity : array (panel or more, panel or more)
    signs : array (k, 1)
        b, from `dual_signs`.
    """
    frame = rows.copy()
    diagonal = np.empty_like(frame, shape=frame.shape[:2])
    duals = np.empty_like(frame, shape=(*frame.shape[:2], 1))
    duals[...] = signs
    defects = _orthonormalize(_Rows(frame, diagonal, duals), panel, identity)
    log_r, duals = np.log(diagonal.astype(np.float64)), duals[:, :, 0].astype(np.float64)
    extremes = [np.max(log_r, axis=1), np.min(log_r, axis=1), np.max(np.abs(duals), axis=1)]
    if defects:
        extremes.append(np.max(np.stack(defects), axis=0).astype(np.float64))
    return Orthonormal(frame, log_r, duals, np.stack(extremes))


def dual_signs(vectors: int) -> Array:
    """Return b (k, 1), of the host."""
    return np.array([[dual_sign(i)] for i in range(vectors)])


class _Rows(NamedTuple):
    """Some rows of the frames, with R_ii (B, k) and the right-hand side b (B, k, 1).

    What makes Q of the rows, multiplication by R⁻ᵀ, makes R⁻ᵀ b of b.
    """

    frame: Array
    diagonal: Array
    duals: Array

    def cut(self, start: int, end: int) -> _Rows:
        return _Rows(*(array[:, start:end] for array in self))


def _orthonormalize(rows: _Rows, panel: int, identity: Array) -> list[Array]:
    """Do so in place, write R_ii, and return the defects (B,) of the panels."""
    k = rows.frame.shape[1]
    if k == 1:
        norms = np.sqrt(np.sum(rows.frame * rows.frame, axis=2))
        rows.diagonal[...] = norms
        for array in (rows.frame, rows.duals):
            array /= norms[:, :, None]
        return []
    if k <= panel:
        return [_by_cholesky(rows, identity[:k, :k])]
    half = panel * -(-k // (2 * panel))
    first, second = rows.cut(0, half), rows.cut(half, k)
    defects = _orthonormalize(first, panel, identity)
    for _ in range(2):
        projections = second.frame @ np.swapaxes(first.frame, 1, 2)
        for mine, theirs in ((second.frame, first.frame), (second.duals, first.duals)):
            mine -= projections @ theirs
    return defects + _orthonormalize(second, panel, identity)


def _by_cholesky(rows: _Rows, identity: Array) -> Array:
    frame = rows.frame
    lower = np.linalg.cholesky(frame @ np.swapaxes(frame, 1, 2))
    rows.diagonal[...] = np.diagonal(lower, axis1=1, axis2=2)
    inverse = np.linalg.inv(lower)
    for array in (frame, rows.duals):
        array[...] = inverse @ array
    found = frame @ np.swapaxes(frame, 1, 2) - identity
    return np.max(np.abs(found), axis=(1, 2))
