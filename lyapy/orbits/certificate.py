"""Newton and Kantorovich's theorem: a proof that a cycle exists near computed states."""

import math

import numpy as np

from ..arrays import UNIT_ROUNDOFF, Array
from ..networks.apply import absolute, tangent_step
from .newton import Residual


def certified_radius(residual: Residual, states: Array) -> float:
    """Return a distance within which exactly one zero of the residual lies; NaN without a proof.

    With A ≈ DF⁻¹ and L a Lipschitz constant of DF, which the cell gives, Newton's map contracts a
    ball around the states if (1 − ‖I − A DF‖)² ≥ 2 ‖A F‖ ‖A‖ L. The rounding of F and DF is added.
    """
    network = residual.network
    if len(network.cells) > 1:
        return math.nan
    F, jacobians = residual.jacobians(states)
    derivative = residual.derivative(jacobians)
    try:
        inverse = np.linalg.inv(derivative)
    except np.linalg.LinAlgError:
        return math.nan
    size = float(np.linalg.norm(inverse, 2))
    of_F, of_DF = _rounding(residual, states, jacobians)
    first = float(np.linalg.norm(inverse @ F.ravel())) + size * of_F
    identity = inverse @ derivative - np.eye(len(inverse))
    rest = 1.0 - float(np.linalg.norm(identity, 2)) - size * of_DF
    if not rest > 0.0:
        return math.nan
    farthest = 2.0 * first / rest
    (cell,) = network.cells
    drive = cell.drive(residual.x[None])[0]
    bounds = [cell.curvature(state, drive, farthest) for state in states]
    curvature = size * max(math.nan if bound is None else bound for bound in bounds)
    if curvature == 0.0:
        return first / rest
    inside = rest**2 - 2.0 * first * curvature
    return (rest - math.sqrt(inside)) / curvature if inside >= 0.0 else math.nan


def _rounding(residual: Residual, states: Array, jacobians: Array) -> tuple[float, float]:
    """Return bounds on the rounding errors of F and DF, to first order in the unit roundoff."""
    network, x = residual.network, residual.x
    (cell,) = network.cells
    terms = UNIT_ROUNDOFF * (network.state_size + len(x) + 16)
    coefficients = np.abs(residual.values(states)[1])
    sums = tangent_step(absolute(network.program), coefficients, np.abs(states)[:, None, :])
    driven = np.abs(cell.W) @ np.abs(x) + np.abs(cell.b)
    of_F = np.linalg.norm(sums) + np.linalg.norm(states)
    of_F += math.sqrt(len(states)) * np.linalg.norm(driven)
    identity = np.eye(network.state_size)
    of_DF = np.linalg.norm(tangent_step(absolute(network.program), coefficients, identity))
    return float(terms * of_F), float(terms * (of_DF + np.linalg.norm(jacobians)))
