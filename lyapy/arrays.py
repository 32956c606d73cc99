"""Arrays and numbers that every layer uses: their type, checks, digest and roundoff."""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

import numpy as np

# NumPy's array or CuPy's, whichever the engine runs on
Array: TypeAlias = Any

# of float64
UNIT_ROUNDOFF = 2.0**-53


def array_digest(array: Array) -> str:
    """Return the SHA-256 of an array's shape, type and values."""
    hasher = hashlib.sha256(repr((array.shape, array.dtype.str)).encode())
    hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()


def stacked(arrays: Sequence[Array]) -> Array:
    """Return arrays of one shape along a new first axis; a single one without a copy."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)


def check_size(name: str, value: Any, least: int, most: int | None = None, why: str = "") -> None:
    """Raise ValueError unless ``value`` is a whole number from ``least`` to ``most``."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        limit = f"at least {least}" if most is None else f"from {least} to {most}"
        reason = f"; {why}" if why else ""
        raise ValueError(f"{name} is {value!r}; it must be a whole number {limit}{reason}")


def check_choice(name: str, value: Any, choices: Collection[str], more: str = "") -> None:
    """Raise ValueError unless ``value`` is one of the choices."""
    if value not in [*choices]:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}{more}")


def check_positive(name: str, value: Any, wanted: str = "a positive number") -> None:
    """Raise ValueError unless ``value`` is a finite number above 0; ``wanted`` describes it."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0.0 < value < np.inf:
        raise ValueError(f"{name} is {value!r}; it must be {wanted}")


def as_seed(seed: Any, rng: Any = None) -> int:
    """Return a seed as a whole number: given, drawn by a Generator, or by the system for None.

    ``rng``, unless it is None, is given instead. Raises ValueError if it is something else, or
    both are given.
    """
    name = "seed"
    if rng is not None:
        if seed != 0:
            raise ValueError(f"seed is {seed!r} and rng is {rng!r}; give one of them")
        name, seed = "rng", rng
    if seed is None or isinstance(seed, (np.random.SeedSequence, np.random.BitGenerator)):
        seed = np.random.default_rng(seed)
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(2**32))
    check_size(name, seed, 0)
    return int(seed)


def as_numpy(value: Any) -> Array:
    """Return ``value`` as NumPy's array; a tensor may be on a GPU, or require its gradient."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def as_real(name: str, value: Any) -> Array:
    """Return ``value`` as a float64 array; raise TypeError if it is not real numbers."""
    try:
        array = as_numpy(value)
    except ValueError:
        raise TypeError(f"{name} is ragged; it must be an array of real numbers") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}; it must be real numbers")
    return array.astype(np.float64)
