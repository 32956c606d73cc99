"""The dense Jacobian of one step."""

from typing import Any

import numpy as np

from ..arrays import Array
from .apply import tangent_step
from .forward import forward_chunk
from .network import Network


def jacobian(network: Network, state: Any, x: Any = None) -> Array:
    """Return the dense Jacobian J_ij = ∂h′_i/∂h_j of one step.

    Parameters
    ----------
    network : Network
    state : array (D,)
        Before the step.
    x : array (m,), optional
        Input of the step; None for an autonomous network.

    Returns
    -------
    array (D, D)

    Raises
    ------
    ValueError
        If a shape does not fit.
    """
    h = np.asarray(state, dtype=np.float64)
    drive = np.zeros(0) if x is None else np.asarray(x, dtype=np.float64)
    for name, array, size in (("state", h, network.state_size), ("x", drive, network.input_size)):
        if array.shape != (size,):
            raise ValueError(f"{name} has shape {array.shape}; it must be ({size},)")
    chunk = forward_chunk(network, drive[None], h)
    identity = np.eye(network.state_size)
    return np.ascontiguousarray(tangent_step(network.program, chunk.coefficients[0], identity).T)
