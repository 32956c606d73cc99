"""The diagonal blocks of a network's Jacobian, each of which has a spectrum."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from ..cells import Cell
from ..cells.base import Inverse
from .apply import log_diagonal
from .network import Network
from .program import Program, Text, by_products, cell_text, single_program
from .structure import component_labels, generic_rank, restrict, vanishing

# of the largest weight: rounding is not much smaller than the effect of such couplings
WEAK = 1e-6


@dataclass(frozen=True)
class DiagonalBlock:
    """A diagonal block of the Jacobian, followed separately: it has a spectrum."""

    # over the state of this block
    program: Program
    # in the state
    columns: Array
    # that have its Jacobian; none where it is cut out of that of a layer
    cells: tuple[Cell, ...]
    # coefficients of the network that its program uses; None for all of them
    entries: Array | None = None
    # the map J⁻ᵀ, where it is cheap and its rounding within the tolerance
    inverse: Inverse | None = None
    # whether each unit keeps its own direction, see `Cell`, or each column of the state
    decoupled: bool = False
    # whether coefficients of zero are exact, see `Cell`
    exact: bool = False
    # which coefficients may be other than zero
    possible: Array = field(default_factory=lambda: np.ones(0, bool))
    # whether only weights below `WEAK` join its columns to one block
    weak: bool = False

    def select(self, coefficients: Array) -> Array:
        """Return the coefficients (..., C) of the network that the program uses."""
        if self.entries is None:
            return coefficients
        return np.take(coefficients, self.entries, axis=-1)

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
        if not self.cells or by_products(self.program):
            return False
        return all(type(cell).log_abs_det is not Cell.log_abs_det for cell in self.cells)

    def log_abs_det(self, coefficients: Array) -> Array | None:
        """Return log|det J| for coefficients (..., C); None without a closed form."""
        if not self.cells:
            single = self.decoupled
            return log_diagonal(self.program, coefficients).sum(axis=-1) if single else None
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
        if not self.cells:
            return most + self._generic_nullity
        for cell, named in self._named(coefficients):
            most = np.maximum(most, cell.dead_directions(named))
        return most

    @property
    def counts_zeros(self) -> bool:
        """Whether `vanishing` looks at the coefficients."""
        known = [type(cell).dead_directions is not Cell.dead_directions for cell in self.cells]
        return self.exact and not any(known)

    def vanishing(self, coefficients: Array) -> Array:
        """Return how many rows or columns of J (...) are exactly zero, where no cell knows better.

        Given are coefficients (..., C) on the host.
        """
        found = np.zeros(coefficients.shape[:-1], dtype=np.int64)
        if self.counts_zeros:
            some = np.any(coefficients == 0.0, axis=-1)
            if some.any():
                found[some] = vanishing(self.program, coefficients[some])
        return found

    @cached_property
    def single(self) -> bool:
        """Whether each column of the state reads itself alone, so that J is diagonal."""
        labels = component_labels(self.program, {})[: self.program.state_size]
        return self.decoupled and len(np.unique(labels)) == len(labels)

    @cached_property
    def _generic_nullity(self) -> int:
        return self.program.state_size - generic_rank(self.program)

    def _named(self, coefficients: Array) -> Iterator[tuple[Cell, dict[str, Array]]]:
        for cell, placed in zip(self.cells, self.program.coefficients, strict=True):
            yield cell, {name: coefficients[..., c.entries] for name, c in placed.items()}


def diagonal_blocks(
    network: Network, *, whole: bool, tolerance: float = 0.0
) -> list[DiagonalBlock]:
    """Return the diagonal blocks of the Jacobian, or the ``whole`` Jacobian as one block.

    A layer does not depend on those above it, nor a module of a layer on those that read it. So the
    Jacobian is block triangular, and its spectrum is the union of the blocks' spectra. The
    ``tolerance`` is the largest relative error of the inverses that come with the blocks; 0 for
    no inverses.
    """
    # kept with the network, until its weights change
    digest, found = vars(network).get("_blocks", ("", {}))
    if digest != network.digest():
        digest, found = vars(network)["_blocks"] = network.digest(), {}
    if (whole, tolerance) not in found:
        found[whole, tolerance] = _find_blocks(network, whole, tolerance)
    return list(found[whole, tolerance])


def _find_blocks(network: Network, whole: bool, tolerance: float) -> list[DiagonalBlock]:
    blocks = []
    start = entries = 0
    for cell in network.cells:
        program = single_program(cell_text(cell), entries)
        blocks += _blocks_of_layer(cell, program, np.arange(cell.state_size) + start, tolerance)
        start += cell.state_size
        entries += sum(c.size for c in program.coefficients[0].values())
    one = len(blocks) == 1 and not blocks[0].decoupled
    if not whole or one:
        return blocks
    exact = all(cell.exact for cell in network.cells)
    columns = np.arange(network.state_size)
    # a copy, with nothing that was kept for weights that have changed
    program = network.program._replace()
    return [DiagonalBlock(program, columns, network.cells, exact=exact)]


def _blocks_of_layer(
    cell: Cell, program: Program, columns: Array, tolerance: float
) -> list[DiagonalBlock]:
    """Return the irreducible blocks of a layer; those of one column are one decoupled block."""
    (placed,) = program.coefficients
    constants = {
        placed[name]: np.broadcast_to(value, placed[name].size)
        for name, value in {**cell.constants, **{n: ~z for n, z in cell.zeros.items()}}.items()
    }
    possible = np.ones(max((c.entries.stop for c in placed.values()), default=0), bool)
    for c, value in constants.items():
        possible[c.entries] = value != 0.0
    one = DiagonalBlock(
        program, columns, (cell,), decoupled=cell.decoupled, exact=cell.exact, possible=possible
    )
    if cell.decoupled:
        return [_with_inverse(one, tolerance)]
    labels = component_labels(program, constants)
    strong = component_labels(program, constants, WEAK)
    _, first, counts = np.unique(
        labels[: program.state_size], return_index=True, return_counts=True
    )
    if len(first) == 1:
        weak = len(np.unique(strong[: program.state_size])) > 1
        return [replace(one, weak=True) if weak else _with_inverse(one, tolerance)]
    groups = [labels == labels[at] for at in sorted(first[counts > 1])]
    single = np.isin(labels, labels[first[counts == 1]])
    blocks = []
    for group in [*groups, *[single] * bool(single.any())]:
        nodes = np.flatnonzero(group)
        own = nodes[nodes < program.state_size]
        smaller = None if group is single else _units(cell, own)
        if smaller is None:
            restricted, entries = restrict(program, nodes, labels)
            block = DiagonalBlock(restricted, columns[own], (), entries, decoupled=group is single)
        else:
            part, units = smaller
            entries = np.concatenate([each.start + units for each in placed.values()])
            own_program = single_program(cell_text(part))
            block = DiagonalBlock(own_program, columns[own], (part,), entries)
        block = replace(block, exact=cell.exact, possible=possible[entries])
        if group is not single and len(np.unique(strong[own])) > 1:
            blocks.append(replace(block, weak=True))
        else:
            blocks.append(_with_inverse(block, tolerance))
    return blocks


def _units(cell: Cell, columns: Array) -> tuple[Cell, Array] | None:
    """Return the cell of the units whose state is in ``columns``, and their numbers."""
    n = next(iter(cell.variables.values()))
    units = columns[columns < n]
    whole = (np.arange(len(cell.variables))[:, None] * n + units).ravel()
    if set(cell.variables.values()) != {n} or not np.array_equal(whole, columns):
        return None
    smaller = cell.of_units(units)
    # a derived cell can have another Jacobian
    if smaller is None or smaller.program != cell.program:
        return None
    return smaller, units


def _with_inverse(block: DiagonalBlock, tolerance: float) -> DiagonalBlock:
    if not tolerance or not block.cells:
        return block
    inverse = block.cells[0].inverse()
    if inverse is None or inverse.condition * UNIT_ROUNDOFF > tolerance:
        return block
    return replace(block, inverse=inverse)
