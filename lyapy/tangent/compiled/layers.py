"""The forward pass of one layer, compiled from the cell's own text."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from numba import types
from numba.core.errors import NumbaError
from numba.extending import overload, register_jitable

from ...arrays import Array
from ...cells import activations, sparse
from ...cells.base import Step
from ...networks.forward import write

# these teach Numba the functions that steps call
from . import slopes as slopes
from . import sparse_products as sparse_products
from .jit import borrowed, compiled
from .plan import CACHE
from .shared_products import MOST, Desk, answer, guess, shared

__all__ = ["layer_forward"]

# trajectories that start at once in several threads must not each compile the same cell
_lock = threading.Lock()

# modules whose functions Numba knows already
KNOWN = (activations.__name__, sparse.__name__)


def layer_forward(
    step: Step, weights: Any, drive: Array, states: Array, coefficients: Array
) -> None:
    """Run ``step`` over time; see `lyapy.networks.forward.layer_forward`.

    Trajectories may be the first axis. They read large weights together, with the same bits as
    alone: these ways depend on the weights only.
    """
    if drive.ndim == 2:
        drive, states, coefficients = drive[None], states[None], coefficients[None]
    if (found := shared(weights, CACHE, len(drive))) is not None:
        with _lock:
            run_together = _compile_together(step)
        if run_together(*found, drive, states, coefficients):
            return
    with _lock:
        run = _compile(step)
    for each in zip(drive, states, coefficients, strict=True):
        run(weights, *each)


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
    def run(weights: Any, drive: Array, states: Array, coefficients: Array) -> None:
        weights, drive = borrowed(weights), borrowed(drive)
        states, coefficients = borrowed(states), borrowed(coefficients)
        for t in range(len(drive)):
            new_state, values = step(weights, states[t], drive[t])
            write(states[t + 1], new_state)
            write(coefficients[t], values)

    return _compiled(run, step, "layer_forward")


@cache
def _compile_together(step: Step) -> Callable[..., bool]:
    """Return the loop over time of trajectories that share products; False is "not this step"."""

    def run(weights: Any, desk: Desk, drive: Array, states: Array, coefficients: Array) -> bool:
        weights, desk, drive = borrowed(weights), borrowed(desk), borrowed(drive)
        states, coefficients = borrowed(states), borrowed(coefficients)
        now, first = desk.now, desk.first
        for t in range(drive.shape[1]):
            guessed = guess(desk, first, states, t)
            known = 1 if guessed else 0
            while True:
                waiting, missed = False, False
                for b in range(len(drive)):
                    now[0], now[1], now[2], now[3] = b, 0, known, guessed
                    new_state, values = step(weights, states[b, t], drive[b, t])
                    if now[2] < known:
                        missed = True
                    elif now[1] > known:
                        waiting = True
                    else:
                        write(states[b, t + 1], new_state)
                        write(coefficients[b, t], values)
                if missed:
                    # no more guesses
                    first[2], known = -1, 0
                elif not waiting:
                    break
                elif known == MOST:
                    return False
                else:
                    answer(desk, known)
                    if known == 0 and first[2] == 0:
                        for i in range(3):
                            first[i] = desk.asked[0, i]
                    known += 1
                guessed = False
        return True

    call = _compiled(run, step, "layer_forward_together")
    possible = True

    def run_if_possible(*arguments: Any) -> bool:
        nonlocal possible
        if possible:
            try:
                return bool(call(*arguments))
            except NumbaError:
                # the step does more with a weight than to multiply by it
                possible = False
        return False

    return run_if_possible


def _compiled(run: Callable[..., Any], step: Step, name: str) -> Callable[..., Any]:
    """Compile a loop over time that calls ``step``."""
    functions = [*_called(step)]
    for function in functions:
        _register(function)
    run.__qualname__ = f"{name}.{step.__module__}.{step.__qualname__}"
    return compiled(run, *sorted({inspect.getfile(function) for function in functions}))
