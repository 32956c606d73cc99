"""Checks of inputs, states and frames: each error names the argument, the finding, the remedy."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, check_size
from ..networks.network import Network

__all__ = ["Start", "check_frame", "check_inputs", "check_start", "check_time_step"]

# far below 1, the largest angle at which a given frame would lose a direction
RANK_TOLERANCE = 1e-10


class Start(NamedTuple):
    """Inputs (1 or B, T, m) and states (B, D) with which the trajectories begin."""

    inputs: Array
    states: Array


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
    array = _real("inputs", inputs)
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


def check_start(
    network: Network, inputs: Array, initial_state: Any, trajectories: int | None, seed: int
) -> Start:
    """Return inputs and initial states of all trajectories.

    The state is zero by default if each trajectory has separate inputs. If trajectories share
    them, or nothing moves the state from zero, it is drawn from a normal distribution.
    """
    D = network.state_size
    if trajectories is not None:
        check_size("trajectories", trajectories, 1)
    counts = {"inputs": len(inputs), "trajectories": trajectories or 1}
    states = None
    if initial_state is not None:
        states = np.atleast_2d(_real("initial_state", initial_state))
        if states.ndim != 2 or states.shape[1] != D:
            raise ValueError(
                f"initial_state has shape {np.shape(initial_state)}; it must be ({D},) or (B, {D})"
            )
        if not np.isfinite(states).all():
            raise ValueError("initial_state holds NaN or infinite values")
        counts["initial_state"] = len(states)
    B = max(counts.values())
    if any(count not in (1, B) for count in counts.values()):
        found = ", ".join(f"{count} by {name}" for name, count in counts.items() if count > 1)
        raise ValueError(f"the numbers of trajectories differ: {found}")
    if states is None:
        if network.input_size and (len(inputs) > 1 or B == 1):
            states = np.zeros((1, D))
        else:
            draws = [np.random.default_rng([seed, b, 0]).normal(size=D) for b in range(B)]
            states = np.stack(draws)
    return Start(inputs, np.broadcast_to(states, (B, D)).copy())


def check_frame(frame: Any, k: int | None, state_size: int) -> tuple[int, str | Array]:
    """Return k, and the name of the frame or its rows orthonormalized.

    Raises
    ------
    ValueError
        If k or the frame does not fit.
    """
    if isinstance(frame, str):
        k = state_size if k is None else k
        check_size("k", k, 1, state_size, f"the state has {state_size} dimensions")
        return k, frame
    rows = _real("frame", frame)
    if rows.ndim != 2 or rows.shape[1] != state_size or not 1 <= len(rows) <= state_size:
        raise ValueError(f"frame has shape {rows.shape}; it must be (k, {state_size})")
    if k is not None and k != len(rows):
        raise ValueError(f"k is {k}, but frame has {len(rows)} rows")
    if not np.isfinite(rows).all():
        raise ValueError("frame holds NaN or infinite values")
    columns, upper = np.linalg.qr(rows.T)
    diagonal = np.abs(np.diagonal(upper))
    if diagonal.min() <= RANK_TOLERANCE * diagonal.max():
        raise ValueError("frame has linearly dependent rows")
    return len(rows), np.ascontiguousarray(columns.T)


def _real(name: str, value: Any) -> Array:
    """Return ``value`` as a float64 array; raise TypeError if it is not real numbers."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise TypeError(f"{name} is ragged; it must be an array of real numbers") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}; it must be real numbers")
    return array.astype(np.float64)


def check_time_step(dt: Any) -> None:
    """Raise ValueError unless ``dt`` is None or a positive number."""
    number = isinstance(dt, (int, float, np.floating)) and not isinstance(dt, bool)
    if dt is not None and not (number and 0.0 < dt < np.inf):
        raise ValueError(f"dt is {dt!r}; it must be the time of a step, a positive number")
