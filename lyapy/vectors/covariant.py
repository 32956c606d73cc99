"""Covariant Lyapunov vectors, by Ginelli's way back through the frames' R factors."""

import time
from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np
from scipy.linalg.lapack import dtrtrs

from ..arrays import Array, array_digest
from ..networks.apply import log_diagonal
from ..networks.forward import forward_chunk
from ..networks.network import Network
from ..runs.progress import Progress
from ..runs.provenance import describe_origin
from ..runs.threads import limit_blas
from ..tangent.interval import make_control
from ..tangent.spans import span_sines
from .along import Along, check_along, check_k
from .checkpoint import Resumable, Resume, resumable
from .passes import PIECE, Interval, Passes, Position, decayed
from .result import CovariantVectors

# random starts of the way back: of two, errors can agree by chance
STARTS = 3


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
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: float = 300.0,
    overwrite: bool = False,
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
    checkpoint : str or path, optional
        File (HDF5) for the result, and for checkpoints next to it. The same call, made again after
        it was killed or interrupted, continues to the same result, bit for bit; a finished file
        is read.
    checkpoint_every : float
        Seconds between two checkpoints.
    overwrite : bool
        Replace another result at ``checkpoint``.

    Returns
    -------
    CovariantVectors

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, or ``checkpoint`` holds another result.
    FloatingPointError
        If the network diverges.
    OSError
        If another process computes ``checkpoint``, or it cannot be written.
    KeyboardInterrupt
        After an interruption, once a last checkpoint is written.

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
    k, rows = check_k(along, k)
    cuts = np.unique(np.concatenate([along.at, along.at + 1]))
    passes = Passes(network, along.inputs, rows, cuts, control, along.run_layer)
    settings = {
        "k": k,
        "transient": transient,
        "steps": along.stop - transient,
        "at_sha256": array_digest(along.at),
        "backward_transient": backward_transient,
        "tolerance": tolerance,
        "seed": seed,
        "inputs_sha256": array_digest(along.inputs),
        "initial_state_sha256": array_digest(along.state),
        "memory_bytes": passes.memory(along.stop - transient),
        **describe_origin(network),
    }

    def compute(resumable: Resumable) -> CovariantVectors:
        display = Progress(2 * (along.stop - transient), progress)
        with limit_blas(1):
            try:
                found = _compute(passes, along, seed, resumable, display)
            finally:
                display.close()
        found["exponents"] = found.pop("total") / (along.stop - transient)
        found["frame_convergence"] = decayed(found.pop("sines"), found.pop("grown"))
        leading = {name: _leading(name, values, k) for name, values in found.items()}
        took = settings | {"seconds": time.perf_counter() - began}
        return CovariantVectors(**_judged(leading, tolerance), steps=along.at, settings=took)

    if checkpoint is None:
        return compute(Resumable())
    return resumable(compute, checkpoint, settings, checkpoint_every, overwrite=overwrite)


def _compute(
    passes: Passes, along: Along, seed: int, resumable: Resumable, display: Progress
) -> dict[str, Array]:
    """Go forward and back, piece by piece, from where an earlier call was interrupted."""
    state = resumable.saved or _begin(passes, along, seed)
    ends = passes.ends(along.transient, along.stop)
    kept = state.kept
    if state.left is None:
        display.skip(kept[-1].step - along.transient)
        while len(kept) < len(ends):
            position = passes.run(kept[-1], ends[len(kept) - 1])
            display.update(position.step - kept[-1].step)
            kept = [*kept, position]
            state = state._replace(kept=kept)
            resumable.reached(state)
        display.update(along.stop - kept[-1].step)
        state = state._replace(left=along.stop)
    else:
        display.skip(2 * along.stop - along.transient - state.left)
    while kept:
        way = _back(passes, kept[-1], ends[len(kept) - 1], state.before, seed, display)
        before, total = _gather(way, along.at, passes, state)
        kept, left = kept[:-1], kept[-1].step
        state = state._replace(kept=kept, left=left, before=before, total=total)
        resumable.reached(state)
    grown = state.total - state.found["grown"]
    return state.found | {"total": state.total, "sines": state.sines, "grown": grown}


def _begin(passes: Passes, along: Along, seed: int) -> Resume:
    """Return the state after the transient, in which two frames find their directions."""
    rng = np.random.default_rng([seed, 3])
    rows, D = passes.vectors, passes.program.state_size
    if passes.diagonal:
        frames, starts = [_leading_units(along, rows)] * 2, np.tile(np.eye(rows), STARTS)
    else:
        frames = [random_frame(rng, rows, D) for _ in range(2)]
        starts = _random_starts(rng, rows)
    begin, other = passes.begin(along.state, frames, along.transient)
    shapes = {"vectors": (rows, D), "growth": (rows,), "covariance_error": (rows,)}
    shapes |= {"convergence": (rows,), "coefficients": starts.shape, "grown": (rows,)}
    found = {name: np.zeros((len(along.at), *shape)) for name, shape in shapes.items()}
    sines = span_sines(begin.frame, other.frame)
    return Resume([begin], None, starts, found, np.zeros(rows), sines)


def _leading(name: str, values: Array, k: int) -> Array:
    """Return the share of the first k vectors in an array over (…, vectors)."""
    if name == "coefficients":
        return np.concatenate([each[:, :k, :k] for each in np.split(values, STARTS, -1)], -1)
    return values[:, :k] if name == "vectors" else values[..., :k]


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
    passes: Passes, begin: Position, stop: int, before: Array, seed: int, display: Progress
) -> Iterator[tuple[Interval, Array, Array]]:
    """Yield the intervals from the last to the first, with the coefficients before and after.

    Coefficients (k, 3k) are those of the vectors of all starts in the frame, as unit columns.
    """
    k = len(before)
    for interval in passes.back(begin, stop):
        after = before
        for R in reversed(interval.factors):
            with np.errstate(all="ignore"):
                before = _unit(dtrtrs(R, before)[0])
        lost = ~np.isfinite(before).all(axis=0)
        if lost.any():
            # a direction dies in this step: vectors after it begin again
            lost = np.tile(lost.reshape(STARTS, k).any(axis=0), STARTS)
            rng = np.random.default_rng([seed, 4, interval.start])
            before[:, lost] = _random_starts(rng, k)[:, lost]
        yield interval, before, after
        display.update(interval.stop - interval.start)


def _unit(columns: Array) -> Array:
    return columns / np.linalg.norm(columns, axis=0)


def _gather(
    way: Iterator[tuple[Interval, Array, Array]], at: Array, passes: Passes, state: Resume
) -> tuple[Array, Array]:
    """Write vectors, growth and errors at the steps asked for into the results found.

    Errors are the sines between the vectors of the first start and those of the others, whose
    coefficients are kept for spans of several. Returns the coefficients before the first step, and
    the sums of log R_ii from it to the end.
    """
    found, total, before, k = state.found, state.total, state.before, passes.vectors
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
        found["coefficients"][row] = before
        found["grown"][row] = total
    return before, total


def _sines(one: Array, other: Array) -> Array:
    """Return the sines of the angles between unit columns."""
    return np.linalg.norm(one - other * np.sum(one * other, axis=0), axis=0)


def _judged(found: dict[str, Array], tolerance: float) -> dict[str, Array]:
    """Return the results, NaN where they have not converged, with groups judged by their spans."""
    back, frame = found["convergence"], found["frame_convergence"]
    starts = np.split(found.pop("coefficients"), STARTS, axis=2)
    group = np.full(back.shape[1], -1)
    # in a group none but the frame's last vector settles, nor but the way back's first
    inside = (frame[:, :-1] > tolerance) & (back[:, 1:] > tolerance)
    # the smallest are sure not to be several
    for (first, last), rows in sorted(_runs(inside).items(), key=lambda run: np.ptp(run[0])):
        members = slice(first, last + 1)
        rows = [row for row in rows if frame[row, last] <= tolerance]
        if (group[members] >= 0).any() or not rows:
            continue
        if _span_sines([each[rows, :, members] for each in starts]).min() <= tolerance:
            group[members] = first
            back[:, members] = _span_sines([each[:, :, members] for each in starts])[:, None]
            frame[:, members] = frame[:, last, None]
    missing = ~(np.maximum(back, frame) <= tolerance)
    for name in ("vectors", "growth", "covariance_error"):
        found[name][missing] = np.nan
    return found | {"group": group}


def _runs(inside: Array) -> dict[tuple[int, int], list[int]]:
    """Return the steps of each run of links (steps, k - 1), by its first and its last vector."""
    edges = np.diff(np.pad(inside.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    (rows, begins), (_, ends) = np.nonzero(edges > 0), np.nonzero(edges < 0)
    found: dict[tuple[int, int], list[int]] = {}
    for row, first, last in zip(rows.tolist(), begins.tolist(), ends.tolist(), strict=True):
        found.setdefault((first, last), []).append(row)
    return found


def _span_sines(starts: list[Array]) -> Array:
    """Return how far (steps,) spans of columns (steps, k, g) are apart at most, as sines."""
    first, *others = (np.linalg.qr(columns)[0] for columns in starts)
    rest = [each - first @ (np.swapaxes(first, 1, 2) @ each) for each in others]
    # of Frobenius, at most √g times the sine of the largest angle
    return np.max([np.linalg.norm(each, axis=(1, 2)) for each in rest], axis=0)
