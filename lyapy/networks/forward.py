"""The forward pass over a chunk of time: states, and the coefficients of the Jacobians."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array, stacked
from ..cells.base import Cell, Step, Vectors
from .network import Network
from .program import Coefficient

LayerForward = Callable[[Step, object, Array, Array, Array], None]


class Chunk(NamedTuple):
    """The forward pass over T steps: states (T, ..., D) after them, coefficients (T, ..., C)."""

    states: Array
    coefficients: Array


def layer_forward(
    step: Step, weights: object, drive: Array, states: Array, coefficients: Array
) -> None:
    """Run ``step`` over time: states[t] → states[t + 1], coefficients[t]."""
    for t in range(len(drive)):
        new_state, values = step(weights, states[t], drive[t])
        write(states[t + 1], new_state)
        write(coefficients[t], values)


def write(target: Array, vectors: Vectors) -> None:
    """Write vectors next to each other along the last axis of the target."""
    start = 0
    for vector in vectors:
        stop = start + vector.shape[-1]
        target[..., start:stop] = vector
        start = stop


def forward_chunk(
    network: Network,
    inputs: Array,
    state: Array,
    run_layer: LayerForward = layer_forward,
) -> Chunk:
    """Run all layers over the inputs (T, ..., m) of a chunk, from ``state`` (..., D).

    ``run_layer`` is the loop over time: `layer_forward` or its compiled twin.
    """
    x = inputs
    layers = []
    for cell, start, size in _layers(network, state):
        states = np.empty_like(x, shape=(len(x) + 1, *start.shape))
        states[0] = start
        coefficients = np.empty_like(x, shape=(len(x), *start.shape[:-1], size))
        drive = cell.drive(x)
        # the caller finds a state that overflows
        with np.errstate(over="ignore", invalid="ignore"):
            run_layer(cell.step, cell.weights, drive, states, coefficients)
            x = cell.outputs(states[1:], drive)
        layers.append(Chunk(states[1:], coefficients))
    return _join(network, layers)


def forward_together(
    network: Network, inputs: Sequence[Array], states: Sequence[Array], run_layer: LayerForward
) -> Chunk:
    """Run trajectories over the inputs (T, m) of a chunk each, from their ``states`` (D,).

    Returned are states (B, T, D) and coefficients (B, T, C), each trajectory's with the bits that
    it has alone, which `layer_forward` leaves only as they run one by one.
    """
    x, B, T = inputs, len(inputs), len(inputs[0])
    alone = run_layer is layer_forward
    layers = []
    for cell, start, size in _layers(network, stacked(states)):
        found = np.empty((B, T + 1, start.shape[1]))
        found[:, 0] = start
        coefficients = np.empty((B, T, size))
        drive = stacked([cell.drive(each) for each in x])
        with np.errstate(over="ignore", invalid="ignore"):
            arrays = drive, found, coefficients
            for each in zip(*arrays, strict=True) if alone else [arrays]:
                run_layer(cell.step, cell.weights, *each)
            x = [cell.outputs(*each) for each in zip(found[:, 1:], drive, strict=True)]
        layers.append(Chunk(found[:, 1:], coefficients))
    return _join(network, layers)


def _layers(network: Network, state: Array) -> Iterator[tuple[Cell, Array, int]]:
    """Yield each layer's cell, its part of the state, and the number of its coefficients."""
    placed = network.program.coefficients
    for cell, start, names in zip(network.cells, network.split_state(state), placed, strict=True):
        yield cell, start, sum(coefficient.size for coefficient in names.values())


def _write_constants(cell: Cell, placed: Mapping[str, Coefficient], coefficients: Array) -> None:
    first = min((c.start for c in placed.values()), default=0)
    for name, value in cell.constants.items():
        start = placed[name].start - first
        coefficients[..., start : start + placed[name].size] = value


def _join(network: Network, layers: Sequence[Chunk]) -> Chunk:
    """Return the chunk of all layers, with coefficients that are constant."""
    for cell, names, layer in zip(network.cells, network.program.coefficients, layers, strict=True):
        _write_constants(cell, names, layer.coefficients)
    if len(layers) == 1:
        return layers[0]
    return Chunk(*(np.concatenate(each, axis=-1) for each in zip(*layers, strict=True)))
