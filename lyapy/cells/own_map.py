"""Any map of one's own, by its step and its Jacobian in plain Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .base import Cell

__all__ = ["Map"]


class Weights(NamedTuple):
    step: Callable[[Array, Array], Any]
    jacobian: Callable[[Array, Array], Any]


class Map(Cell):
    """A map given by two functions, to be used as ``lyapy.Network([lyapy.Map(...)])``.

    The functions run as they are, once a step; compiled by Numba they are faster. A map that
    should run compiled as a whole, or whose Jacobian is too large to be formed, is better
    written as a cell of its own, see the page on adding a cell.

    Parameters
    ----------
    step : callable
        ``step(h, x)`` returns the next state (D,).
    jacobian : callable
        ``jacobian(h, x)`` returns J_ij = ∂h′_i/∂h_j, (D, D), before the step.
    state_size : int
        D.
    inputs : int
        Width m of the input x; without inputs x is empty.

    Examples
    --------
    >>> import lyapy
    >>> henon = lyapy.Map(
    ...     lambda h, x: [1 - 1.4 * h[0] ** 2 + h[1], 0.3 * h[0]],
    ...     lambda h, x: [[-2.8 * h[0], 1.0], [0.3, 0.0]],
    ...     state_size=2,
    ... )
    >>> spectrum = lyapy.lyapunov_spectrum(
    ...     lyapy.Network([henon]), steps=1000, transient=100, initial_state=[0.1, 0.1]
    ... )
    """

    name = "map"
    program = "dh' = J dh"
    coefficients = ("J",)
    plain = True

    def __init__(
        self,
        step: Callable[[Array, Array], Any],
        jacobian: Callable[[Array, Array], Any],
        state_size: int,
        inputs: int = 0,
    ) -> None:
        self.W = np.eye(inputs)
        self.b = np.zeros(inputs)
        self.weights = Weights(step, jacobian)
        self.blocks = {"h": state_size}

    def drive(self, x: Array) -> Array:
        return x

    @staticmethod
    def step(
        weights: Any, state: Array, drive: Array, new_state: Array, coefficients: Array
    ) -> None:
        D = state.shape[-1]
        for at in np.ndindex(state.shape[:-1]):
            new = np.asarray(weights.step(state[at], drive[at]))
            J = np.asarray(weights.jacobian(state[at], drive[at]))
            if new.shape != (D,) or J.shape != (D, D):
                raise ValueError(
                    f"step returned shape {new.shape} and jacobian {J.shape}; a state of size {D} "
                    f"needs ({D},) and ({D}, {D})"
                )
            new_state[at], coefficients[at] = new, J.reshape(-1)

    def matrices(self) -> dict[str, Array]:
        return {}

    def fingerprint(self) -> tuple[Array, ...]:
        return tuple(_source(function) for function in self.weights)

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        J = coefficients["J"]
        n = self.state_size
        return np.linalg.slogdet(J.reshape(*J.shape[:-1], n, n))[1]


def _source(function: Callable[..., Any]) -> Array:
    try:
        text = inspect.getsource(getattr(function, "py_func", function))
    except (OSError, TypeError):
        text = repr(type(function))
    return np.frombuffer(text.encode(), dtype=np.uint8)
