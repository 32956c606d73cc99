"""The diagonal blocks of a network's Jacobian, each of which has a spectrum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from ..cells import Cell
from ..cells.base import Inverse
from .network import Network
from .program import Program, Text, cell_text, single_program

__all__ = ["DiagonalBlock", "diagonal_blocks"]


@dataclass(frozen=True)
class DiagonalBlock:
    """A diagonal block of the Jacobian, followed separately: it has a spectrum.

    Attributes
    ----------
    program : Program
        Over the state of this block, with the coefficients of the whole network.
    start : int
        First of its columns in the state.
    cells : tuple of Cell
    inverse : Inverse or None
        The map J⁻ᵀ, where it is cheap and its rounding within the tolerance.
    decoupled : bool
        Whether each unit keeps its own direction, see `Cell`.
    """

    program: Program
    start: int
    cells: tuple[Cell, ...]
    inverse: Inverse | None = None
    decoupled: bool = False

    def vectors(self, k: int) -> int:
        """Return the number of deviation vectors that determine the k leading exponents."""
        D = self.program.state_size
        return D if self.decoupled else min(k, D)

    @cached_property
    def inverse_program(self) -> Program:
        """The program of J⁻ᵀ, with the coefficients from `inverse_coefficients`."""
        assert self.inverse is not None
        program, coefficients, auxiliary, matrices, *_ = self.inverse
        variables = self.cells[0].variables
        return single_program(Text(program, coefficients, variables, auxiliary, matrices, 0))

    def inverse_coefficients(self, coefficients: Array) -> Array:
        """Return the coefficients of J⁻ᵀ from those of J (T, C); not finite without inverse."""
        assert self.inverse is not None
        ((_, named),) = self._named(coefficients)
        with np.errstate(divide="ignore", over="ignore"):
            values = self.inverse.values(named)
        return np.concatenate([values[name] for name in self.inverse.coefficients], axis=-1)

    @property
    def has_log_abs_det(self) -> bool:
        """Whether log|det J| has a closed form."""
        return all(type(cell).log_abs_det is not Cell.log_abs_det for cell in self.cells)

    def log_abs_det(self, coefficients: Array) -> Array | None:
        """Return log|det J| for coefficients (..., C); None without a closed form."""
        total: Array = 0.0
        for cell, named in self._named(coefficients):
            logs = cell.log_abs_det(named)
            if logs is None:
                return None
            total = total + logs
        return total

    def dead_directions(self, coefficients: Array) -> Array:
        """Return for each J among coefficients (..., C) a lower bound (...) on its nullity."""
        most = np.zeros_like(coefficients, shape=coefficients.shape[:-1], dtype=np.int64)
        for cell, named in self._named(coefficients):
            most = np.maximum(most, cell.dead_directions(named))
        return most

    def _named(self, coefficients: Array) -> Iterator[tuple[Cell, dict[str, Array]]]:
        for cell, placed in zip(self.cells, self.program.coefficients, strict=True):
            yield cell, {name: coefficients[..., c.entries] for name, c in placed.items()}


def diagonal_blocks(
    network: Network, *, whole: bool, tolerance: float = 0.0
) -> list[DiagonalBlock]:
    """Return the diagonal blocks of the Jacobian, or the ``whole`` Jacobian as one block.

    A layer does not depend on those above it, so the Jacobian of a stack is block triangular,
    and its spectrum is the union of its layers' spectra.

    Parameters
    ----------
    tolerance : float
        Largest relative error of the inverses that come with the blocks; 0 for no inverses.
    """
    if whole:
        return [DiagonalBlock(network.program, 0, network.cells)]
    blocks = []
    start = entries = 0
    for cell in network.cells:
        program = single_program(cell_text(cell), entries)
        inverse = cell.inverse() if tolerance else None
        if inverse is not None and inverse.condition * UNIT_ROUNDOFF > tolerance:
            inverse = None
        blocks.append(DiagonalBlock(program, start, (cell,), inverse, cell.decoupled))
        start += cell.state_size
        entries += sum(c.size for c in program.coefficients[0].values())
    return blocks
