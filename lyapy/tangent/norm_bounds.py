"""Bounds on growth by norms, and the error of a frame, which every run checks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..arrays import Array
from ..cells.sparse import Sparse
from ..networks.program import Applied, Coefficient, Columns, Program, Term, kept

if TYPE_CHECKING:
    from ..networks.blocks import DiagonalBlock

# ‖M‖ ≤ ‖(MᵀM)^16‖_F^(1/32), which is too large by n^(1/64) at most
SQUARINGS = 4
# for larger matrices the squares would cost more than many a run
SQUARED = 256
# one tile in so many is compared with the norms, which then costs next to nothing
SAMPLED = 32
# norms below it, whose squares leave float64's range, count as this
LEAST_NORM = 1e-150


class TileBounds(NamedTuple):
    """Bounds on the growth of a step, in a tile of so many steps."""

    tile: int
    steps: int
    lower: float
    upper: float


class NormBounds:
    """Bounds on the growth of every deviation vector, by the norms of J and of J⁻ᵀ.

    Over a step 1 / ‖J⁻¹‖ ≤ R_ii ≤ ‖J‖. The lower bound is known where J⁻ᵀ is.

    Parameters
    ----------
    block : DiagonalBlock
    """

    def __init__(self, block: DiagonalBlock) -> None:
        self.block = block

    def excess(self, coefficients: Array, ends: Array, growth: Array, first: int = 0) -> float:
        """Return by how much growth passes the bounds at most, in nats per step.

        Parameters
        ----------
        coefficients : array (T, C)
        ends, first
            As for `of_tiles`.
        growth : array (tiles, k)

        Returns
        -------
        float
            Negative where all growth lies inside; −∞ where there is no bound or no growth.
        """
        (bounds,) = self.of_tiles(coefficients[None], ends, first)
        return excess(bounds, growth)

    def of_tiles(self, coefficients: Array, ends: Array, first: int = 0) -> list[list[TileBounds]]:
        """Return bounds on the growth of trajectories in some tiles, each those of all its steps.

        To save time only some of the tiles are bounded, by the largest coefficients in each.

        Parameters
        ----------
        coefficients : array (B, T, C)
        ends : array (tiles,)
        first : int
            Number of the first tile; those whose number is a multiple of `SAMPLED` are bounded.
        """
        found: list[list[TileBounds]] = [[] for _ in coefficients]
        for tile in range(-first % SAMPLED, len(ends), SAMPLED):
            start, end = int(ends[tile - 1]) if tile else 0, int(ends[tile])
            lower, upper = self._bounds(coefficients[:, start:end])
            for bounds, *sides in zip(found, lower, upper, strict=True):
                bounds.append(TileBounds(tile, end - start, *sides))
        return found

    def excess_of_steps(self, coefficients: Array, rates: Array) -> Array:
        """Return by how much growth per step (B, k) passes its upper bounds at most (B,).

        Parameters
        ----------
        coefficients : array (B, C)
            The largest over the steps.
        """
        upper = log_norm_bound(self.block.program, coefficients)
        return np.asarray(rates.max(axis=1) - upper)

    def _bounds(self, coefficients: Array) -> tuple[list[float], list[float]]:
        """Return bounds on the growth of a step, lower and upper, that hold for all (B, T, C)."""
        upper = log_norm_bound(self.block.program, np.abs(coefficients).max(axis=1))
        if self.block.inverse is None:
            return [-math.inf] * len(upper), upper.tolist()
        inverse = np.abs(self.block.inverse_coefficients(coefficients)).max(axis=1)
        lower = -log_norm_bound(self.block.inverse_program, inverse)
        return lower.tolist(), upper.tolist()


def excess(bounds: Sequence[TileBounds], growth: Array) -> float:
    """Return by how much growth (tiles, k) passes bounds at most, as `NormBounds.excess`."""
    worst = -math.inf
    for tile, steps, lower, upper in bounds:
        rates = growth[tile] / steps
        alive = np.where(np.isfinite(rates), rates, np.inf)
        worst = max(worst, float(rates.max()) - upper, lower - float(alive.min()))
    return worst


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
    blocks = _state_blocks(program)
    # norms of how each block depends on the old ones, for each step
    none = np.zeros((len(blocks), len(coefficients)))
    old, new = (
        dict(zip(blocks, np.eye(len(blocks))[..., None], strict=True)),
        dict[Columns, Array](),
    )
    with np.errstate(over="ignore", invalid="ignore"):
        for target, terms in program.assignments:
            for term in terms:
                source = (new if term.new else old).get(term.source, none)
                norm = source * _term_norm(term, coefficients, norms)
                new[target] = new.get(target, none) + norm
        found = np.array([new.get(block, none) for block in blocks])
        squares = np.sum(np.square(found.T.copy()), axis=(1, 2))
    # NaN bounds nothing
    norm = np.where(np.isnan(squares), np.inf, np.sqrt(squares))
    return np.asarray(np.log(np.maximum(norm, LEAST_NORM)))


@kept
def _state_blocks(program: Program) -> list[Columns]:
    """Return the blocks of columns that the program moves, but for auxiliary ones, in order."""
    blocks = {term.source for a in program.assignments for term in a.terms}
    blocks |= {a.target for a in program.assignments}
    return sorted(block for block in blocks if block.start < program.state_size)


def _term_norm(term: Term, coefficients: Array, norms: dict[int, float]) -> Array:
    factor = np.ones(len(coefficients))
    for scale in (term.left, term.right):
        if scale is not None:
            factor *= np.abs(coefficients[:, scale.entries]).max(axis=1)
    if isinstance(term.matrix, Coefficient):
        given = np.linalg.norm(coefficients[:, term.matrix.entries], axis=1)
        factor *= np.maximum(given, LEAST_NORM)
    elif isinstance(term.matrix, Applied):
        factor[:] = np.inf
    elif term.matrix is not None:
        factor *= norms[id(term.matrix)]
    return factor


@kept
def _matrix_norms(program: Program) -> dict[int, float]:
    terms = (term for assignment in program.assignments for term in assignment.terms)
    constant = {id(term.matrix): term.matrix for term in terms if _is_constant(term.matrix)}
    return {number: _norm_bound(matrix) for number, matrix in constant.items()}


def _is_constant(matrix: object) -> bool:
    return not isinstance(matrix, Coefficient | Applied | None)


def _norm_bound(matrix: Array | Sparse) -> float:
    """Return an upper bound of the largest singular value, for the cost of a few products."""
    if isinstance(matrix, Sparse):
        return _sparse_norm_bound(matrix)
    with np.errstate(over="ignore"):
        scale = float(np.linalg.norm(matrix))
    if not 0.0 < scale < math.inf:
        return scale
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
