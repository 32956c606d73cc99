"""Checks of the inputs that drive a network."""

from __future__ import annotations

import warnings
from os import PathLike
from typing import Any

import numpy as np

from ..arrays import Array, as_real, check_size
from .network import Network

__all__ = ["check_inputs"]


def check_inputs(
    network: Network, inputs: Any, transient: int, steps: int | None, stacklevel: int = 3
) -> Array:
    """Return the inputs as (1 or B, transient + steps, m) in float64.

    Parameters
    ----------
    stacklevel : int
        Of a warning, seen from here.

    Raises
    ------
    ValueError, TypeError
        If they do not fit the network or the steps asked for.
    """
    m = network.input_size
    check_size("transient", transient, 0)
    if steps is not None:
        check_size("steps", steps, 1)
    if inputs is None:
        if m:
            raise ValueError(
                f"inputs is None, but the network reads {m} inputs at every step; give an array "
                f"(T, {m}) or (B, T, {m})"
            )
        if steps is None:
            raise ValueError("steps is missing; a network without inputs needs a number, or until")
        return np.zeros((1, transient + steps, 0))
    if isinstance(inputs, (str, PathLike)):
        remedy = "read it with numpy.load or lyapy.runs.inputs.read_inputs, and give the array"
        raise TypeError(f"inputs is the path {str(inputs)!r}; {remedy}")
    array = as_real("inputs", inputs)
    if array.ndim == 0:
        remedy = f"give an array (T, {m}) or (B, T, {m})" if m else f"give steps={inputs}"
        raise ValueError(f"inputs is the number {inputs}; {remedy}")
    if array.ndim not in (2, 3):
        raise ValueError(
            f"inputs has {array.ndim} dimensions, shape {array.shape}; it must be (T, {m}) or "
            f"(B, T, {m})"
        )
    if array.shape[-1] != m:
        remedy = f"give an array (T, {m}) or (B, T, {m})" if m else "leave inputs out, give steps"
        raise ValueError(
            f"inputs has shape {array.shape}, but the network reads {m} inputs; {remedy}"
        )
    array = np.ascontiguousarray(array if array.ndim == 3 else array[None])
    if not array.size:
        raise ValueError(f"inputs is empty, shape {array.shape}")
    if not np.isfinite(array).all():
        step = int(np.argwhere(~np.isfinite(array))[0, 1])
        raise ValueError(f"inputs holds NaN or infinite values, first at step {step}")
    available = array.shape[1]
    wanted = transient + (1 if steps is None else steps)
    if available < wanted:
        counted = "no step to count" if steps is None else f"{steps} steps to count"
        raise ValueError(
            f"inputs has {available} steps, too few for transient={transient} and {counted}; "
            "give longer inputs, or less to do"
        )
    B, T, _ = array.shape
    # as a batch in PyTorch's default order (T, B, m) has
    if B > T:
        warnings.warn(
            f"inputs has shape {array.shape}, which is {B} trajectories of {T} steps, (B, T, m); "
            "if it is (T, B, m), PyTorch's order without batch_first, give inputs.swapaxes(0, 1)",
            RuntimeWarning,
            stacklevel=stacklevel,
        )
    return array if steps is None else array[:, :wanted]
