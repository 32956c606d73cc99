"""The forward pass of one layer, compiled from the cell's own text."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from numba.extending import register_jitable

from ...arrays import Array
from ...cells import gru, lstm
from ...cells.base import Step

# these teach Numba the functions that steps call
from . import slopes as slopes
from . import sparse_products as sparse_products
from .jit import compiled

__all__ = ["layer_forward"]

# trajectories that start at once in several threads must not each compile the same cell
_lock = threading.Lock()

register_jitable(gru.gru_differences)
register_jitable(lstm.lstm_gates)


def layer_forward(
    step: Step, weights: Any, drive: Array, states: Array, coefficients: Array
) -> None:
    """Run ``step`` over time; see `lyapy.networks.forward.layer_forward`."""
    with _lock:
        run = _compile(step)
    run(weights, drive, states, coefficients)


@cache
def _register(function: Callable[..., Any]) -> None:
    register_jitable(function)


@cache
def _compile(step: Step) -> Callable[..., None]:
    # a step that is put together of others names them
    parts = (*getattr(step, "parts", ()), step)
    for part in parts:
        _register(part)

    def run(weights: Any, drive: Array, states: Array, coefficients: Array) -> None:
        for t in range(len(drive)):
            step(weights, states[t], drive[t], states[t + 1], coefficients[t])

    run.__qualname__ = f"layer_forward.{step.__module__}.{step.__qualname__}"
    return compiled(run, *sorted({inspect.getfile(part) for part in parts}))
