"""Closed loops: a network whose linear read-out is its next input."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .arguments import check_inputs
from .cells import Cell
from .cells.base import Step, as_matrix, as_vector
from .forward import forward_chunk
from .network import Network
from .program import cell_text, parse_program, single_program
from .types import Array

__all__ = ["ClosedLoop"]

# steps whose states are kept at a time
WARM_UP = 1000


class ClosedLoop(Network):
    """A network that reads its own output: x_{t+1} = R y_t + c, with y the last layer's output.

    It is autonomous: perturbations of the state move its input too, while the spectrum of the
    network alone, driven by a given sequence, is the conditional one.

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
        If a shape does not fit, if what the last layer hands on is no block of its state, or
        if a layer (a `Map`) does not say how its input moves its state.

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
        origin = f"{network.origin}, closed loop" if network.origin else "closed loop"
        super().__init__([cell], origin=origin, assumptions=network.assumptions)

    def blocks(self) -> Iterator[tuple[str, int]]:
        return self.open_loop.blocks()

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
        x = np.moveaxis(check_inputs(self.open_loop, inputs, 0, None), 0, 1)
        state = np.zeros((x.shape[1], self.state_size))
        for start in range(0, len(x), WARM_UP):
            state = forward_chunk(self.open_loop, x[start : start + WARM_UP], state).states[-1]
        return state


class _Layer(NamedTuple):
    """One layer's functions, and its places in the state and in the coefficients."""

    step: Step
    read: Callable[[Any, Array, Array], Array]
    columns: tuple[int, int]
    entries: tuple[int, int]


class _Loop(Cell):
    """A stack with its read-out as one cell, composed of the layers' own texts and steps.

    What the layers call ``h`` is called ``h_0``, ``h_1`` … here; ``i`` is the input.
    """

    name = "closed-loop"

    def __init__(self, network: Network, readout: Any, bias: Any) -> None:
        self.cells = network.cells
        last, m = self.cells[-1], network.input_size
        if not m:
            raise ValueError("network has no inputs; there is no loop to close")
        if last.output_columns is None:
            raise ValueError(
                f"the output of the last layer, {last.name}, is no block of its state; put a "
                "layer without such a read-out above it"
            )
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
        self.auxiliary = {"i": m, **_numbered(text.auxiliary for text in texts)}
        self.constants = _numbered(cell.constants for cell in self.cells)
        self.coefficients = tuple(
            f"{name}_{layer}" for layer, cell in enumerate(self.cells) for name in cell.coefficients
        )
        self.output = f"{last.output}_{len(self.cells) - 1}"
        self.program = _joined_program(self.cells)
        self.weights = (R, c, _linked([(cell.W, cell.b, cell.weights) for cell in self.cells]))
        layers, columns = _layers(self.cells), last.output_columns
        first = layers[-1].columns[0]
        read = (first + columns.start, first + columns.stop)
        self.step = _loop_step(layers, *read)  # type: ignore[method-assign, assignment]

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        raise NotImplementedError

    def matrices(self) -> dict[str, Array]:
        return {"R": self.readout[0], **_numbered(cell.matrices() for cell in self.cells)}

    def fingerprint(self) -> tuple[Array, ...]:
        kinds = np.frombuffer("/".join(cell.name for cell in self.cells).encode(), np.uint8)
        return (*self.readout, kinds, *(a for cell in self.cells for a in cell.fingerprint()))


def _numbered(tables: Any) -> dict[str, Any]:
    return {f"{name}_{i}": value for i, table in enumerate(tables) for name, value in table.items()}


def _linked(items: Sequence[Any]) -> Any:
    """Return (first, (second, (… (last, ())))), which compiled code can take apart."""
    return (items[0], _linked(items[1:])) if items else ()


def _joined_program(cells: Sequence[Cell]) -> str:
    """Return the layers' programs as one text, each reading the one below, the first the last."""
    last = len(cells) - 1
    lines, below = [f"di = R d{cells[last].output}_{last}"], "i"
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
    return "\n".join(lines)


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
def _loop_step(layers: tuple[_Layer, ...], start: int, stop: int) -> Step:
    """Return the step of the whole loop, which reads the columns from ``start`` to ``stop``.

    Its ``parts`` are to be compiled before it.
    """
    run, parts = _stack_step(layers)

    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        R, c, stack = weights
        x = state[..., start:stop] @ R.T + c
        run(stack, x, state, new_state, coefficients)

    _name(step, start, stop, run)
    step.parts = parts  # type: ignore[attr-defined]
    return step


def _stack_step(layers: Sequence[_Layer]) -> tuple[Callable[..., None], tuple[Any, ...]]:
    """Return the step of some layers, the first of which reads x, and what it calls."""
    if not layers:

        def nothing(
            stack: Any, x: Array, state: Array, new_state: Array, coefficients: Array
        ) -> None:
            pass

        return nothing, (nothing,)
    (step, read, (start, stop), (first, last)), *above = layers
    follow, parts = _stack_step(above)

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
