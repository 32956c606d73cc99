"""A network: a stack of cells with one state, one input and one tangent program."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import Array
from ..cells import Cell
from ..cells.base import Inverse
from ..tangent.checks import NormBounds
from ..tangent.interval import UNIT_ROUNDOFF
from .program import Program, Text, cell_text, single_program, stack_programs

__all__ = ["Network", "Part"]


@dataclass(frozen=True)
class Part:
    """A diagonal block of the Jacobian, whose spectrum is a part of the network's.

    Attributes
    ----------
    program : Program
        Over the state of this part, reading the coefficients of the whole network.
    start : int
        First of its columns in the state.
    cells : tuple of Cell
    inverse : Inverse or None
        The map J⁻ᵀ, where it is cheap and its rounding within the tolerance.
    decoupled : bool
        Whether it is followed in the directions of its units, see `Cell`.
    """

    program: Program
    start: int
    cells: tuple[Cell, ...]
    inverse: Inverse | None = None
    decoupled: bool = False

    def vectors(self, k: int) -> int:
        """Return how many deviation vectors it takes to find those among the k leading."""
        D = self.program.state_size
        return D if self.decoupled else min(k, D)

    @cached_property
    def inverse_program(self) -> Program:
        """The program of J⁻ᵀ, reading what `inverse_coefficients` returns."""
        assert self.inverse is not None
        program, coefficients, auxiliary, matrices, *_ = self.inverse
        blocks = self.cells[0].blocks
        return single_program(Text(program, coefficients, blocks, auxiliary, matrices, 0))

    def inverse_coefficients(self, coefficients: Array) -> Array:
        """Return the coefficients of J⁻ᵀ for those of J (T, C); not finite without inverse."""
        assert self.inverse is not None
        ((_, named),) = self._named(coefficients)
        with np.errstate(divide="ignore", over="ignore"):
            values = self.inverse.values(named)
        return np.concatenate([values[name] for name in self.inverse.coefficients], axis=-1)

    @cached_property
    def bounds(self) -> NormBounds:
        """Bounds on the growth, which all trajectories share."""
        return NormBounds(self)

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


class Network:
    """A stack of recurrent layers; layer l reads the new output of layer l − 1.

    The state is the concatenation of the layers' states, from the first layer to the last;
    within an LSTM layer h, then c.

    Parameters
    ----------
    cells : sequence of Cell
        From the first layer to the last.
    origin : str
        Where the weights came from; shown and stored, without effect.
    assumptions : sequence of str
        What the weights file left open and was assumed; shown and stored.

    Raises
    ------
    ValueError, TypeError
        If there is no cell, or a layer does not fit on the one below.
    """

    def __init__(
        self, cells: Sequence[Cell], *, origin: str = "", assumptions: Sequence[str] = ()
    ) -> None:
        if isinstance(cells, Cell):
            raise TypeError(f"cells is a {type(cells).__name__}; give a list of cells, of one too")
        self.cells = tuple(cells)
        self.origin = origin
        self.assumptions = tuple(assumptions)
        if not self.cells:
            raise ValueError("cells is empty; a network needs at least one layer")
        for layer, (below, cell) in enumerate(zip(self.cells, self.cells[1:], strict=False), 1):
            if cell.input_size != below.output_size:
                raise ValueError(
                    f"layer {layer} reads {cell.input_size} inputs, but layer {layer - 1} "
                    f"has {below.output_size} outputs"
                )

    @property
    def input_size(self) -> int:
        """Width m of the input; 0 for an autonomous network."""
        return self.cells[0].input_size

    @property
    def state_size(self) -> int:
        """Dimension D of the state, the number of exponents."""
        return sum(cell.state_size for cell in self.cells)

    @cached_property
    def program(self) -> Program:
        """The tangent step."""
        return stack_programs(self.cells)

    def parts(self, *, whole: bool, tolerance: float = 0.0) -> list[Part]:
        """Return the diagonal blocks of the Jacobian, or one part that is all of it.

        A layer does not depend on those above it, so the Jacobian of a stack is block
        triangular, and its spectrum is the union of its layers' spectra.

        Parameters
        ----------
        whole : bool
            Return one part.
        tolerance : float
            Relative error up to which an inverse of a layer's Jacobian is given with it.
        """
        if whole:
            return [Part(self.program, 0, self.cells)]
        parts = []
        start = entries = 0
        for cell in self.cells:
            program = single_program(cell_text(cell), entries)
            inverse = cell.inverse() if tolerance else None
            if inverse is not None and inverse.condition * UNIT_ROUNDOFF > tolerance:
                inverse = None
            parts.append(Part(program, start, (cell,), inverse, cell.decoupled))
            start += cell.state_size
            entries += sum(c.size for c in program.coefficients[0].values())
        return parts

    def split_state(self, state: Array) -> list[Array]:
        """Cut states (..., D) into the layers' states."""
        ends = np.cumsum([cell.state_size for cell in self.cells])[:-1].tolist()
        return list(np.split(state, ends, axis=-1))

    def blocks(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of the blocks of the state, in order: ``("0.h", 64)`` and so on."""
        for layer, cell in enumerate(self.cells):
            for name, size in cell.blocks.items():
                yield f"{layer}.{name}", size

    def digest(self) -> str:
        """Return the SHA-256 of the cells and weights, as computed (float64)."""
        hasher = hashlib.sha256()
        for cell in self.cells:
            hasher.update(cell.name.encode())
            for part in cell.fingerprint():
                array = np.ascontiguousarray(part)
                hasher.update(repr((array.shape, array.dtype.str)).encode())
                hasher.update(array.tobytes())
        return hasher.hexdigest()

    def __repr__(self) -> str:
        return f"Network([{', '.join(map(repr, self.cells))}])"
