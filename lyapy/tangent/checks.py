"""What every run checks of itself: growth within norm bounds, the frame, where vectors overflow."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array
from ..cells.sparse import Sparse
from ..networks.apply import orthonormalize, tangent_step
from ..networks.program import Coefficient, Program, Term
from .interval import Control

if TYPE_CHECKING:
    from ..networks.blocks import DiagonalBlock

__all__ = ["NormBounds", "describe_overflow", "frame_error", "log_norm_bound"]

# ‖M‖ ≤ ‖(MᵀM)^16‖_F^(1/32), which is too large by n^(1/64) at most
SQUARINGS = 4
# for larger matrices the squares would cost more than many a run
SQUARED = 256
# one tile in so many is compared with the norms, so that it costs next to nothing
SAMPLED = 32
# norms below it, whose squares leave float64's range, count as this
LEAST_NORM = 1e-150


class NormBounds:
    """Bounds on the growth of every deviation vector, by the norms of J and of J⁻ᵀ.

    Over a step 1 / ‖J⁻¹‖ ≤ R_ii ≤ ‖J‖. The lower bound is known where J⁻ᵀ is.

    Parameters
    ----------
    part : DiagonalBlock
    """

    def __init__(self, part: DiagonalBlock) -> None:
        self.part = part

    def excess(self, coefficients: Array, ends: Array, growth: Array, first: int = 0) -> float:
        """Return by how much growth passes the bounds at most, in nats per step.

        For the sake of cheapness, a part of the tiles is looked at, and the bounds of a tile
        are those of the largest coefficients in it.

        Parameters
        ----------
        coefficients : array (T, C)
        ends : array (tiles,)
        growth : array (tiles, k)
        first : int
            Number of the first tile; those whose number is a multiple of `SAMPLED` are checked.

        Returns
        -------
        float
            Negative where all growth lies inside; −∞ where there is no bound or no growth.
        """
        worst = -np.inf
        starts = np.concatenate([[0], ends[:-1]])
        for tile in range(-first % SAMPLED, len(ends), SAMPLED):
            steps = slice(starts[tile], ends[tile])
            lower, upper = self._bounds(coefficients[steps])
            rates = growth[tile] / (ends[tile] - starts[tile])
            alive = np.where(np.isfinite(rates), rates, np.inf)
            worst = max(worst, rates.max() - upper, lower - alive.min())
        return float(worst)

    def excess_of_steps(self, coefficients: Array, rates: Array) -> Array:
        """Return by how much growth per step (B, k) passes its upper bounds at most (B,).

        Parameters
        ----------
        coefficients : array (B, C)
            The largest over the steps.
        """
        upper = log_norm_bound(self.part.program, coefficients, self._norms)
        return np.asarray(rates.max(axis=1) - upper)

    def _bounds(self, coefficients: Array) -> tuple[float, float]:
        """Return bounds on the growth of a step, lower and upper, that hold for some of them."""
        largest = np.abs(coefficients).max(axis=0, keepdims=True)
        upper = log_norm_bound(self.part.program, largest, self._norms)[0]
        if self.part.inverse is None:
            return -np.inf, upper
        inverse = np.abs(self.part.inverse_coefficients(coefficients)).max(axis=0, keepdims=True)
        return -log_norm_bound(self.part.inverse_program, inverse, self._inverse_norms)[0], upper

    @cached_property
    def _norms(self) -> dict[int, float]:
        return _matrix_norms(self.part.program)

    @cached_property
    def _inverse_norms(self) -> dict[int, float]:
        return _matrix_norms(self.part.inverse_program)


def log_norm_bound(
    program: Program, coefficients: Array, norms: dict[int, float] | None = None
) -> Array:
    """Return the logarithm of an upper bound of ‖J‖ for coefficients (T, C), for each step.

    The norms of the blocks of J are bounded by the triangle inequality over the program's
    terms, ‖diag(l) M diag(r)‖ ≤ max|l| ‖M‖ max|r|, and ‖J‖ by the Frobenius norm of these
    norms.

    Parameters
    ----------
    norms : dict, optional
        Norms of the program's constant matrices, by ``id``.
    """
    norms = _matrix_norms(program) if norms is None else norms
    sources = sorted({t.source for a in program.assignments for t in a.terms if not t.new})
    unit = dict(zip(sources, np.eye(len(sources)), strict=True))
    new: dict[object, Array] = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for assignment in program.assignments:
            total = np.zeros((len(coefficients), len(sources)))
            for term in assignment.terms:
                factor = _term_norm(term, coefficients, norms)
                total += factor[:, None] * (new if term.new else unit)[term.source]
            new[assignment.target] = new.get(assignment.target, 0.0) + total
        targets = {a.target for a in program.assignments}
        state = [new[block] for block in targets if block.start < program.state_size]
        squares = np.sum(np.square(state), axis=(0, 2))
    # what is not a number bounds nothing
    norm = np.where(np.isnan(squares), np.inf, np.sqrt(squares))
    return np.asarray(np.log(np.maximum(norm, LEAST_NORM)))


def _term_norm(term: Term, coefficients: Array, norms: dict[int, float]) -> Array:
    factor = np.ones(len(coefficients))
    for scale in (term.left, term.right):
        if scale is not None:
            factor *= np.abs(coefficients[:, scale.entries]).max(axis=1)
    if isinstance(term.matrix, Coefficient):
        given = np.linalg.norm(coefficients[:, term.matrix.entries], axis=1)
        factor *= np.maximum(given, LEAST_NORM)
    elif term.matrix is not None:
        factor *= norms[id(term.matrix)]
    return factor


def _matrix_norms(program: Program) -> dict[int, float]:
    terms = [term for assignment in program.assignments for term in assignment.terms]
    matrices = [t.matrix for t in terms if not isinstance(t.matrix, Coefficient | None)]
    return {id(matrix): _norm_bound(matrix) for matrix in matrices}


def _norm_bound(matrix: Array | Sparse) -> float:
    """Return an upper bound of the largest singular value, for the cost of a few products."""
    if isinstance(matrix, Sparse):
        return _sparse_norm_bound(matrix)
    scale = float(np.linalg.norm(matrix))
    if not scale:
        return 0.0
    if min(matrix.shape) > SQUARED:
        rows, columns = (np.linalg.norm(matrix, order) for order in (np.inf, 1))
        return min(scale, math.sqrt(rows * columns))
    power = matrix / scale
    power = power @ power.T if len(power) < len(power.T) else power.T @ power
    log, weight = 0.0, 0.5
    for _ in range(SQUARINGS):
        size = np.linalg.norm(power)
        log += weight * np.log(size)
        power = (power / size) @ (power / size)
        weight /= 2.0
    return float(scale * np.exp(log + weight * np.log(np.linalg.norm(power))))


def _sparse_norm_bound(matrix: Sparse) -> float:
    """Return √(‖M‖₁ ‖M‖_∞)."""
    rows, columns = map(int, matrix.shape)
    sizes = np.abs(matrix.values)
    row_of = np.repeat(np.arange(rows), np.diff(matrix.starts))
    row_sums = np.bincount(row_of, sizes, rows)
    column_sums = np.bincount(matrix.columns, sizes, columns)
    return math.sqrt(row_sums.max(initial=0.0) * column_sums.max(initial=0.0))


def frame_error(frame: Array) -> float:
    """Return the largest entry of |Q Qᵀ − 1| for a frame Q (k, D)."""
    return float(np.abs(frame @ frame.T - np.eye(len(frame))).max(initial=0.0))


def describe_overflow(
    program: Program, coefficients: Array, frame: Array, start: int, control: Control
) -> str:
    """Return what overflows, where and why, for an error message.

    Parameters
    ----------
    coefficients : array (T, C)
        Of the chunk in which deviation vectors are not finite at the end of an interval.
    frame : array (k, D)
        Before the first step of the chunk.
    start : int
        Number of that step.
    """
    sound = np.isfinite(coefficients).all(axis=1)
    if not sound.all():
        return (
            f"the Jacobian is not finite in step {start + int(sound.argmin())}: the map has no "
            "derivative there, or one beyond the range of float64"
        )
    found = _find_overflow(program, coefficients, frame, control)
    where = f"steps {start} to {start + len(coefficients) - 1}"
    if found is not None:
        where = f"step {start + found}"
    if control.fixed > 1:
        return f"deviation vectors overflow in {where}; a shorter interval or 'auto' mends it"
    return f"deviation vectors overflow in {where}: one Jacobian exceeds the range of float64"


def _find_overflow(
    program: Program, coefficients: Array, frame: Array, control: Control
) -> int | None:
    """Return the first step in which deviation vectors overflow, by taking them one at a time.

    The compiled engine sums squares, so that vectors can overflow in it that are still finite.
    """
    length = max(control.fixed, 1)
    for size in (np.asarray, _row_squares):
        image = frame
        for t, step in enumerate(coefficients):
            with np.errstate(over="ignore", invalid="ignore"):
                image = tangent_step(program, step, image)
                if not np.isfinite(size(image)).all():
                    return t
            if (t + 1) % length == 0:
                image = orthonormalize(image)[0]
    return None


def _row_squares(frame: Array) -> Array:
    return np.asarray(np.square(frame).sum(axis=1))
