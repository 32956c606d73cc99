"""A network: a stack of cells with one state, one input and one tangent program."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..arrays import Array
from ..cells import Cell
from .in_front import Front
from .program import Coefficient, Program, stack_programs


class Network:
    """A stack of recurrent layers; layer l reads the new output of layer l − 1.

    The state is the concatenation of the layers' states, from the first layer to the last;
    within an LSTM layer h, then c.

    Parameters
    ----------
    cells : sequence of Cell
        From the first layer to the last.
    origin : str
        Where the weights come from; shown and stored.
    assumptions : sequence of str
        Assumptions where the weights file leaves a choice; shown and stored.

    Attributes
    ----------
    front : Front
        The layers of the model before the first cell, of which token ids need the embedding.

    Raises
    ------
    ValueError, TypeError
        If there is no cell, or a layer does not fit on the one below.
    """

    def __init__(
        self, cells: Sequence[Cell], *, origin: str = "", assumptions: Sequence[str] = ()
    ) -> None:
        if isinstance(cells, Cell):
            raise TypeError(f"cells is a {type(cells).__name__}; give a list, even of one cell")
        self.cells = tuple(cells)
        self.origin = origin
        self.assumptions = tuple(assumptions)
        self.front = Front()
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
        program = stack_programs(self.cells)
        for cell, placed in zip(self.cells, program.coefficients, strict=True):
            if not cell.plain:
                _check_step(cell, placed)
        return program

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_blocks"}

    def split_state(self, state: Array) -> list[Array]:
        """Cut states (..., D) into the layers' states."""
        ends = [*accumulate((cell.state_size for cell in self.cells), initial=0)]
        return [state[..., start:end] for start, end in pairwise(ends)]

    def state_layout(self) -> Iterator[tuple[str, int]]:
        """Yield name and size of the layers' state variables, in order, as ``("0.h", 64)``."""
        for layer, cell in enumerate(self.cells):
            for name, size in cell.variables.items():
                yield f"{layer}.{name}", size

    def digest(self) -> str:
        """Return the SHA-256 of the cells' kinds and float64 weights."""
        hasher = hashlib.sha256()
        for cell in self.cells:
            hasher.update(cell.name.encode())
            for value in cell.fingerprint():
                array = np.ascontiguousarray(value)
                hasher.update(repr((array.shape, array.dtype.str)).encode())
                hasher.update(array.tobytes())
        return hasher.hexdigest()

    def __repr__(self) -> str:
        return f"Network([{', '.join(map(repr, self.cells))}])"


def _check_step(cell: Cell, placed: Mapping[str, Coefficient]) -> None:
    """Raise ValueError unless a step returns vectors of the sizes that the program names."""
    rows = cell.drive(np.zeros((0, cell.input_size))).shape[1]
    with np.errstate(all="ignore"):
        found = cell.step(cell.weights, np.zeros(cell.state_size), np.zeros(rows))
    coefficients = {name: placed[name].size for name in cell.coefficients}
    for what, vectors, wanted in zip(
        ("state variables", "coefficients"), found, (cell.variables, coefficients), strict=True
    ):
        sizes = [np.shape(vector) for vector in vectors]
        if sizes != [(size,) for size in wanted.values()]:
            raise ValueError(
                f"the step of {cell.name} returns {what} of shapes {sizes}; it must return "
                + ", ".join(f"{name} ({size},)" for name, size in wanted.items())
            )
