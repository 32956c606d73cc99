"""The largest exponent from two nearby trajectories: no Jacobian, no QR, only forward passes."""

from typing import Any, Literal, NamedTuple

import numpy as np

from ..arrays import Array, as_seed
from ..cells.base import TILE
from ..networks.forward import forward_chunk
from ..networks.inputs import check_inputs
from ..networks.network import Network
from ..spectra.uncertainty import half_width, uncertainty
from .start import check_start, time_step


class LargestExponent(NamedTuple):
    """The largest exponent with its error.

    Attributes
    ----------
    value, standard_error : float
        In nats per step, or per unit of time where ``dt`` was given.
    half_width : float
        Of the 95 % confidence interval.
    """

    value: float
    standard_error: float
    half_width: float


def largest_exponent(
    network: Network,
    inputs: Any = None,
    *,
    steps: int | None = None,
    transient: int = 0,
    trajectories: int | None = None,
    initial_state: Any = None,
    distance: float = 1e-7,
    seed: int | np.random.Generator | None = 0,
    rng: int | np.random.Generator | None = None,
    dt: float | Literal["step"] | None = None,
) -> LargestExponent:
    """Estimate the largest exponent from pairs of nearby trajectories.

    A check of `lyapunov_spectrum` that shares only the forward pass with it: after each step the
    distance of a second trajectory is measured and set back to ``distance`` (Benettin, Galgani,
    Strelcyn 1976).

    Parameters
    ----------
    network : Network
    inputs, steps, transient, trajectories, initial_state, seed, rng, dt
        As for `lyapunov_spectrum`.
    distance : float
        Between the two trajectories, in units of the largest entry of the state where that exceeds
        1. The error per step is about the distance, by curvature, plus
        1e-16 over the distance, by rounding.

    Returns
    -------
    LargestExponent

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit.
    FloatingPointError
        If the network diverges, or the trajectories become the same.

    Examples
    --------
    >>> import lyapy
    >>> network = lyapy.random_network("vanilla", 20, gain=3.0, seed=1)
    >>> found = lyapy.largest_exponent(network, steps=2000, transient=200)
    >>> bool(found.value > 0)
    True
    """
    seed, dt = as_seed(seed, rng), time_step(dt, network)
    if not 0.0 < distance < 1.0:
        raise ValueError(f"distance is {distance!r}; it must be a small positive number, as 1e-7")
    all_inputs = check_inputs(network, inputs, transient, steps)
    start = check_start(network, all_inputs, initial_state, trajectories, seed)
    B, T = len(start.states), all_inputs.shape[1]
    states = start.states
    apart = np.random.default_rng([seed, 2]).normal(size=states.shape)
    apart *= distance * (_scales(states) / np.linalg.norm(apart, axis=1))[:, None]
    counted = T - transient
    ends = np.append(np.arange(TILE, counted, TILE), counted)
    growth = np.zeros((B, len(ends), 1))
    drive = np.broadcast_to(start.inputs, (B, *start.inputs.shape[1:]))
    for t in range(T):
        pair = np.concatenate([states, states + apart])
        x = np.concatenate([drive[:, t], drive[:, t]])[None]
        after = forward_chunk(network, x, pair).states[0]
        if not np.isfinite(after).all():
            raise FloatingPointError(f"the state is not finite after step {t}: it diverges")
        # the distance in fact, after rounding
        before = np.linalg.norm(pair[B:] - pair[:B], axis=1)
        states, apart = after[:B], after[B:] - after[:B]
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(apart, axis=1)
        if not np.isfinite(lengths).all():
            raise FloatingPointError(f"the distance overflows in step {t}: the network diverges")
        if not lengths.all():
            raise FloatingPointError(
                f"the two trajectories became the same in step {t}; give a larger distance"
            )
        if t >= transient:
            growth[:, (t - transient) // TILE, 0] += np.log(lengths / before)
        apart *= distance * (_scales(states) / lengths)[:, None]
    per = 1.0 if dt is None else dt
    shared = network.input_size > 0 and len(all_inputs) == 1
    found = uncertainty(growth, ends, shared_inputs=shared)
    width = float(half_width(found, 0.95)[0]) / per
    value = float(growth.sum(axis=1).mean()) / (counted * per)
    return LargestExponent(value, float(found.standard_error[0]) / per, width)


def _scales(states: Array) -> Array:
    """Return the largest |entry| of each state (B, D), at least 1; rounding scales with it."""
    return np.asarray(np.maximum(np.abs(states).max(axis=1), 1.0))
