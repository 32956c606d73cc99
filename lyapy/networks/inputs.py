"""Checks of the inputs that a network reads."""

import warnings
from os import PathLike
from typing import Any

import numpy as np

from ..arrays import Array, as_numpy, as_real, check_size
from .network import Network


def check_inputs(
    network: Network, inputs: Any, transient: int, steps: int | None, stacklevel: int = 3
) -> Array:
    """Return the inputs as (1 or B, transient + steps, m) in float64, or refuse them.

    ``stacklevel`` is that of a warning, seen from here.
    """
    m = network.input_size
    check_size("transient", transient, 0)
    if steps is not None:
        check_size("steps", steps, 1)
    if inputs is None:
        if m:
            raise ValueError(
                f"inputs is None, but the network reads {m} inputs at every step; {_remedy(m)}"
            )
        if steps is None:
            raise ValueError("steps is missing; a network without inputs needs a number, or until")
        return np.zeros((1, transient + steps, 0))
    if isinstance(inputs, (str, PathLike)):
        remedy = "read it with numpy.load or lyapy.runs.inputs.read_inputs, and give the array"
        raise TypeError(f"inputs is the path {str(inputs)!r}; {remedy}")
    if not m and isinstance(inputs, int):
        raise ValueError(f"inputs is the number {inputs}; give steps={inputs}")
    array = check_array("inputs", inputs, network)
    array = np.ascontiguousarray(array if array.ndim == 3 else array[None])
    B, T, _ = array.shape
    wanted = transient + (1 if steps is None else steps)
    if wanted > T:
        counted = "no step to count" if steps is None else f"{steps} steps to count"
        raise ValueError(
            f"inputs has {T} steps, too few for transient={transient} and {counted}; "
            "give longer inputs, or less to do"
        )
    # as a batch in PyTorch's default order (T, B, m) has
    if B > T:
        warnings.warn(
            f"inputs has shape {array.shape}, which is {B} trajectories of {T} steps, (B, T, m); "
            "if it is (T, B, m), PyTorch's order without batch_first, give inputs.swapaxes(0, 1)",
            RuntimeWarning,
            stacklevel=stacklevel,
        )
    return array if steps is None else array[:, :wanted]


def check_array(name: str, inputs: Any, network: Network) -> Array:
    """Return inputs (T, m) or (B, T, m) in float64, or raise an error that begins with a name.

    Token ids (T,) or (B, T) become rows of the network's embedding.
    """
    m, front = network.input_size, network.front
    array = as_real(name, inputs)
    given = as_numpy(inputs)
    if front.reads(given):
        rows = front.embedded(name, given)
        if front.assumption not in network.assumptions:
            network.assumptions += (front.assumption,)
        return rows
    shape = array.shape
    if array.ndim not in (2, 3):
        remedy = _remedy(m)
        if array.ndim == 1 and m > 1 and given.dtype.kind in "iu":
            remedy = f"if these are indices, give (T, {m}): embedding.weight[indices], or one-hot"
        raise ValueError(f"{name} has {array.ndim} dimensions, shape {shape}; {remedy}")
    if shape[-1] != m:
        remedy = _remedy(m)
        if between := front.between(shape[-1], m):
            stands = f"{' or '.join(between)} in the weights may stand in front of the network"
            remedy += f": {stands}, which then reads its output"
        raise ValueError(f"{name} has shape {shape}, but the network reads {m} inputs; {remedy}")
    if not array.size:
        raise ValueError(f"{name} is empty, shape {shape}; give at least one step")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        first = f"first at step {bad[0][-2]}"
        raise ValueError(f"{name} holds {len(bad)} values that are NaN or infinite, {first}")
    return array


def _remedy(m: int) -> str:
    return f"give an array (T, {m}) or (B, T, {m})" if m else "leave inputs out, give steps"
