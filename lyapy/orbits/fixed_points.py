"""The search for fixed points, cycles and slow points from many starts."""

from itertools import product
from typing import Any

import numpy as np

from ..arrays import Array, as_real, as_seed, check_size
from ..cells.plrnn import PLRNN
from ..networks.forward import forward_chunk
from ..networks.network import Network
from .certificate import certified_radius
from .newton import EscapedError, Residual, solve
from .result import LABELS, FixedPoints

# steps after which a default start is taken from a trajectory
LATEST = 100
# of a point, relative: two starts led to the same one
SAME, SAME_SLOW = 1e-6, 1e-2
# units of a PLRNN all of whose regions are tried
REGIONS_UP_TO = 10


def fixed_points(
    network: Network,
    x: Any = None,
    *,
    starts: Any = 100,
    period: int = 1,
    slow: float = 10.0,
    seed: int | np.random.Generator | None = 0,
    rng: int | np.random.Generator | None = None,
) -> FixedPoints:
    """Find fixed points, cycles and slow points of a network under a constant input.

    From each start Newton's method with analytic Jacobians looks for a zero of f(h) − h; where it
    finds none, the speed ‖f(h) − h‖ is minimized, and a slow minimum is a slow point (Sussillo and
    Barak 2013). A cycle is found in all its states at once. Only starts decide how many are found,
    except for a `cells.PLRNN` of at most 10 units and one basis: all its linear regions are tried,
    and no fixed point is missed.

    Parameters
    ----------
    network : Network
    x : array (m,), optional
        The constant input; None for an autonomous network.
    starts : int or array (S, D)
        States to start from, or how many: by default normal ones, and states up to 100 steps
        later on their trajectories.
    period : int
        Length of the cycles; those that repeat earlier are left out.
    slow : float
        A minimum of the speed is a slow point if a state at this speed needs at least so many steps
        to move as far as the starts lie from their mean.
    seed : int, Generator or None
        Of the starts; None draws other ones each time.
    rng : int or Generator, optional
        Given instead of ``seed``.

    Returns
    -------
    FixedPoints
        Existence is proven (*certified*) for one layer of `Vanilla`, `cells.Reservoir` or
        `cells.Rate` with a smooth or piecewise linear nonlinearity, and of `cells.PLRNN`.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import lyapy
    >>> network = lyapy.Network([lyapy.Vanilla(None, [[2.0]])])
    >>> np.round(lyapy.fixed_points(network, seed=1).states[:, 0], 4).tolist()
    [-0.9575, 0.9575, 0.0]
    """
    residual = Residual(network, _check(network, x, period, slow))
    states = _starts(residual, starts, as_seed(seed, rng))
    spread = float(np.sqrt(np.mean(np.sum((states - states.mean(axis=0)) ** 2, axis=1))))
    found: list[Array] = []
    zeros: list[bool] = []
    counts: list[int] = []
    lost = 0
    for start in states:
        try:
            cycle, zero = solve(residual, _orbit(residual, start, period))
        except EscapedError:
            lost += 1
            continue
        F, _ = residual.jacobians(cycle)
        if (period > 1 or np.linalg.norm(F) * slow > spread) if not zero else _shorter(cycle):
            lost += 1
            continue
        size = SAME * (1.0 + np.linalg.norm(cycle)) if zero else SAME_SLOW * spread
        same = (
            i for i, other in enumerate(found) if zeros[i] == zero and _gap(cycle, other) < size
        )
        at = next(same, len(found))
        if at == len(found):
            found, zeros, counts = [*found, cycle], [*zeros, zero], [*counts, 0]
        counts[at] += 1
    return _collect(residual, found, zeros, counts, lost, spread, period)


def _check(network: Any, x: Any, period: Any, slow: float) -> Array:
    """Return the input (m,), or raise an error that names the argument."""
    if not isinstance(network, Network):
        raise TypeError(f"network is a {type(network).__name__}; it must be a lyapy.Network")
    if any(cell.surrogate for cell in network.cells):
        raise ValueError("network has spiking units, whose steps have no derivative to solve with")
    check_size("period", period, 1)
    if not slow > 0.0:
        raise ValueError(f"slow is {slow}; it must be positive")
    m = network.input_size
    if x is None and m:
        raise ValueError(f"x is None, but the network reads {m} inputs; give a constant one ({m},)")
    drive = as_real("x", np.zeros(0) if x is None else x)
    if drive.shape != (m,) or not np.isfinite(drive).all():
        raise ValueError(f"x has shape {drive.shape}; it must be ({m},), of finite numbers")
    return drive


def _starts(residual: Residual, starts: Any, seed: int) -> Array:
    """Return the states (S, D) to start from."""
    D = residual.network.state_size
    if np.ndim(starts):
        given = as_real("starts", starts)
        if given.ndim != 2 or given.shape[1] != D or not np.isfinite(given).all():
            raise ValueError(
                f"starts has shape {given.shape}; it must be (S, {D}), of finite numbers"
            )
        return given
    check_size("starts", starts, 1)
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(starts, D))
    x = np.broadcast_to(residual.x, (LATEST, starts, len(residual.x)))
    path = np.concatenate([normal[None], forward_chunk(residual.network, x, normal).states])
    times = rng.integers(0, LATEST + 1, size=starts) * rng.integers(0, 2, size=starts)
    later = path[times, np.arange(starts)]
    good = np.all(np.abs(later) < 1e6, axis=1, keepdims=True)
    return np.concatenate([np.where(good, later, normal), _of_each_region(residual.network)])


def _of_each_region(network: Network) -> Array:
    """Return a state in each linear region of a small PLRNN, none of another network."""
    D, cells = network.state_size, network.cells
    if len(cells) > 1 or not isinstance(cells[0], PLRNN) or D > REGIONS_UP_TO:
        return np.zeros((0, D))
    thetas = cells[0].weights.thetas
    if len(thetas) > 1:
        return np.zeros((0, D))
    return np.array(list(product((-1.0, 1.0), repeat=D))) - thetas


def _orbit(residual: Residual, start: Array, period: int) -> Array:
    """Return the first states (p, D) from a start, as long as they do not escape."""
    x = np.broadcast_to(residual.x, (period - 1, len(residual.x)))
    path = np.concatenate([start[None], forward_chunk(residual.network, x, start).states])
    return path if np.all(np.abs(path) < 1e6) else np.broadcast_to(start, path.shape).copy()


def _shorter(cycle: Array) -> bool:
    """Return whether a cycle repeats before its period."""
    p, size = len(cycle), SAME * (1.0 + np.linalg.norm(cycle))
    divisors = (d for d in range(1, p) if p % d == 0)
    return any(np.linalg.norm(cycle - np.roll(cycle, d, axis=0)) < size for d in divisors)


def _gap(cycle: Array, other: Array) -> float:
    """Return the distance between two cycles, wherever each begins."""
    shifts = (np.roll(other, d, axis=0) for d in range(len(other)))
    return float(min(np.linalg.norm(cycle - shifted) for shifted in shifts))


def _collect(
    residual: Residual, found: list[Array], zeros: list[bool], counts: list[int], lost: int,
    spread: float, period: int,
) -> FixedPoints:  # fmt: skip
    D = residual.network.state_size
    speed, radius = np.zeros(len(found)), np.full(len(found), np.nan)
    eigenvalues = np.zeros((len(found), D), np.complex128)
    labels = []
    for i, cycle in enumerate(found):
        F, jacobians = residual.jacobians(cycle)
        speed[i] = np.linalg.norm(F, axis=1).max()
        if zeros[i]:
            radius[i] = certified_radius(residual, cycle)
        of_period = np.eye(D)
        for J in jacobians:
            of_period = J @ of_period
        values = np.linalg.eigvals(of_period)
        eigenvalues[i] = values[np.argsort(-np.abs(values), kind="stable")]
        labels.append(LABELS[int(np.isnan(radius[i])) if zeros[i] else 2])
    unstable = np.sum(np.abs(eigenvalues) > 1.0, axis=1)
    ranks = np.array([LABELS.index(label) for label in labels], np.int64)
    # rounding must not decide the order
    first = np.array([np.round(c[0, 0], 6) for c in found])
    order = np.lexsort((first, np.where(zeros, 0.0, speed), unstable, ranks))
    with np.errstate(divide="ignore"):
        crossing = spread / speed
    cycles = np.array(found).reshape(len(found), period, D)
    return FixedPoints(
        cycles[order], speed[order], eigenvalues[order], tuple(labels[i] for i in order),
        radius[order], crossing[order], np.array(counts, np.int64)[order], lost, period,
        residual.network.origin,
    )  # fmt: skip
