"""Cells without weights: Jacobians from outside, and any map of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .base import Cell, Vectors

__all__ = ["GivenJacobian", "Map"]


class Weights(NamedTuple):
    """No weights: the tangent step reads its input alone."""


class Functions(NamedTuple):
    step: Callable[[Array, Array], Any]
    jacobian: Callable[[Array, Array], Any]


class GivenJacobian(Cell):
    """A tangent map without a forward pass: the input (D²,) of each step is its Jacobian."""

    name = "given-jacobian"
    program = "dh' = J dh"
    coefficients = ("J",)

    def __init__(self, state_size: int) -> None:
        self.W, self.b = np.zeros((0, state_size**2)), np.zeros(0)
        self.weights = Weights()
        self.variables = {"h": state_size}

    @property
    def exact(self) -> bool:
        return True

    def drive(self, x: Array) -> Array:
        return x

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        return (state,), (drive,)

    def matrices(self) -> dict[str, Array]:
        return {}

    def log_abs_det(self, coefficients: Mapping[str, Array]) -> Array:
        J, D = coefficients["J"], self.state_size
        return np.linalg.slogdet(J.reshape(*J.shape[:-1], D, D))[1]


class Map(GivenJacobian):
    """A map given by two functions, to be used as ``lyapy.Network([lyapy.Map(...)])``.

    The functions run as they are, once a step; compiled by Numba they are faster. Where the
    whole run should be compiled, or the Jacobian is too large to be formed, write a cell: see
    the page on adding a cell.

    Parameters
    ----------
    step, jacobian : callable
        ``step(h, x)`` returns the next state (D,), ``jacobian(h, x)`` J_ij = ∂h′_i/∂h_j (D, D).
    state_size, inputs : int
        D, and the width m of x.

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
    plain = True

    def __init__(
        self, step: Callable[[Array, Array], Any], jacobian: Callable[[Array, Array], Any],
        state_size: int, inputs: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(state_size)
        _check_arguments(step=step, jacobian=jacobian)
        self.W, self.b = np.eye(inputs), np.zeros(inputs)
        self.weights = Functions(step, jacobian)

    @staticmethod
    def step(weights: Any, state: Array, drive: Array) -> tuple[Vectors, Vectors]:
        D = state.shape[-1]
        new_state = np.empty_like(state)
        jacobians = np.empty_like(state, shape=(*state.shape[:-1], D * D))
        for at in np.ndindex(state.shape[:-1]):
            new = np.asarray(weights.step(state[at], drive[at]))
            J = np.asarray(weights.jacobian(state[at], drive[at]))
            if new.shape != (D,) or J.shape != (D, D):
                found = f"step returned shape {new.shape} and jacobian {J.shape}"
                raise ValueError(f"{found}; a state of size {D} needs ({D},) and ({D}, {D})")
            new_state[at], jacobians[at] = new, J.reshape(-1)
        return (new_state,), (jacobians,)

    def fingerprint(self) -> tuple[Array, ...]:
        return tuple(_source(function) for function in self.weights)


def _check_arguments(**functions: Callable[..., Any]) -> None:
    """Raise TypeError unless each function can be called with a state and an input."""
    for name, function in functions.items():
        try:
            signature = inspect.signature(getattr(function, "py_func", function))
        except (TypeError, ValueError):
            continue
        try:
            signature.bind(None, None)
        except TypeError:
            raise TypeError(
                f"{name} takes {signature}; it must take (h, x), the state and the input, which "
                "is empty where inputs=0"
            ) from None


def _source(function: Callable[..., Any]) -> Array:
    try:
        text = inspect.getsource(getattr(function, "py_func", function))
    except (OSError, TypeError):
        text = repr(type(function))
    return np.frombuffer(text.encode(), dtype=np.uint8)
