"""The main job: the Lyapunov spectrum of a network along its trajectories."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..arrays import array_digest, check_size
from ..cells.base import TILE
from ..cells.own_map import GivenJacobian
from ..networks.blocks import diagonal_blocks
from ..networks.network import Network
from ..spectra.rounding import warn_of_rounding
from ..spectra.spectrum import Spectrum
from ..tangent.checks import NormBounds
from ..tangent.engine import fitted_engine
from ..tangent.gpu.precision import choose_precision
from ..tangent.initial_frames import initial_frames
from ..tangent.interval import make_control
from .checkpoint.run import check_run_file, run_checkpointed
from .checkpoint.shapes import layout_of
from .gpu.devices import run_batches
from .provenance import describe_origin
from .recording import make_recording
from .result import collect
from .schedule import Schedule, make_schedule
from .start import check_frame, check_inputs, check_start, check_time_step
from .threads import run_trajectories, side_by_side
from .trajectory import Trajectory, TrajectoryResult
from .until import check_until, run_until

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer

__all__ = ["lyapunov_spectrum", "spectrum_of_jacobians"]


def lyapunov_spectrum(
    network: Network,
    inputs: Any = None,
    *,
    steps: int | None = None,
    until: float | None = None,
    max_steps: int = 1_000_000,
    k: int | None = None,
    trajectories: int | None = None,
    transient: int = 0,
    interval: int | str = "auto",
    tolerance: float | None = None,
    frame: Any = "random",
    initial_state: Any = None,
    seed: int = 0,
    dt: float | None = None,
    two_ended: bool = True,
    backend: str = "auto",
    precision: str = "float64",
    threads: int | None = None,
    blas_threads: int = 1,
    progress: bool = False,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_every: float = 300.0,
    record: str | Sequence[str] = "growth",
    record_every: int | None = None,
    overwrite: bool = False,
    require_identical: bool = False,
    any_backend: bool = False,
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
        One sequence or B of them; None for an autonomous network, which then needs ``steps`` or
        ``until``.
    steps : int, optional
        Steps to count after the transient; all that the inputs hold by default.
    until : float, optional
        Instead of ``steps``, for an autonomous network: go on until no standard error is larger,
        in the units of the result. The errors are looked at after 1024 steps or a chunk of time,
        and whenever the run has doubled; the result is that of so many ``steps``, without records.
    max_steps : int
        Most steps that ``until`` may take.
    k : int, optional
        Number of leading exponents; all D by default.
    trajectories : int, optional
        Number B of trajectories that share one input sequence, or none, and start at
        different random states.
    transient : int
        Steps at the beginning that move state and frame and are not counted.
    interval : "auto" or int
        Steps between two reorthonormalizations; "auto" holds the error within ``tolerance``.
    tolerance : float, optional
        Rounding error admitted in the growth of one interval, in nats; 1e-8 by default, and 2.5e-4
        in float32.
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
        "numpy" is the readable reference, "auto" the compiled CPU engine, "cupy" an NVIDIA GPU,
        see docs/gpu.md.
    precision : {"float64", "float32"}
        In which a GPU computes; the CPU knows float64 only.
    threads : int, optional
        Trajectories computed at a time; by default as many as there are CPUs, or an equal part of
        all on each GPU, if so many fit. The result does not depend on it on the CPU, on a GPU
        within the tolerance only.
    blas_threads : int
        Threads inside each matrix product, for one trajectory of a large network; with more
        than one the last bits of the result may depend on them.
    progress : bool
        Show a bar on a terminal, or a line now and then in a log.
    checkpoint : str or path, optional
        Run file (HDF5) that the result goes to. Called again with the same arguments after it
        was killed or interrupted, the run goes on from its last checkpoint and ends with the
        same result, bit for bit; once it is finished, the file is read.
    checkpoint_every : float
        Seconds between two checkpoints.
    record : str or sequence of {"growth", "states", "frames", "factors"}
        What goes to the run file on the way, see docs/checkpoints.md; "factors" are the R factors,
        which the NumPy engine alone keeps. Growth alone is also in the history, coarser.
    record_every : int, optional
        Counted steps from one row of the records to the next, 64 by default.
    overwrite : bool
        Replace another run, or another file, at ``checkpoint``.
    require_identical : bool
        Refuse to continue on another machine or with other versions or threads, where the last
        bits might differ, instead of warning of it.
    any_backend : bool
        Continue a run that another backend began, on the CPU or on a GPU; the result then is
        within the tolerance, and the change is recorded.

    Returns
    -------
    Spectrum
        Exponents in nats per step (or unit of time), with errors, history and origin.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, or ``checkpoint`` holds another run.
    FloatingPointError
        If the network diverges.
    OSError
        If another process is computing the run, or a checkpoint cannot be written.
    KeyboardInterrupt
        After an interruption, once a last checkpoint is written.

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
        raise TypeError(f"network is a {type(network).__name__}; give a lyapy.Network (lyapy.load)")
    check_size("seed", seed, 0)
    check_time_step(dt)
    k, given_frame = check_frame(frame, k, network.state_size)
    arithmetic = choose_precision(precision, backend)
    tolerance = arithmetic.tolerance if tolerance is None else tolerance
    control = make_control(interval, tolerance, TILE, arithmetic.roundoff)
    recording = make_recording(record, record_every, control)
    control = control._replace(tile=recording.tile)
    goal = check_until(until, max_steps, steps, network, recording)
    all_inputs = check_inputs(network, inputs, transient, goal.most if goal else steps)
    start = check_start(network, all_inputs, initial_state, trajectories, seed)
    counted = all_inputs.shape[1] - transient
    schedule = make_schedule(network, transient, counted, control, recording)
    if goal:
        schedule = schedule._replace(tiles_per_row=1)
    B = len(start.states)
    check_size("blas_threads", blas_threads, 1)
    engine = fitted_engine(backend, blas_threads, network, "factors" in recording.kinds)
    threads = side_by_side(engine, B) if threads is None else threads
    check_size("threads", threads, 1)
    complete = k >= min(cell.state_size for cell in network.cells)
    invertible = two_ended and not engine.devices and complete
    parts = diagonal_blocks(
        network, whole=not isinstance(frame, str), tolerance=invertible and tolerance
    )
    bounds = [NormBounds(part) for part in parts]
    layout = layout_of(network, parts, schedule, B, k)

    def begin(b: int, schedule: Schedule = schedule) -> Trajectory:
        frames = (
            [given_frame]
            if given_frame is not None
            else initial_frames(parts, k, frame, [seed, b, 1])
        )
        drive = start.inputs[b % len(start.inputs)]
        # LU of dense Jacobians is dear: the first trajectory stands for all
        return Trajectory(
            network, bounds, drive, start.states[b], frames, schedule, engine, by_lu=b == 0
        )

    run: Callable[..., list[TrajectoryResult]] = run_trajectories
    if engine.devices:
        run = partial(run_batches, devices=engine.devices, precision=arithmetic)
    run_all = partial(run, count=B, threads=threads, progress=progress)

    def compute(checkpointer: Checkpointer | None = None) -> Spectrum:
        def finish(results: list[TrajectoryResult], schedule: Schedule = schedule) -> Spectrum:
            seconds = checkpointer.seconds if checkpointer else time.perf_counter() - began
            found: dict[str, Any] = {"seconds": seconds}
            if goal:
                found["steps"] = schedule.steps
                found["inputs_sha256"] = array_digest(all_inputs[:, : schedule.total])
            return collect(results, layout_of(network, parts, schedule, B, k), settings | found)

        # threads of BLAS inside the threads here would fight for the cores
        with threadpool_limits(blas_threads, user_api="blas"):
            if goal:
                return run_until(goal, schedule, begin, run_all, finish, checkpointer)
            return finish(run_all(begin, steps=schedule.total, checkpointer=checkpointer))

    settings = {
        "k": k,
        "steps": counted,
        "transient": transient,
        "trajectories": B,
        "interval": interval,
        "tolerance": tolerance,
        "frame": frame if isinstance(frame, str) else f"given, {array_digest(given_frame)}",
        "seed": seed,
        "dt": dt,
        "two_ended": two_ended,
        "record": list(recording.kinds),
        "record_every": recording.every,
        "input_sequences": len(all_inputs) if network.input_size else 0,
        **engine.settings(),
        "precision": precision,
        "threads": threads,
        "blas_threads": blas_threads,
        "inputs_sha256": array_digest(all_inputs),
        "initial_states_sha256": array_digest(start.states),
        **({"until": list(goal)} if goal else {}),
        **describe_origin(network),
    }
    file = check_run_file(
        checkpoint, checkpoint_every, overwrite, require_identical, recording, any_backend
    )
    spectrum = run_checkpointed(file, settings, layout, compute) if file else compute()
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
