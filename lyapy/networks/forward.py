"""The forward pass over a chunk of time: states, and the coefficients of the Jacobians."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..cells.base import Cell, Step, Vectors
from .network import Network
from .program import Coefficient

LayerForward = Callable[[Step, object, Array, Array, Array], None]


class Chunk(NamedTuple):
    """The forward pass over T steps.

    Attributes
    ----------
    states : array (T, ..., D)
        After each step.
    coefficients : array (T, ..., C)
        Of each step's Jacobian, the layers one after the other.
    """

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

    Parameters
    ----------
    run_layer
        The loop over time: `layer_forward` or its compiled twin.
    """
    x = inputs
    all_states, all_coefficients = [], []
    placed = network.program.coefficients
    for cell, start, names in zip(network.cells, network.split_state(state), placed, strict=True):
        states = np.empty_like(x, shape=(len(x) + 1, *start.shape))
        states[0] = start
        size = sum(coefficient.size for coefficient in names.values())
        coefficients = np.empty_like(x, shape=(len(x), *start.shape[:-1], size))
        drive = cell.drive(x)
        # the caller finds a state that overflows
        with np.errstate(over="ignore", invalid="ignore"):
            run_layer(cell.step, cell.weights, drive, states, coefficients)
            x = cell.outputs(states[1:], drive)
        _write_constants(cell, names, coefficients)
        all_states.append(states[1:])
        all_coefficients.append(coefficients)
    return Chunk(_join(all_states), _join(all_coefficients))


def _write_constants(cell: Cell, placed: Mapping[str, Coefficient], coefficients: Array) -> None:
    first = min((c.start for c in placed.values()), default=0)
    for name, value in cell.constants.items():
        start = placed[name].start - first
        coefficients[..., start : start + placed[name].size] = value


def _join(layers: list[Array]) -> Array:
    return layers[0] if len(layers) == 1 else np.concatenate(layers, axis=-1)
