"""Closed loops: a network whose linear read-out is its next input."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, wraps
from typing import Any

import numpy as np

from ..arrays import Array
from ..cells import Cell
from ..cells.activations import EXACT, NONLINEARITIES, activation, kind_of
from ..cells.base import Step, Vectors, as_matrix, as_vector
from .forward import forward_chunk
from .inputs import check_inputs
from .network import Network
from .program import parse_program

# steps whose states are kept at a time
WARM_UP = 1000
LINEAR = kind_of("identity")


class ClosedLoop(Network):
    """A network that reads its own output: x_{t+1} = φ(R y_t + c), with y the last layer's output.

    It is autonomous: perturbations of the state move its input too, while the spectrum of the
    network alone, driven by a given sequence, is the conditional one. Where the last layer's
    output is no variable of its state, as that of a linear state space, the loop's state also
    holds the next input, m numbers after those of the layers.

    Parameters
    ----------
    network : Network
    readout : array (m, p)
        R, from the p outputs of the last layer to the m inputs of the first.
    bias : array (m,), optional
        c.
    nonlinearity : str
        φ; see `lyapy.Vanilla`. The read-out is linear by default.

    Attributes
    ----------
    open_loop : Network
        The network, driven by inputs.

    Raises
    ------
    ValueError
        If a shape does not fit, or if the program of a layer (a `Map`) does not contain the
        deviation of its input.

    Examples
    --------
    >>> import numpy as np
    >>> import lyapy
    >>> network = lyapy.random_network("gru", 8, 2, seed=1)
    >>> loop = lyapy.ClosedLoop(network, np.ones((2, 8)))
    >>> lyapy.lyapunov_spectrum(loop, steps=100).exponents.shape
    (8,)
    """

    def __init__(
        self, network: Network, readout: Any, bias: Any = None, nonlinearity: str = "identity"
    ) -> None:
        if not isinstance(network, Network):
            raise TypeError(f"network is a {type(network).__name__}; it must be a lyapy.Network")
        self.open_loop = network
        cell = _Loop(network, readout, bias, kind_of(nonlinearity))
        self._readout = cell.readout
        self._kind = cell.kind
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
            To be given as ``initial_state``.

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
        for cell, own in zip(network.cells, network.split_state(state), strict=True):
            y = cell.outputs(own[None], cell.drive(y))
        return np.concatenate([state, activation(y[0] @ R.T + c, self._kind)[0]], axis=1)


class _Loop(Cell):
    """A stack with its read-out as one cell, composed of the layers' own programs and steps.

    The names of layer l end with its number: its ``h`` is ``h_l`` here. ``i`` is the input; it
    is a state variable, `held` until the next step, where the last layer's output is none.
    """

    name = "closed-loop"

    def __init__(self, network: Network, readout: Any, bias: Any, kind: int) -> None:
        self.cells, self.kind = network.cells, kind
        last, m = self.cells[-1], network.input_size
        if not m:
            raise ValueError("network has no inputs; there is no loop to close")
        for layer, cell in enumerate(self.cells):
            if not re.search(r"\bdx\b", cell.program):
                raise ValueError(
                    f"the program of layer {layer}, {cell.name}, has no term of the deviation of "
                    "its input, which a closed loop needs"
                )
        R = as_matrix(readout, "readout", (m, last.output_size))
        c = as_vector(bias, "bias", m)
        self.W, self.b = np.zeros((0, 0)), np.zeros(0)
        self.readout = R, c
        self.plain = any(cell.plain for cell in self.cells)
        read = last.output_columns
        self.held = read is None
        self.variables = _numbered(cell.variables for cell in self.cells)
        self.auxiliary = _numbered(cell.auxiliary for cell in self.cells)
        (self.variables if read is None else self.auxiliary)["i"] = m
        self.constants = _numbered(cell.constants for cell in self.cells)
        names = _numbered(dict.fromkeys(cell.coefficients) for cell in self.cells)
        curved = kind != LINEAR
        self.coefficients = (*names, *["r"] * curved)
        self.output = "i" if self.held else f"{last.output}_{len(self.cells) - 1}"
        self.program = _joined_program(self.cells, self.held, "r R" if curved else "R")
        layers: Any = _no_layer
        stack: Any = ()
        start = 0
        for cell in self.cells:
            stop = start + cell.state_size
            layers = _with_layer(layers, cell.step, _reader(cell), start, stop)
            stack, start = (stack, cell.W, cell.b, cell.weights), stop
        self.weights = ((R, c, kind), stack)
        feed = _curved if curved else _linear
        if read is None:
            self.step = _holding_step(layers, feed, start, start + m)
        else:
            first = start - last.state_size
            self.step = _loop_step(layers, feed, first + read.start, first + read.stop)
        through = not self.held or all(map(_passes_input, self.cells))
        self.lost = 0 if through else m

    # each instance has one
    step: Any = None

    @property
    def exact(self) -> bool:
        return self.kind in EXACT and all(cell.exact for cell in self.cells)

    def matrices(self) -> dict[str, Array]:
        return {"R": self.readout[0], **_numbered(cell.matrices() for cell in self.cells)}

    def dead_directions(self, coefficients: Mapping[str, Array]) -> int:
        # those of an input that is a function of the new state alone
        return self.lost

    def fingerprint(self) -> tuple[Array, ...]:
        names = [cell.name for cell in self.cells]
        if self.kind != LINEAR:
            names.append(NONLINEARITIES[self.kind])
        kinds = np.frombuffer("/".join(names).encode(), np.uint8)
        return (*self.readout, kinds, *(a for cell in self.cells for a in cell.fingerprint()))


def _numbered(tables: Any) -> dict[str, Any]:
    return {f"{name}_{i}": value for i, table in enumerate(tables) for name, value in table.items()}


def _passes_input(cell: Cell) -> bool:
    """Return whether a cell's output moves with its input where its new state does not."""
    if cell.output_columns is not None:
        return False
    matrices = cell.matrices()
    (terms,) = (t for target, t in parse_program(cell.program) if target == cell.output)
    return any(t.source == "x" and np.any(matrices.get(str(t.matrix), 1.0)) for t in terms)


def _joined_program(cells: Sequence[Cell], held: bool, readout: str) -> str:
    """Return the layers' programs as one, each reading the layer below, the first the last."""
    read = f"{readout} d{cells[-1].output}_{len(cells) - 1}"
    lines, below = [] if held else [f"di = {read}"], "di"
    for layer, cell in enumerate(cells):
        lines.append(_renamed(cell.program, layer, below))
        below = f"d{cell.output}_{layer}" + ("'" if cell.output in cell.variables else "")
    return "\n".join([*lines, f"di' = {read}"] if held else lines)


def _renamed(program: str, layer: int, below: str) -> str:
    """Return a layer's program with its number in each name, and ``below`` for its input."""

    def name(word: re.Match[str]) -> str:
        return below if word[0] == "dx" else f"{word[0]}_{layer}"

    return re.sub(r"\w+", name, program)


def _distinct(make: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``make`` return one function for the same arguments, under a name of their digest.

    Compiled code read from the disk is linked by name: functions of the same name and types,
    cached by different processes, would be taken for one another.
    """

    @cache
    @wraps(make)
    def made(*captured: Any) -> Any:
        function = make(*captured)
        names = (
            getattr(c, "__module__", "") + getattr(c, "__qualname__", str(c)) for c in captured
        )
        digest = hashlib.sha256("/".join(names).encode()).hexdigest()[:16]
        function.__qualname__ = f"closed_loop{make.__name__}_{digest}"
        return function

    return made


def _no_layer(stack: Any, x: Array, state: Array) -> tuple[Vectors, Vectors, Array]:
    return (), (), x


@_distinct
def _with_layer(below: Any, step: Step, read: Any, start: int, stop: int) -> Any:
    """Return the step of the layers ``below`` and one more, of its columns of the state."""

    def run(stack: Any, x: Array, state: Array) -> tuple[Vectors, Vectors, Array]:
        lower, W, b, weights = stack
        new, coefficients, x = below(lower, x, state)
        drive = x @ W.T + b
        own, values = step(weights, state[..., start:stop], drive)
        return new + own, coefficients + values, read(weights, own, drive)

    return run


def _reader(cell: Cell) -> Any:
    if cell.output_columns is None:
        return cell.read
    return _variable_reader([*cell.variables].index(cell.output))


@_distinct
def _variable_reader(number: int) -> Any:
    def read(weights: Any, new: Vectors, drive: Array) -> Array:
        return new[number]

    return read


def _linear(readout: Any, y: Array) -> tuple[Array, Vectors]:
    R, c, _ = readout
    return y @ R.T + c, ()


def _curved(readout: Any, y: Array) -> tuple[Array, Vectors]:
    R, c, kind = readout
    x, slope = activation(y @ R.T + c, kind)
    return x, (slope,)


@_distinct
def _loop_step(layers: Any, feed: Any, start: int, stop: int) -> Step:
    """Return the step of a loop whose output is in the columns from ``start`` to ``stop``."""

    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        readout, stack = weights
        x, slopes = feed(readout, state[..., start:stop])
        new, coefficients, _ = layers(stack, x, state)
        return new, coefficients + slopes

    return step


@_distinct
def _holding_step(layers: Any, feed: Any, start: int, stop: int) -> Step:
    """Return the step of a loop whose input is in the columns from ``start`` to ``stop``."""

    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        readout, stack = weights
        new, coefficients, y = layers(stack, state[..., start:stop], state)
        x, slopes = feed(readout, y)
        return (*new, x), coefficients + slopes

    return step
