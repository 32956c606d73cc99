"""Spectra of networks of different size, brought to a common length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import Array

__all__ = ["common_positions", "resample"]


def common_positions(counts: Sequence[int], state_sizes: Sequence[int], length: int) -> Array:
    """Return positions (length,) in a spectrum that all spectra reach.

    Parameters
    ----------
    counts : sequence of int
        Exponents k of each.
    state_sizes : sequence of int
        D of each, of which k are the leading ones.
    length : int

    Returns
    -------
    array (length,)
        Midpoints of equal parts of the interval from 0, the largest exponent, to the end that
        all have, 1 for whole spectra.
    """
    shares = [k / D for k, D in zip(counts, state_sizes, strict=True)]
    return min(shares) * (np.arange(length) + 0.5) / length


def resample(exponents: Array, state_size: int, positions: Array) -> Array:
    """Return a spectrum at positions between 0 and 1, linear between its exponents.

    The i-th of D exponents stands at (i − 1/2)/D; before the first and after the last it is
    continued as a constant. Where exponents are dead, it is −∞.

    Parameters
    ----------
    exponents : array (k,), descending
    state_size : int
        D.
    positions : array (n,)

    Returns
    -------
    array (n,)
    """
    alive = int(np.count_nonzero(np.isfinite(exponents)))
    if not alive:
        return np.full(len(positions), -np.inf)
    places = (np.arange(alive) + 0.5) / state_size
    found: Array = np.interp(positions, places, exponents[:alive])
    if alive < len(exponents):
        found[positions > alive / state_size] = -np.inf
    return found
