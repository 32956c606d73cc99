"""Newton's method for cycles: all their states at once, with analytic Jacobians."""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..networks.apply import tangent_step
from ..networks.forward import forward_chunk
from ..networks.network import Network

NEWTON_STEPS, DESCENT_STEPS = 60, 100
# relative to the states
CLOSE, FAR = 1e-9, 1e9
# relative, of a minimum of the speed
DESCENT = 1e-6


class EscapedError(ArithmeticError):
    """States that are no longer finite numbers of any use."""


@dataclass(frozen=True)
class Residual:
    """F_i = f(h_i) − h_{i+1} over the states (p, D) of a cycle, whose zeros are its orbits."""

    network: Network
    x: Array

    def values(self, states: Array) -> tuple[Array, Array]:
        """Return F (p, D) and the coefficients (p, C) of the steps."""
        x = np.broadcast_to(self.x, (1, len(states), len(self.x)))
        chunk = forward_chunk(self.network, x, states)
        return chunk.states[0] - np.roll(states, -1, axis=0), chunk.coefficients[0]

    def jacobians(self, states: Array) -> tuple[Array, Array]:
        """Return F (p, D) and the Jacobians (p, D, D) of the steps."""
        F, coefficients = self.values(states)
        identity = np.eye(self.network.state_size)
        return F, np.swapaxes(tangent_step(self.network.program, coefficients, identity), -1, -2)

    def derivative(self, jacobians: Array) -> Array:
        """Return DF (pD, pD) from the Jacobians of the steps."""
        p, D, _ = jacobians.shape
        matrix = np.zeros((p, D, p, D))
        steps = np.arange(p)
        matrix[steps, :, steps, :] = jacobians
        matrix[steps, :, (steps + 1) % p, :] -= np.eye(D)
        return matrix.reshape(p * D, p * D)


def solve(residual: Residual, start: Array) -> tuple[Array, bool]:
    """Return states (p, D) reached from ``start``, and whether they are a zero to rounding.

    Newton's full steps come first: in a piecewise linear network each solves a region exactly.
    Where they lead nowhere, the sum of squares is minimized from the start; a minimum above zero is
    a slow point. Raises EscapedError where both escape.
    """
    # on the way states may escape
    with np.errstate(over="ignore", invalid="ignore"):
        states = _newton(residual, start)
        if states is not None:
            return states, True
        states = _descend(residual, start)
        polished = _newton(residual, states)
    if polished is not None and np.linalg.norm(polished - states) <= 1e-3 * _scale(states):
        return polished, True
    return states, False


def _scale(states: Array) -> float:
    return 1.0 + float(np.linalg.norm(states))


def _newton(residual: Residual, states: Array) -> Array | None:
    """Return a zero to rounding, or None where Newton's steps find none."""
    best: float = np.inf
    for _ in range(NEWTON_STEPS):
        F, jacobians = residual.jacobians(states)
        size = float(np.linalg.norm(F))
        close = size <= CLOSE * _scale(states)
        if close and not size < 0.5 * best:
            return states
        best = size if close else np.inf
        try:
            step = np.linalg.solve(residual.derivative(jacobians), F.ravel())
        except (np.linalg.LinAlgError, ValueError):
            return None
        states = states - step.reshape(states.shape)
        if not np.linalg.norm(states) < FAR:
            return None
    return None


def _descend(residual: Residual, start: Array) -> Array:
    from scipy.optimize import least_squares

    def value(states: Array) -> Array:
        return residual.values(states.reshape(start.shape))[0].ravel()

    def derivative(states: Array) -> Array:
        return residual.derivative(residual.jacobians(states.reshape(start.shape))[1])

    try:
        found = least_squares(
            value, start.ravel(), derivative, method="lm", ftol=DESCENT, xtol=DESCENT,
            max_nfev=DESCENT_STEPS,
        )  # fmt: skip
    except (ValueError, np.linalg.LinAlgError):
        raise EscapedError from None
    if not found.success or not np.linalg.norm(found.x) < FAR:
        raise EscapedError
    return np.asarray(found.x).reshape(start.shape)
