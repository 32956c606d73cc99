"""Closed loops: a network whose linear read-out is its next input."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..cells import Cell
from ..cells.base import Step, as_matrix, as_vector
from ..runs.start import check_inputs
from .forward import forward_chunk
from .network import Network
from .program import cell_text, parse_program, single_program

__all__ = ["ClosedLoop"]

# steps whose states are kept at a time
WARM_UP = 1000


class ClosedLoop(Network):
    """A network that reads its own output: x_{t+1} = R y_t + c, with y the last layer's output.

    It is autonomous: perturbations of the state move its input too, while the spectrum of the
    network alone, driven by a given sequence, is the conditional one. Where the last layer's
    output is no block of its state, as that of a linear state space, the next input is: the
    state then has m dimensions more, behind those of the layers.

    Parameters
    ----------
    network : Network
    readout : array (m, p)
        R, from the p outputs of the last layer to the m inputs of the first.
    bias : array (m,), optional
        c.

    Attributes
    ----------
    open_loop : Network
        The network given.

    Raises
    ------
    ValueError
        If a shape does not fit, or if a layer (a `Map`) does not say how its input moves its
        state.

    Examples
    --------
    >>> import numpy as np
    >>> import lyapy
    >>> network = lyapy.random_network("gru", 8, 2, seed=1)
    >>> loop = lyapy.ClosedLoop(network, np.ones((2, 8)))
    >>> lyapy.lyapunov_spectrum(loop, steps=100).exponents.shape
    (8,)
    """

    def __init__(self, network: Network, readout: Any, bias: Any = None) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network is a {type(network).__name__}; it must be a lyapy.Network")
        self.open_loop = network
        cell = _Loop(network, readout, bias)
        self._readout = cell.readout
        origin = f"{network.origin}, closed loop" if network.origin else "closed loop"
        super().__init__([cell], origin=origin, assumptions=network.assumptions)

    def state_layout(self) -> Iterator[tuple[str, int]]:
        yield from self.open_loop.state_layout()
        if self.state_size > self.open_loop.state_size:
            yield "input", self.open_loop.input_size

    def warm_up(self, inputs: Any) -> Array:
        """Return the states after the open loop has read inputs, from zero.

        Parameters
        ----------
        inputs : array (T, m) or (B, T, m)

        Returns
        -------
        array (1 or B, D)
            To begin with as ``initial_state``.

        Raises
        ------
        ValueError, TypeError
            If the inputs do not fit the network.
        """
        network = self.open_loop
        x = np.moveaxis(check_inputs(network, inputs, 0, None), 0, 1)
        state = np.zeros((x.shape[1], network.state_size))
        for start in range(0, len(x), WARM_UP):
            state = forward_chunk(network, x[start : start + WARM_UP], state).states[-1]
        if self.state_size == network.state_size:
            return state
        y, (R, c) = x[-1:], self._readout
        for cell, part in zip(network.cells, network.split_state(state), strict=True):
            y = cell.outputs(part[None], cell.drive(y))
        return np.concatenate([state, y[0] @ R.T + c], axis=1)


class _Layer(NamedTuple):
    """One layer's functions, and its places in the state and in the coefficients."""

    step: Step
    read: Callable[[Any, Array, Array], Array]
    columns: tuple[int, int]
    entries: tuple[int, int]


class _Loop(Cell):
    """A stack with its read-out as one cell, composed of the layers' own texts and steps.

    What the layers call ``h`` is called ``h_0``, ``h_1`` … here; ``i`` is the input, a block
    of the state where the output is none.
    """

    name = "closed-loop"

    def __init__(self, network: Network, readout: Any, bias: Any) -> None:
        self.cells = network.cells
        last, m = self.cells[-1], network.input_size
        if not m:
            raise ValueError("network has no inputs; there is no loop to close")
        R = as_matrix(readout, "readout", (m, last.output_size))
        c = as_vector(bias, "bias", m)
        self.W, self.b = np.zeros((0, 0)), np.zeros(0)
        self.readout = R, c
        self.plain = any(cell.plain for cell in self.cells)
        texts = [cell_text(cell) for cell in self.cells]
        for layer, text in enumerate(texts):
            if all(t.source != "x" for _, terms in parse_program(text.program) for t in terms):
                raise ValueError(
                    f"the program of layer {layer}, {self.cells[layer].name}, has no term of the "
                    "deviation of its input, which a closed loop needs"
                )
        self.blocks = _numbered(text.blocks for text in texts)
        self.auxiliary = _numbered(text.auxiliary for text in texts)
        columns = last.output_columns
        (self.blocks if columns is None else self.auxiliary)["i"] = m
        self.constants = _numbered(cell.constants for cell in self.cells)
        self.coefficients = tuple(
            f"{name}_{layer}" for layer, cell in enumerate(self.cells) for name in cell.coefficients
        )
        self.output = "i" if columns is None else f"{last.output}_{len(self.cells) - 1}"
        self.program = _joined_program(self.cells)
        parts = [(cell.W, cell.b, cell.weights) for cell in self.cells]
        self.weights = (R, c, _linked([*parts, (R, c)]))
        layers = _layers(self.cells)
        first, end = layers[-1].columns
        read = (end, end + m) if columns is None else (first + columns.start, first + columns.stop)
        self.step = _loop_step(layers, *read, columns is None)  # type: ignore[method-assign, assignment]
        through = columns is not None or all(map(_passes_input, self.cells))
        self.lost = 0 if through else m

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        raise NotImplementedError

    def matrices(self) -> dict[str, Array]:
        return {"R": self.readout[0], **_numbered(cell.matrices() for cell in self.cells)}

    def dead_directions(self, coefficients: Mapping[str, Array]) -> int:
        # an input that follows from the new state alone
        return self.lost

    def fingerprint(self) -> tuple[Array, ...]:
        kinds = np.frombuffer("/".join(cell.name for cell in self.cells).encode(), np.uint8)
        return (*self.readout, kinds, *(a for cell in self.cells for a in cell.fingerprint()))


def _numbered(tables: Any) -> dict[str, Any]:
    return {f"{name}_{i}": value for i, table in enumerate(tables) for name, value in table.items()}


def _linked(items: Sequence[Any]) -> Any:
    """Return (first, (second, (… last))), which compiled code can take apart."""
    return (items[0], _linked(items[1:])) if len(items) > 1 else items[0]


def _passes_input(cell: Cell) -> bool:
    """Return whether what a cell hands on moves with its input where its new state does not."""
    if cell.output_columns is not None:
        return False
    matrices = cell.matrices()
    (terms,) = (t for target, t in parse_program(cell.program) if target == cell.output)
    return any(t.source == "x" and np.any(matrices.get(str(t.matrix), 1.0)) for t in terms)


def _joined_program(cells: Sequence[Cell]) -> str:
    """Return the layers' programs as one text, each reading the one below, the first the last."""
    last = len(cells) - 1
    closing, held = f"R d{cells[last].output}_{last}", cells[last].output_columns is None
    lines, below = [] if held else [f"di = {closing}"], "i"
    for layer, cell in enumerate(cells):
        text = cell_text(cell)

        def named(name: str, layer: int = layer, below: str = below) -> str:
            new = "'" if name.endswith("'") else ""
            return below if name == "x" else f"{name.removesuffix(new)}_{layer}{new}"

        for target, terms in parse_program(text.program):
            parts = []
            for term in terms:
                factors = (term.left, term.matrix, term.right)
                words = [f"{factor}_{layer}" for factor in factors if factor is not None]
                parts.append(" ".join([*words, f"d{named(term.source)}"]))
            lines.append(f"d{named(target)} = {' + '.join(parts)}")
        below = f"{cell.output}_{layer}" + ("'" if cell.output in cell.blocks else "")
    return "\n".join([*lines, f"di' = {closing}"] if held else lines)


def _layers(cells: Sequence[Cell]) -> tuple[_Layer, ...]:
    layers, column, entry = [], 0, 0
    for cell in cells:
        (placed,) = single_program(cell_text(cell)).coefficients
        size = sum(placed[name].size for name in cell.coefficients)
        columns = cell.output_columns
        read = cell.read if columns is None else _block_reader(columns.start, columns.stop)
        ends = (column, column + cell.state_size), (entry, entry + size)
        layers.append(_Layer(cell.step, read, *ends))
        (_, column), (_, entry) = ends
    return tuple(layers)


@cache
def _block_reader(start: int, stop: int) -> Callable[[Any, Array, Array], Array]:
    def read(weights: Any, state: Array, drive: Array) -> Array:
        return state[..., start:stop]

    _name(read, start, stop)
    return read


@cache
def _loop_step(layers: tuple[_Layer, ...], start: int, stop: int, held: bool) -> Step:
    """Return the step of the whole loop, which reads the columns from ``start`` to ``stop``.

    These are the output, or the input itself where that is ``held`` in the state. Its
    ``parts`` are to be compiled before it.
    """

    def end(stack: Any, y: Array, state: Array, new_state: Array, coefficients: Array) -> None:
        R, c = stack
        if held:
            new_state[..., start:stop] = y @ R.T + c

    _name(end, start, stop, held)
    run, parts = _stack_step(layers, end)

    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        R, c, stack = weights
        x = state[..., start:stop]
        run(stack, x if held else x @ R.T + c, state, new_state, coefficients)

    _name(step, start, stop, run)
    step.parts = parts  # type: ignore[attr-defined]
    return step


def _stack_step(
    layers: Sequence[_Layer], end: Callable[..., None]
) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Return the step of some layers, the first of which reads x, and what it calls."""
    if not layers:
        return end, (end,)
    (step, read, (start, stop), (first, last)), *above = layers
    follow, parts = _stack_step(above, end)

    def run(stack: Any, x: Array, state: Array, new_state: Array, coefficients: Array) -> None:
        (W, b, weights), others = stack
        drive = x @ W.T + b
        new = new_state[..., start:stop]
        step(weights, state[..., start:stop], drive, new, coefficients[..., first:last])
        follow(others, read(weights, new, drive), state, new_state, coefficients)

    _name(run, start, stop, first, last, step, read, follow)
    return run, (*parts, step, read, run)


def _name(function: Callable[..., Any], *captured: Any) -> None:
    """Give a function a name of its own among those that captured something else.

    Compiled code read from the disk is linked by name: functions of the same name and types,
    cached by different processes, would be taken for one another.
    """
    names = (getattr(c, "__module__", "") + getattr(c, "__qualname__", str(c)) for c in captured)
    digest = hashlib.sha256("/".join(names).encode()).hexdigest()[:16]
    function.__qualname__ = f"closed_loop_{function.__name__}_{digest}"
