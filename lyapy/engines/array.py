"""The reference engine: plain array code, readable, for NumPy and any module like it."""

from __future__ import annotations

import numpy as np

from ..program import Coefficient, Program, Term
from ..types import Array
from .carry import Carry
from .interval import Control, effective_spread, next_interval, shortened

__all__ = ["ArrayTangent", "orthonormalize", "tangent_step"]


def tangent_step(program: Program, coefficients: Array, frame: Array) -> Array:
    """Return ``frame @ J.T`` by the network's linear program.

    Parameters
    ----------
    coefficients : array (..., C)
        Of one step.
    frame : array (..., k, D)
        Deviation vectors as rows.
    """
    new = np.zeros_like(frame, shape=(*frame.shape[:-1], program.width))
    for assignment in program.assignments:
        for term in assignment.terms:
            source = (new if term.new else frame)[..., term.source.columns]
            rows = assignment.target.size
            new[..., assignment.target.columns] += _apply(term, rows, coefficients, source)
    return new[..., : program.state_size]


def _apply(term: Term, rows: int, coefficients: Array, vectors: Array) -> Array:
    if term.right is not None:
        vectors = vectors * _values(term.right, coefficients)[..., None, :]
    if isinstance(term.matrix, Coefficient):
        matrix = _values(term.matrix, coefficients)
        matrix = matrix.reshape(*matrix.shape[:-1], rows, term.source.size)
        vectors = vectors @ np.swapaxes(matrix, -1, -2)
    elif term.matrix is not None:
        vectors = vectors @ term.matrix.T
    if term.left is not None:
        vectors = vectors * _values(term.left, coefficients)[..., None, :]
    return vectors


def _values(coefficient: Coefficient, coefficients: Array) -> Array:
    return coefficients[..., coefficient.entries]


def orthonormalize(frame: Array) -> tuple[Array, Array]:
    """Return the orthonormal rows of ``frame`` (k, D) and log R_ii, by Householder's QR."""
    if not np.all(np.isfinite(frame)):
        return frame, np.full(len(frame), np.inf)
    columns, upper = np.linalg.qr(frame.T)
    diagonal = np.diagonal(upper)
    signs = np.where(diagonal < 0.0, -1.0, 1.0)
    with np.errstate(divide="ignore"):
        return np.ascontiguousarray((columns * signs).T), np.log(np.abs(diagonal))


class ArrayTangent:
    """The tangent engine in plain array code.

    Parameters
    ----------
    program : Program
    vectors : int
        Number k of deviation vectors; the compiled engine allocates by it.
    """

    def __init__(self, program: Program, vectors: int) -> None:
        self.program = program

    def advance(
        self, coefficients: Array, ends: Array, alive: Array, carry: Carry, control: Control
    ) -> Array:
        """Move the frame through a chunk of time, tile by tile.

        Parameters
        ----------
        coefficients : array (T, C)
        ends : array (tiles,)
            Step of the chunk at which each tile ends.
        alive : array (tiles,)
            Directions of the frame that are not dead in each tile.
        carry : Carry
            Frame, controller and statistics; changed in place.

        Returns
        -------
        array (tiles, k)
            Growth: the sum of log R_ii over each tile; −∞ for dead directions. All NaN if a
            norm overflowed.
        """
        growth = np.full((len(ends), len(carry.frame)), -np.inf)
        start = 0
        for tile, end in enumerate(ends):
            rows = int(alive[tile])
            growth[tile, :rows] = 0.0
            while start < end and rows:
                steps = control.fixed or next_interval(carry.rate, end - start, control.limit)
                steps = min(steps, end - start)
                while True:
                    frame = carry.frame[:rows]
                    for t in range(start, start + steps):
                        frame = tangent_step(self.program, coefficients[t], frame)
                    frame, log_r = orthonormalize(frame)
                    spread = effective_spread(log_r.max(), log_r.min(), control.limit)
                    if spread <= control.limit or steps == 1 or control.fixed:
                        break
                    carry.rejections += 1
                    steps = shortened(steps, spread, control.limit)
                if not log_r.max() < np.inf:
                    growth[:] = np.nan
                    return growth
                growth[tile, :rows] += carry.count(log_r, spread, steps, control.limit)
                carry.frame[:rows] = frame
                start += steps
            start = end
        return growth
