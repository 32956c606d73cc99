"""The forward pass of one layer, compiled from the cell's own text."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from numba import types
from numba.extending import overload, register_jitable

from ...arrays import Array
from ...cells import activations, sparse
from ...cells.base import Step
from ...networks.forward import write

# these teach Numba the functions that steps call
from . import slopes as slopes
from . import sparse_products as sparse_products
from .jit import borrowed, compiled

__all__ = ["layer_forward"]

# trajectories that start at once in several threads must not each compile the same cell
_lock = threading.Lock()

# modules whose functions Numba knows already
KNOWN = (activations.__name__, sparse.__name__)


def layer_forward(
    step: Step, weights: Any, drive: Array, states: Array, coefficients: Array
) -> None:
    """Run ``step`` over time; see `lyapy.networks.forward.layer_forward`."""
    with _lock:
        run = _compile(step)
    run(weights, drive, states, coefficients)


@overload(write, strict=False)
def _write(target: Any, vectors: Any) -> Any:
    # iteration over vectors of one type compiles once, where recursion compiles for each rest
    if isinstance(vectors, types.UniTuple):

        def write_all(target: Array, vectors: Any) -> None:
            start = 0
            for vector in vectors:
                for i in range(len(vector)):
                    target[start + i] = vector[i]
                start += len(vector)

        return write_all
    if not len(vectors):
        return lambda target, vectors: None

    def write_first(target: Array, vectors: Any) -> None:
        first = vectors[0]
        for i in range(len(first)):
            target[i] = first[i]
        write(target[len(first) :], vectors[1:])

    return write_first


@cache
def _register(function: Callable[..., Any]) -> None:
    register_jitable(function)


def _called(step: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Yield the functions that a step calls, those that it captured too, and then the step."""
    names = inspect.getclosurevars(step)
    for value in (*names.nonlocals.values(), *names.globals.values()):
        if inspect.isfunction(value) and value.__module__ not in KNOWN:
            yield from _called(value)
    yield step


@cache
def _compile(step: Step) -> Callable[..., None]:
    functions = [*_called(step)]
    for function in functions:
        _register(function)

    def run(weights: Any, drive: Array, states: Array, coefficients: Array) -> None:
        weights, drive = borrowed(weights), borrowed(drive)
        states, coefficients = borrowed(states), borrowed(coefficients)
        for t in range(len(drive)):
            new_state, values = step(weights, states[t], drive[t])
            write(states[t + 1], new_state)
            write(coefficients[t], values)

    run.__qualname__ = f"layer_forward.{step.__module__}.{step.__qualname__}"
    return compiled(run, *sorted({inspect.getfile(function) for function in functions}))
