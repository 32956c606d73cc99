"""The main job: the Lyapunov spectrum of a network along its trajectories."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from .arguments import (
    check_frame,
    check_inputs,
    check_size,
    check_start,
    check_time_step,
    default_threads,
)
from .cells.base import TILE
from .cells.jacobian import GivenJacobian
from .engines import choose_engine
from .engines.carry import Carry
from .engines.interval import make_control
from .forward import layer_forward
from .network import Network, Part
from .origin import array_digest, describe_origin
from .progress import Progress
from .rounding import warn_of_rounding
from .spectrum import Spectrum
from .trajectory import PartResult, Schedule, make_schedule, run_trajectory
from .types import Array

__all__ = ["lyapunov_spectrum", "spectrum_of_jacobians"]


def lyapunov_spectrum(
    network: Network,
    inputs: Any = None,
    *,
    steps: int | None = None,
    k: int | None = None,
    trajectories: int | None = None,
    transient: int = 0,
    interval: int | str = "auto",
    tolerance: float = 1e-8,
    frame: Any = "random",
    initial_state: Any = None,
    seed: int = 0,
    dt: float | None = None,
    two_ended: bool = True,
    backend: str = "auto",
    threads: int | None = None,
    blas_threads: int = 1,
    progress: bool = False,
) -> Spectrum:
    """Compute the Lyapunov spectrum of a network, driven or autonomous.

    The exponents are the mean growth rates of deviation vectors, reorthonormalized by QR
    (Benettin et al. 1980), under the Jacobians ∂h′/∂h of the steps; states and perturbed
    states receive the same inputs, so for a driven network the spectrum is the conditional
    one (Vogt et al. 2022, arXiv:2006.14123).

    Parameters
    ----------
    network : Network
        From `load`, `random_network` or built of cells.
    inputs : array (T, m) or (B, T, m), optional
        One sequence or B of them; None for an autonomous network, which then needs ``steps``.
    steps : int, optional
        Steps to count after the transient; all that the inputs hold by default.
    k : int, optional
        Number of leading exponents; all D by default.
    trajectories : int, optional
        Number B of trajectories that share one input sequence, or none, and start at
        different random states.
    transient : int
        Steps at the beginning that move state and frame and are not counted.
    interval : "auto" or int
        Steps between two reorthonormalizations; "auto" holds the error within ``tolerance``.
    tolerance : float
        Rounding error admitted in the growth of one interval, in nats.
    frame : "random", "identity" or array (k, D)
        Initial deviation vectors, as rows. With an array a stack is followed as a whole
        instead of layer by layer; rounding can then push nearly equal exponents of different
        layers apart, and a warning says so.
    initial_state : array (D,) or (B, D), optional
        Zeros by default for a network driven by inputs of its own for each trajectory;
        otherwise drawn from a normal distribution.
    seed : int
        Of the random frames and states.
    dt : float, optional
        Time of a step, of a discretised flow; the spectrum is then in nats per unit of time.
    two_ended : bool
        Allow a full spectrum to be computed as a leading frame under J and a trailing one
        under J⁻ᵀ, where that is cheaper or resolves more; the exponents are the same.
    backend : {"auto", "numba", "numpy", "cupy"}
        "numpy" is the readable reference, "auto" the compiled CPU engine.
    threads : int, optional
        Trajectories computed at a time; the CPUs available by default. The result does not
        depend on it.
    blas_threads : int
        Threads inside each matrix product, for one trajectory of a large network; with more
        than one the last bits of the result may depend on them.
    progress : bool
        Show a bar on a terminal, or a line now and then in a log.

    Returns
    -------
    Spectrum
        Exponents in nats per step (or unit of time), with errors, history and origin.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit.
    FloatingPointError
        If the network diverges.

    Examples
    --------
    >>> import lyapy
    >>> network = lyapy.random_network("vanilla", 8, gain=1.5, seed=1)
    >>> spectrum = lyapy.lyapunov_spectrum(network, steps=1000, transient=100)
    >>> spectrum.exponents.shape
    (8,)
    """
    began = time.perf_counter()
    if not isinstance(network, Network):
        raise TypeError(f"network is a {type(network).__name__}; it must be a lyapy.Network")
    check_size("seed", seed, 0)
    check_time_step(dt)
    k, given_frame = check_frame(frame, k, network.state_size)
    all_inputs = check_inputs(network, inputs, transient, steps)
    start = check_start(network, all_inputs, initial_state, trajectories, seed)
    control = make_control(interval, tolerance, TILE)
    schedule = make_schedule(transient, all_inputs.shape[1] - transient, control)
    threads = default_threads() if threads is None else threads
    check_size("threads", threads, 1)
    check_size("blas_threads", blas_threads, 1)
    engine = choose_engine(backend, blas_threads)
    if any(cell.plain for cell in network.cells):
        engine = engine._replace(run_layer=layer_forward)
    parts = network.parts(whole=not isinstance(frame, str), tolerance=two_ended and tolerance)

    def run(b: int, report: Callable[[int], None]) -> tuple[Array, list[PartResult]]:
        frames = (
            [given_frame] if given_frame is not None else _frames(parts, k, frame, [seed, b, 1])
        )
        drive = start.inputs[b % len(start.inputs)]
        state = start.states[b]
        # LU of dense Jacobians is dear: the first trajectory stands for all
        by_lu = b == 0
        return run_trajectory(network, parts, drive, state, frames, schedule, engine, report, by_lu)

    total = transient + schedule.steps
    # threads of BLAS inside the threads here would fight for the cores
    with threadpool_limits(blas_threads, user_api="blas"):
        results = _run_all(run, len(start.states), total, threads, progress)
    settings = {
        "k": k,
        "steps": schedule.steps,
        "transient": transient,
        "trajectories": len(results),
        "interval": interval,
        "tolerance": tolerance,
        "frame": frame if isinstance(frame, str) else "given",
        "seed": seed,
        "dt": dt,
        "input_sequences": len(all_inputs) if network.input_size else 0,
        "backend": engine.name,
        "threads": threads,
        "blas_threads": blas_threads,
        "inputs_sha256": array_digest(all_inputs),
        "seconds": time.perf_counter() - began,
        **describe_origin(network),
    }
    spectrum = _collect(network, parts, results, schedule, settings)
    warn_of_rounding(spectrum, control, whole_stack=len(network.cells) > len(parts))
    return spectrum


def spectrum_of_jacobians(jacobians: Any, **options: Any) -> Spectrum:
    """Compute the Lyapunov spectrum of a sequence of Jacobians from anywhere.

    Parameters
    ----------
    jacobians : array (T, D, D) or (B, T, D, D)
        J[t, i, j] = ∂h_i(t + 1)/∂h_j(t).
    **options
        As for `lyapunov_spectrum`: k, transient, interval, tolerance, frame, seed, dt,
        backend, threads, progress.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError, TypeError
        If the array has another shape, or an argument does not fit.
    """
    array = np.asarray(jacobians)
    if array.ndim not in (3, 4) or array.shape[-1] != array.shape[-2] or not array.shape[-1]:
        raise ValueError(f"jacobians has shape {array.shape}; it must be (T, D, D) or (B, T, D, D)")
    D = array.shape[-1]
    network = Network([GivenJacobian(D)], origin="Jacobians given as an array")
    return lyapunov_spectrum(network, array.reshape(*array.shape[:-2], D * D), **options)


def _frames(parts: list[Part], k: int, kind: str, seed: list[int]) -> list[Array]:
    """Return initial frames: as many rows for each part as can be among the k leading."""
    rng = np.random.default_rng(seed)
    frames = []
    for part in parts:
        D = part.program.state_size
        if kind == "identity":
            frames.append(np.eye(D)[:k])
        else:
            vectors = rng.normal(size=(D, min(k, D)))
            frames.append(np.ascontiguousarray(np.linalg.qr(vectors)[0].T))
    return frames


def _run_all(
    run: Callable[[int, Callable[[int], None]], tuple[Array, list[PartResult]]],
    trajectories: int,
    steps: int,
    threads: int,
    progress: bool,
) -> list[tuple[Array, list[PartResult]]]:
    """Run the trajectories, each in one thread from beginning to end."""
    display = Progress(trajectories * steps, progress)

    def named(b: int) -> tuple[Array, list[PartResult]]:
        try:
            return run(b, display.update)
        except FloatingPointError as error:
            raise FloatingPointError(f"trajectory {b}: {error}") from None

    with ThreadPoolExecutor(threads) as pool:
        try:
            return list(pool.map(named, range(trajectories)))
        except BaseException:
            display.stop()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            display.close()


def _collect(
    network: Network,
    parts: list[Part],
    results: list[tuple[Array, list[PartResult]]],
    schedule: Schedule,
    settings: dict[str, Any],
) -> Spectrum:
    """Join the trajectories, and the parts behind one another."""
    carries = [[part.carry for part in found] for _, found in results]

    def counts(name: str) -> Array:
        return np.array([[getattr(carry, name) for carry in row] for row in carries])

    return Spectrum(
        growth=np.stack(
            [np.concatenate([p.growth for p in found], axis=1) for _, found in results]
        ),
        growth_steps=schedule.row_ends(),
        state_size=network.state_size,
        transient=schedule.transient,
        final_state=np.stack([state for state, _ in results]),
        final_frame=np.stack([_join_frames(network, parts, row) for row in carries]),
        intervals=counts("intervals"),
        trailing_intervals=counts("trailing_intervals"),
        rejections=counts("rejections"),
        largest_spread=counts("largest_spread"),
        split=counts("split"),
        numerical_error=np.stack([np.concatenate([c.error for c in row]) for row in carries])
        / schedule.steps,
        determinants=np.array([[part.determinants for part in found] for _, found in results]),
        settings=settings,
    )


def _join_frames(network: Network, parts: list[Part], carries: list[Carry]) -> Array:
    rows = []
    for part, carry in zip(parts, carries, strict=True):
        placed = np.zeros((len(carry.frame), network.state_size))
        placed[:, part.start : part.start + part.program.state_size] = carry.frame
        rows.append(placed)
    return np.concatenate(rows)
