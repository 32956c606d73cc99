"""Covariant Lyapunov vectors, by Ginelli's way back through the frames' R factors."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.lapack import dtrtrs
from threadpoolctl import threadpool_limits

from ..arrays import Array, check_size
from ..networks.apply import log_diagonal
from ..networks.forward import LayerForward, forward_chunk, layer_forward
from ..networks.inputs import check_inputs
from ..networks.network import Network
from ..runs.progress import Progress
from ..runs.provenance import describe_origin
from ..runs.start import check_start
from ..tangent.compiled import layer_forward as compiled_layer_forward
from ..tangent.interval import make_control
from .passes import (
    PIECE,
    Interval,
    Passes,
    Position,
    decayed,
    living_directions,
    span_sines,
)
from .result import CovariantVectors

# random starts of the way back: of two, errors can agree by chance
STARTS = 3

__all__ = ["Along", "check_along", "covariant_vectors", "random_frame"]


class Along(NamedTuple):
    """A trajectory, checked: where vectors are asked for, and where it begins and ends."""

    network: Network
    inputs: Array
    state: Array
    at: Array
    transient: int
    run_layer: LayerForward

    @property
    def stop(self) -> int:
        """The step before which the trajectory ends."""
        return len(self.inputs)


def covariant_vectors(
    network: Network,
    inputs: Any = None,
    *,
    steps: int | None = None,
    k: int | None = None,
    at: Any = None,
    transient: int = 0,
    backward_transient: int | str = "auto",
    initial_state: Any = None,
    seed: int = 0,
    tolerance: float = 1e-8,
    progress: bool = False,
) -> CovariantVectors:
    """Compute covariant Lyapunov vectors along one trajectory.

    A frame goes forward and its R factors lead back (Ginelli et al. 2007, Phys. Rev. Lett. 99,
    130601). Three random starts at the last step are carried back together; their angles measure
    how far each vector has converged, those of two frames after the transient how far the way
    forward has. Frames are computed again from a few that are kept, so that memory hardly grows
    with the steps. One frame over the whole state joins the layers of a
    stack, as their vectors live there. Where no unit reads another, the vectors are unit vectors,
    exactly.

    Parameters
    ----------
    network : Network
    inputs : array (T, m), optional
        None for an autonomous network, which then needs ``steps``.
    steps : int, optional
        Steps after the transient, the backward transient included; by default all inputs.
    k : int, optional
        Number of leading vectors; by default all but those with the exponent −∞.
    at : int or sequence of int, optional
        Steps, counted from the beginning of the inputs, at which vectors are returned, in the
        tangent space in which the step begins; by default all between the transients.
    transient : int
        Steps at the beginning in which the frame finds its directions.
    backward_transient : int or "auto"
        Steps at the end in which the way back finds the vectors. "auto" measures: vectors are NaN
        at steps where they have not converged to ``tolerance``.
    initial_state : array (D,), optional
    seed : int
        Of the random frame, state and starts.
    tolerance : float
        Sine of the angle between the two starts below which a vector counts as converged, and the
        rounding error admitted in an interval.
    progress : bool
        Show a bar on a terminal, or a line now and then in a log.

    Returns
    -------
    CovariantVectors

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit.
    FloatingPointError
        If the network diverges.

    Examples
    --------
    >>> import lyapy
    >>> network = lyapy.random_network("vanilla", 8, gain=2.0, seed=1)
    >>> found = lyapy.covariant_vectors(network, steps=1200, transient=200, at=range(200, 210), k=3)
    >>> found.vectors.shape
    (10, 3, 8)
    """
    began = time.perf_counter()
    along = check_along(
        network, inputs, steps, at, transient, backward_transient, initial_state, seed
    )
    control = make_control("auto", tolerance, PIECE)
    k, rows = _check_k(along, k)
    cuts = np.unique(np.concatenate([along.at, along.at + 1]))
    passes = Passes(network, along.inputs, rows, cuts, control, along.run_layer)
    rng = np.random.default_rng([seed, 3])
    if passes.diagonal:
        frames = [_leading_units(along, rows)] * 2
        starts = np.tile(np.eye(rows), STARTS)
    else:
        frames = [random_frame(rng, rows, network.state_size) for _ in range(2)]
        starts = _random_starts(rng, rows)
    display = Progress(along.stop - transient, progress)
    with threadpool_limits(1, user_api="blas"):
        try:
            begin, other = passes.begin(along.state, frames, transient)
            way = _back(passes, begin, along.stop, starts, rng, display)
            found = _gather(way, along.at, passes)
        finally:
            display.close()
    settings = {
        "k": k,
        "transient": transient,
        "steps": along.stop - transient,
        "backward_transient": backward_transient,
        "tolerance": tolerance,
        "seed": seed,
        "memory_bytes": passes.memory(along.stop - transient),
        "seconds": time.perf_counter() - began,
        **describe_origin(network),
    }
    found["exponents"] = found.pop("total") / (along.stop - transient)
    grown = found.pop("grown")
    found["frame_convergence"] = decayed(span_sines(begin.frame, other.frame), grown)
    leading = {name: _leading(name, values, k) for name, values in found.items()}
    return CovariantVectors(**_judged(leading, tolerance), steps=along.at, settings=settings)


def _leading(name: str, values: Array, k: int) -> Array:
    """Return the share of the first k vectors in an array over (…, vectors)."""
    if name == "vectors":
        return values[:, :k]
    return values[..., : max(k - 1, 0) if name == "planes" else k]


def check_along(
    network: Network,
    inputs: Any,
    steps: int | None,
    at: Any,
    transient: int,
    backward_transient: int | str,
    initial_state: Any,
    seed: int,
) -> Along:
    """Return the trajectory that the arguments of `covariant_vectors` describe."""
    if not isinstance(network, Network):
        raise TypeError(f"network is a {type(network).__name__}; give a lyapy.Network (lyapy.load)")
    check_size("seed", seed, 0)
    if backward_transient != "auto":
        check_size("backward_transient", backward_transient, 0)
    ahead = 0 if isinstance(backward_transient, str) else backward_transient
    all_inputs = check_inputs(network, inputs, transient, steps, stacklevel=4)
    begin = check_start(network, all_inputs, initial_state, None, seed)
    if len(begin.states) > 1:
        finding = f"there are {len(begin.states)} trajectories, and vectors follow one"
        raise ValueError(f"{finding}; give inputs (T, m) and initial_state (D,) of one")
    last = all_inputs.shape[1] - ahead
    if last <= transient:
        raise ValueError(
            f"inputs have {all_inputs.shape[1]} steps, too few for transient={transient} and "
            f"backward_transient={ahead}; give more steps"
        )
    chosen = np.arange(transient, last) if at is None else np.unique(at)
    if not len(chosen) or chosen.dtype.kind not in "iu":
        raise TypeError(f"at is {at!r}; it must be a step, or a sequence of steps")
    if chosen[0] < transient or chosen[-1] >= last:
        raise ValueError(
            f"at holds step {chosen[0] if chosen[0] < transient else chosen[-1]}; between the "
            f"transients lie steps {transient} to {last - 1}"
        )
    plain = any(cell.plain for cell in network.cells)
    run_layer = layer_forward if plain else compiled_layer_forward
    stack = Along(network, all_inputs[0], begin.states[0], chosen, transient, run_layer)
    _check_layers(network)
    return stack


def _check_layers(network: Network) -> None:
    """Refuse layers above others whose programs do not follow their inputs."""
    for layer, cell in enumerate(network.cells[1:], 1):
        if not re.search(r"\bdx\b", cell.program):
            raise ValueError(
                f"the program of layer {layer}, {cell.name}, has no term of the deviation of its "
                "input, which the vectors of a stack need; write a cell that has one"
            )


def _check_k(along: Along, k: int | None) -> tuple[int, int]:
    """Return the number of vectors, without directions that a Jacobian annihilates, and of rows.

    One more row, where there is one, shows how fast the span of all k finds its direction.
    """
    D = along.network.state_size
    if k is not None:
        check_size("k", k, 1, D, f"the state has {D} dimensions")
    alive = living_directions(
        along.network, along.inputs, along.state, along.transient, along.run_layer
    )
    if not alive:
        raise ValueError("all exponents are −∞: every direction dies, and none has a vector")
    k = min(alive, D if k is None else k)
    return k, min(k + 1, alive)


def random_frame(rng: np.random.Generator, k: int, state_size: int) -> Array:
    """Return k random orthonormal rows."""
    return np.ascontiguousarray(np.linalg.qr(rng.normal(size=(state_size, k)))[0].T)


def _random_starts(rng: np.random.Generator, k: int) -> Array:
    """Return random upper triangular matrices (k, 3k), their diagonals positive."""
    starts = np.hstack([np.triu(rng.normal(size=(k, k))) for _ in range(STARTS)])
    diagonal = np.abs(np.tile(np.eye(k), STARTS) * starts)
    return _unit(np.where(diagonal > 0.0, diagonal, starts))


def _leading_units(along: Along, k: int) -> Array:
    """Return the unit vectors (k, D) with the largest exponents, where J is diagonal."""
    sums, state = np.zeros(along.network.state_size), along.state
    for start in range(0, along.stop, PIECE):
        inputs = along.inputs[start : start + PIECE]
        chunk = forward_chunk(along.network, inputs, state, along.run_layer)
        state = chunk.states[-1]
        counted = chunk.coefficients[max(along.transient - start, 0) :]
        sums += log_diagonal(along.network.program, counted).sum(axis=0)
    return np.eye(len(sums))[np.argsort(-sums, kind="stable")[:k]]


def _back(
    passes: Passes, begin: Position, stop: int, starts: Array, rng: np.random.Generator,
    display: Progress,
) -> Iterator[tuple[Interval, Array, Array]]:  # fmt: skip
    """Yield the intervals from the last to the first, with the coefficients before and after.

    Coefficients (k, 3k) are those of the vectors of all starts in the frame, as unit columns.
    """
    before, k = starts, len(starts)
    for interval in passes.back(begin, stop):
        after = before
        for R in reversed(interval.factors):
            with np.errstate(all="ignore"):
                before = _unit(dtrtrs(R, before)[0])
        lost = ~np.isfinite(before).all(axis=0)
        if lost.any():
            # a direction dies in this step: vectors after it begin again
            lost = np.tile(lost.reshape(STARTS, k).any(axis=0), STARTS)
            before[:, lost] = _random_starts(rng, k)[:, lost]
        yield interval, before, after
        display.update(interval.stop - interval.start)


def _unit(columns: Array) -> Array:
    return columns / np.linalg.norm(columns, axis=0)


def _gather(
    way: Iterator[tuple[Interval, Array, Array]], at: Array, passes: Passes
) -> dict[str, Array]:
    """Return vectors, growth and errors at the steps asked for, and the sums of log R_ii.

    Errors are the sines between the vectors of the first start and those of the others; ``grown``
    is the sum up to each of the steps, ``total`` that of all.
    """
    k, D = len(passes.signs), passes.program.state_size
    shapes = {"vectors": (k, D), "growth": (k,), "covariance_error": (k,), "convergence": (k,)}
    shapes |= {"planes": (max(k - 1, 0),), "grown": (k,)}
    found = {name: np.empty((len(at), *shape)) for name, shape in shapes.items()}
    total = np.zeros(k)
    for interval, before, after in way:
        total = total + interval.growth
        row = int(np.searchsorted(at, interval.start))
        if row == len(at) or at[row] != interval.start:
            continue
        vectors = before[:, :k].T @ interval.before
        images = passes.images(interval.coefficients, vectors)
        norms = np.linalg.norm(images, axis=1)
        found["vectors"][row] = vectors
        with np.errstate(divide="ignore", invalid="ignore"):
            found["growth"][row] = np.log(norms)
            images /= norms[:, None]
        found["covariance_error"][row] = _sines(images.T, (after[:, :k].T @ interval.after).T)
        first, *others = np.split(before, STARTS, axis=1)
        found["convergence"][row] = np.max([_sines(first, each) for each in others], axis=0)
        found["planes"][row] = np.max([_plane_sines(first, each) for each in others], axis=0)
        found["grown"][row] = total
    return found | {"total": total, "grown": total - found["grown"]}


def _sines(one: Array, other: Array) -> Array:
    """Return the sines of the angles between unit columns."""
    return np.linalg.norm(one - other * np.sum(one * other, axis=0), axis=0)


def _plane_sines(one: Array, other: Array) -> Array:
    """Return upper bounds of the sines between the planes of successive columns."""
    first, second = _planes(one), _planes(other)
    rest = first - second @ (np.swapaxes(second, 1, 2) @ first)
    # of Frobenius, at most √2 times the sine of the larger angle
    return np.linalg.norm(rest, axis=(1, 2))


def _planes(columns: Array) -> Array:
    """Return orthonormal bases (k - 1, k, 2) of the planes of successive unit columns (k, k)."""
    one, two = columns[:, :-1], columns[:, 1:]
    with np.errstate(invalid="ignore"):
        other = _unit(two - one * np.sum(one * two, axis=0))
        other = _unit(other - one * np.sum(one * other, axis=0))
    return np.stack([one.T, other.T], axis=2)


def _judged(found: dict[str, Array], tolerance: float) -> dict[str, Array]:
    """Return the results, NaN where they have not converged, with pairs judged by their planes."""
    back, frame, planes = found["convergence"], found["frame_convergence"], found.pop("planes")
    k = back.shape[1]
    paired = np.full(k, -1)
    # the frame's first vector of a pair, and the way back's second, never settle
    apart = (frame[:, :-1] > tolerance) & (back[:, 1:] > tolerance)
    apart &= (planes <= tolerance) & (frame[:, 1:] <= tolerance)
    for i in np.flatnonzero(apart.any(axis=0)):
        if paired[i] < 0:
            paired[i : i + 2] = i
            back[:, i] = back[:, i + 1] = planes[:, i]
            frame[:, i] = frame[:, i + 1]
    missing = ~(np.maximum(back, frame) <= tolerance)
    for name in ("vectors", "growth", "covariance_error"):
        found[name][missing] = np.nan
    return found | {"paired": paired}
