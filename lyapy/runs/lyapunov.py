"""The main job: the Lyapunov spectrum of a network along its trajectories."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import array_digest, check_size
from ..cells.base import TILE, Cell
from ..cells.own_map import GivenJacobian
from ..networks.blocks import diagonal_blocks
from ..networks.inputs import check_inputs
from ..networks.network import Network
from ..spectra.rounding import warn_of_rounding
from ..spectra.spectrum import Spectrum
from ..tangent.engine import fitted_engine
from ..tangent.gpu.precision import PRECISIONS
from ..tangent.interval import make_control
from ..tangent.norm_bounds import NormBounds
from .checkpoint.run import run_checkpointed
from .computation import compute_spectrum
from .options import Compute, Keep, Method, settings_of, take_options, with_options
from .plan import Plan
from .provenance import describe_origin
from .schedule import make_recording, make_schedule
from .start import check_frame, check_start, check_time_step
from .threads import side_by_side
from .until import check_until

__all__ = ["lyapunov_spectrum", "spectrum_of_jacobians"]


@with_options
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
    initial_state: Any = None,
    seed: int = 0,
    dt: float | None = None,
    progress: bool = False,
    method: Method | None = None,
    compute: Compute | None = None,
    keep: Keep | None = None,
    **options: Any,
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
        Steps to count after the transient; by default all that the inputs hold.
    until : float, optional
        Instead of ``steps``, for an autonomous network: continue until no standard error is
        larger, in the units of the result. Errors are compared after 1024 steps or a chunk, and
        after each doubling; the result is that of a run of so many ``steps``, without records.
    max_steps : int
        Most steps that ``until`` may take.
    k : int, optional
        Number of leading exponents; by default all D.
    trajectories : int, optional
        Number B of trajectories that share one input sequence, or none, and start at
        different random states.
    transient : int
        Steps at the beginning that move state and frame and are not counted.
    initial_state : array (D,) or (B, D), optional
        By default zeros if each trajectory has separate inputs, otherwise drawn from a normal
        distribution.
    seed : int
        Of the random frames and states.
    dt : float, optional
        Time of a step, of a discretised flow; the spectrum is then in nats per unit of time.
    progress : bool
        Show a bar on a terminal, or a line now and then in a log.
    method, compute, keep : Method, Compute, Keep, optional
        Objects that hold the options below; each option may also be a plain keyword.
    OPTIONS

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
    method, compute, keep = take_options(
        lyapunov_spectrum, options, method=method, compute=compute, keep=keep
    )
    _check_network(network)
    check_size("seed", seed, 0)
    check_time_step(dt)
    k, frame = check_frame(method.frame, k, network.state_size)
    precision = PRECISIONS[compute.precision]
    tolerance = precision.tolerance if method.tolerance is None else method.tolerance
    control = make_control(method.interval, tolerance, TILE, precision.roundoff)
    recording = make_recording(keep, control)
    control = control._replace(tile=recording.tile)
    goal = check_until(until, max_steps, steps, network, recording)
    inputs = check_inputs(network, inputs, transient, goal.most if goal else steps)
    start = check_start(network, inputs, initial_state, trajectories, seed)
    schedule = make_schedule(network, transient, inputs.shape[1] - transient, control, recording)
    with_factors = "factors" in recording.kinds
    engine = fitted_engine(compute.backend, compute.blas_threads, network, with_factors)
    compute = replace(compute, threads=compute.threads or side_by_side(engine, len(start.states)))
    complete = k >= min(cell.state_size for cell in network.cells)
    invertible = method.two_ended and not engine.devices and complete
    whole = not isinstance(frame, str)
    blocks = diagonal_blocks(network, whole=whole, tolerance=tolerance if invertible else 0.0)
    settings = settings_of(replace(method, tolerance=tolerance), compute, keep) | {
        "k": k,
        "steps": schedule.steps,
        "transient": transient,
        "trajectories": len(start.states),
        "seed": seed,
        "dt": dt,
        "frame": f"given, {array_digest(frame)}" if whole else frame,
        "blocks": len(blocks),
        "record": list(recording.kinds),
        "record_every": recording.every,
        "input_sequences": len(inputs) if network.input_size else 0,
        "inputs_sha256": array_digest(inputs),
        "initial_states_sha256": array_digest(start.states),
        **engine.settings(),
        **({"until": list(goal)} if goal else {}),
        **describe_origin(network),
    }
    plan = Plan(
        began=began, network=network, start=start, k=k, seed=seed, frame=frame,
        bounds=[NormBounds(block) for block in blocks],
        # a run with a target keeps a row for each tile, until its steps are known
        schedule=schedule._replace(tiles_per_row=1) if goal else schedule,
        engine=engine, compute=compute, progress=progress, goal=goal, settings=settings,
    )  # fmt: skip
    spectrum = compute_spectrum(plan) if keep.checkpoint is None else run_checkpointed(plan, keep)
    coupled = len(diagonal_blocks(network, whole=False)) if whole else 1
    warn_of_rounding(spectrum, schedule.control, coupled=coupled)
    return spectrum


def _check_network(network: Any) -> None:
    if not isinstance(network, Network):
        cell = isinstance(network, Cell)
        remedy = "lyapy.Network([it])" if cell else "a lyapy.Network (lyapy.load)"
        raise TypeError(f"network is a {type(network).__name__}; give {remedy}")


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
