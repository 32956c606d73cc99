"""The forward pass over a chunk of time: states, and the coefficients of the Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .cells import Cell
from .cells.base import Step
from .network import Network
from .types import Array

__all__ = ["Chunk", "LayerForward", "forward_chunk", "layer_forward", "output_columns"]

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
        step(weights, states[t], drive[t], states[t + 1], coefficients[t])


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
        # a state that overflows is found by the caller
        with np.errstate(over="ignore", invalid="ignore"):
            run_layer(type(cell).step, cell.weights, cell.drive(x), states, coefficients)
        x = states[1:, ..., output_columns(cell)]
        all_states.append(states[1:])
        all_coefficients.append(coefficients)
    return Chunk(_join(all_states), _join(all_coefficients))


def output_columns(cell: Cell) -> slice:
    """Return the columns of a layer's state that the next layer reads."""
    start = 0
    for name, size in cell.blocks.items():
        if name == cell.output:
            return slice(start, start + size)
        start += size
    raise ValueError(f"{cell.name} has no block {cell.output!r} for its output")


def _join(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
