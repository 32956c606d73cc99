"""Spectra of linear recurrent models, from gates that a forward pass exported."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import Array, as_real, check_size
from ..cells.own_map import GivenDecay, GivenGates, GivenStep
from ..networks.network import Network
from ..spectra.spectrum import Spectrum
from .lyapunov import lyapunov_spectrum

# exp is far from underflow
LEAST_LOG_DECAY = -700.0


def spectrum_of_gates(
    log_decay: Any, left: Any = None, right: Any = None, multiplicity: int = 1, **options: Any
) -> Spectrum:
    """Compute the spectrum of J_t = diag(exp(log_decay_t)) + left_t right_tᵀ.

    These are the Jacobians of recurrences that are linear in their state: (gated) DeltaNet, KDA and
    RWKV-7, whose state is a matrix with the same Jacobian for each column. Their gates follow from
    the input alone, so that one forward pass of the model gives them. A step takes O(d) operations
    for each deviation vector. Without ``left`` and ``right`` (RWKV-6, Mamba, RG-LRU, mLSTM, minGRU)
    the exponents are the means of ``log_decay``, and the spectrum adds to them their errors;
    −1/exponents are the time constants in steps, and nothing else is needed.

    Parameters
    ----------
    log_decay : array (T, d) or (B, T, d)
        Logarithms of the decay, natural; of width 1 where all d share one.
    left, right : array (T, d) or (B, T, d), optional
        Both or none.
    multiplicity : int
        Columns of the state, each with the same Jacobian: each exponent stands so many times in
        the result, and counts so often in the measures. States and vectors are those of a column.
    **options
        As for `lyapunov_spectrum`: transient, k (before multiplicity), interval, tolerance, frame,
        seed, dt, backend, threads, progress; with multiplicity 1 also checkpoint and record.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError, TypeError
        If a shape does not fit, a value is not finite, or an argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> import lyapy
    >>> spectrum = lyapy.spectrum_of_gates(np.log([[0.9, 0.5]] * 100))
    >>> spectrum.exponents.round(4).tolist()
    [-0.1054, -0.6931]
    """
    check_size("multiplicity", multiplicity, 1)
    if multiplicity > 1 and options.get("checkpoint") is not None:
        raise ValueError(
            "checkpoint is for multiplicity 1, as the run file has each exponent once; leave it "
            "out, and save the result"
        )
    decay = _sequence("log_decay", log_decay)
    if not decay.min() >= LEAST_LOG_DECAY:
        raise ValueError(f"log_decay is {decay.min():g} in a step; it must be at least -700")
    if (left is None) != (right is None):
        missing = "left" if left is None else "right"
        raise ValueError(f"{missing} is missing; give left and right, or none of them")
    if left is None:
        inputs = np.exp(decay)
        cell: GivenStep = GivenDecay(decay.shape[-1])
    else:
        vectors = _sequence("left", left), _sequence("right", right)
        shape = vectors[0].shape
        if vectors[1].shape != shape or decay.shape not in (shape, (*shape[:-1], 1)):
            raise ValueError(
                f"log_decay, left and right have shapes {decay.shape}, {shape} and "
                f"{vectors[1].shape}; they must be the same, or log_decay of width 1"
            )
        parts = (np.broadcast_to(np.exp(decay), shape), *vectors)
        inputs, cell = np.concatenate(parts, axis=-1), GivenGates(shape[-1])
    network = Network([cell], origin="gates given as arrays")
    return _repeated(lyapunov_spectrum(network, inputs, **options), multiplicity)


def _sequence(name: str, value: Any) -> Array:
    array = as_real(name, value)
    if array.ndim not in (2, 3) or not array.size or not np.isfinite(array).all():
        raise ValueError(
            f"{name} has shape {array.shape}; it must be (T, d) or (B, T, d), of finite numbers"
        )
    return array


def _repeated(spectrum: Spectrum, times: int) -> Spectrum:
    """Return the spectrum of as many copies of the system."""
    if times == 1:
        return spectrum
    k = spectrum.settings["k"] * times
    return replace(
        spectrum,
        state_size=spectrum.state_size * times,
        settings={**spectrum.settings, "k": k, "multiplicity": times},
    )
