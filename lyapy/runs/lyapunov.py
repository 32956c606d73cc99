"""The main job: the Lyapunov spectrum of a network along its trajectories."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from ..arrays import Array, as_seed
from ..cells.own_map import GivenJacobian, GivenProducts
from ..networks.blocks import diagonal_blocks
from ..networks.network import Network
from ..spectra.rounding import warn_of_rounding
from ..spectra.spectrum import Spectrum
from .checkpoint.run import run_checkpointed
from .computation import compute_spectrum
from .options import Compute, Keep, Method, take_options, with_options
from .plan import Plan, make_plan
from .reaching import check_k, spectrum_reaching
from .start import check_kept


@with_options
def lyapunov_spectrum(
    network: Network,
    inputs: Any = None,
    *,
    steps: int | None = None,
    until: float | None = None,
    max_steps: int = 1_000_000,
    k: int | str | None = None,
    trajectories: int | None = None,
    transient: int = 0,
    initial_state: Any = None,
    seed: int | np.random.Generator | None = 0,
    rng: int | np.random.Generator | None = None,
    dt: float | Literal["step"] | None = None,
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
        ``until``. Token ids, whole numbers (T,) or (B, T), go through the embedding that the
        weights file of the network holds.
    steps : int, optional
        Steps to count after the transient; by default all that the inputs hold.
    until : float, optional
        Instead of ``steps``, for an autonomous network: continue until no standard error is
        larger, in the units of the result. Errors are compared after 1024 steps or a chunk, and
        after each doubling; the result is that of a run of so many ``steps``, without records.
    max_steps : int
        Most steps that ``until`` may take.
    k : int, "kaplan-yorke" or "entropy", optional
        Number of leading exponents; by default all D. By name, as many as the Kaplan–Yorke
        dimension or the entropy rate needs: short runs of one trajectory suggest the number, and
        it grows until the whole run reaches the measure. The result is that of a run of this k.
    trajectories : int, optional
        Number B of trajectories that share one input sequence, or none, and start at
        different random states.
    transient : int
        Steps at the beginning that move state and frame and are not counted.
    initial_state : array (D,) or (B, D), optional
        By default zeros if each trajectory has separate inputs, otherwise drawn from a normal
        distribution.
    seed : int, Generator or None
        Of the random frames and states; None draws another each time. The result's settings have
        the number, and a run with a checkpoint needs one that stays the same.
    rng : int or Generator, optional
        Given instead of ``seed``.
    dt : float or "step", optional
        Time of a step, of a discretised flow; the spectrum is then in nats per unit of time. By
        default the ``dt`` of rate networks, if all cells have the same; "step" for nats per step.
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
    method, compute, keep = take_options(
        lyapunov_spectrum, options, method=method, compute=compute, keep=keep
    )
    if keep.checkpoint is not None:
        check_kept(seed)
    number = as_seed(seed, rng)
    plan_of = partial(
        make_plan, network, inputs, method, compute, keep, steps=steps, until=until,
        max_steps=max_steps, trajectories=trajectories, transient=transient,
        initial_state=initial_state, seed=number, dt=dt, progress=progress,
    )  # fmt: skip
    if isinstance(k, str):
        check_k(k, method.frame, 1)
        spectrum, plan = spectrum_reaching(k, lambda count: plan_of(k=count), _run, keep)
    else:
        plan = plan_of(k=k)
        spectrum = _run(plan, keep)
    blocks = [] if isinstance(plan.frame, str) else diagonal_blocks(network, whole=False)
    coupled = sum(block.program.state_size if block.decoupled else 1 for block in blocks)
    warn_of_rounding(spectrum, plan.schedule.control, coupled=coupled)
    return spectrum


def _run(plan: Plan, keep: Keep) -> Spectrum:
    return compute_spectrum(plan) if keep.checkpoint is None else run_checkpointed(plan, keep)


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


def spectrum_of_products(
    products: Callable[[int, Array], Any],
    state_size: int,
    steps: int | None = None,
    *,
    k: int | None = None,
    **options: Any,
) -> Spectrum:
    """Compute the Lyapunov spectrum of Jacobians that are known by their products with vectors.

    Parameters
    ----------
    products : callable
        ``products(t, Q)`` returns Q J_tᵀ (k, D) in float64 for deviation vectors Q (k, D), from
        ``torch.func.jvp``, ``jax.jvp`` or any other linearization about the state before step t,
        t = 0, 1, … with the transient. An interval can be repeated, so each t may come more
        than once. J is never formed.
    state_size : int
        D.
    steps : int, optional
        Steps to count after the transient, unless ``until`` is given.
    k : int, optional
        Number of leading exponents; by default all D.
    **options
        As for `lyapunov_spectrum`: transient, until, max_steps, interval, tolerance, frame, seed,
        dt, checkpoint, record, progress. A checkpoint knows the function by its source.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, or the products have another shape or type.

    Examples
    --------
    >>> import numpy as np
    >>> import lyapy
    >>> J = np.diag([2.0, 0.5])
    >>> spectrum = lyapy.spectrum_of_products(lambda t, Q: Q @ J.T, 2, 100, k=1, transient=50)
    >>> spectrum.exponents.round(6)
    array([0.693147])
    """
    for name in ("inputs", "trajectories", "initial_state"):
        if name in options:
            raise TypeError(f"{name} is for networks; products(t, Q) are those of one trajectory")
    cell = GivenProducts(products, state_size)
    network = Network([cell], origin="products with Jacobians, given by a function")
    start = np.zeros(state_size)
    return lyapunov_spectrum(network, steps=steps, k=k, initial_state=start, **options)
