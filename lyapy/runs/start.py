"""Checks of initial states and frames: errors name the argument, the finding and the remedy."""

from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, as_real, check_positive, check_size
from ..cells import Cell
from ..cells.rate import Rate
from ..networks.network import Network

# of the smallest to the largest |R_ii| of the frame's QR
RANK_TOLERANCE = 1e-10


class Start(NamedTuple):
    """Inputs (1 or B, T, m) and states (B, D) with which the trajectories begin."""

    inputs: Array
    states: Array


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
        states = np.atleast_2d(as_real("initial_state", initial_state))
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
    """Return k, and the name of the frame or its rows orthonormalized."""
    if isinstance(frame, str):
        k = state_size if k is None else k
        check_size("k", k, 1, state_size, f"the state has {state_size} dimensions")
        return k, frame
    rows = as_real("frame", frame)
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


def check_kept(seed: Any) -> None:
    """Raise ValueError if a run that may be continued would draw another seed."""
    if seed is None:
        raise ValueError(
            "seed is None, which draws another at each call, so that the run at checkpoint could "
            "not be continued; give a number"
        )


def time_step(dt: Any, network: Network) -> float | None:
    """Return the time of a step, by default that of the network's cells; None for steps.

    Raises ValueError unless ``dt`` is None, "step" or a positive number.
    """
    if dt is None:
        steps = {_time_step_of(cell) for cell in network.cells}
        return steps.pop() if len(steps) == 1 else None
    if isinstance(dt, str) and dt == "step":
        return None
    check_positive("dt", dt, 'the time of a step, a positive number, or "step"')
    return float(dt)


def _time_step_of(cell: Cell) -> float | None:
    dt = cell.arguments["dt"] if isinstance(cell, Rate) else None
    return None if dt is None or np.ndim(dt) else float(dt)
