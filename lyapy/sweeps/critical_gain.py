"""The gain at which random networks of a kind lose stability: a root of the largest exponent."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, check_size
from ..networks.random import random_network
from ..runs.lyapunov import lyapunov_spectrum


class CriticalGain(NamedTuple):
    """A gain at which λ₁ = 0, and how it was found.

    Attributes
    ----------
    gain : float
        Interpolated between the ends.
    low, high : float
        The largest gain below it with λ₁ < 0 for sure, and the smallest above it with λ₁ > 0: the
        95 % interval of λ₁ with rounding and finite time leaves 0 out. In between lies a root.
    gains, largest, margins : array
        All gains tried, ascending, λ₁ at each (∞ where the network diverged), and how far that may
        be off.
    """

    gain: float
    low: float
    high: float
    gains: Array
    largest: Array
    margins: Array

    def __str__(self) -> str:
        """Return the gain with its interval in one line."""
        ends = f"between {self.low:.4g} and {self.high:.4g}"
        return f"critical gain {self.gain:.4g}, {ends} (from {len(self.gains)} gains)"


def critical_gain(
    kind: str,
    n: int,
    m: int = 0,
    *,
    inputs: Any = None,
    steps: int = 2000,
    transient: int = 500,
    between: tuple[float, float] = (0.1, 10.0),
    tolerance: float = 0.01,
    trajectories: int | None = None,
    seed: int = 0,
    **options: Any,
) -> CriticalGain:
    """Find the gain at which the largest exponent of a random network passes through 0.

    The weights are those of `random_network` with one seed, scaled by the gain, and every
    network reads the same inputs. Gains are halved in their logarithm until the interval is within
    the tolerance, or λ₁ is so near to 0 that its error leaves the sign open; then the interval
    ends where the sign is sure. More steps make it narrower. λ₁ can be 0 over a range of gains, as
    on limit cycles of autonomous networks, which the interval then covers; and it can pass
    through 0 more than once: then one of the passages is found, and ``between`` chooses.

    Parameters
    ----------
    kind : str
        A cell's name, as for `random_network`.
    n, m : int
        Units of each layer, and inputs.
    inputs : array (T, m), optional
        By default white noise, standard normal, from the seed; none for m = 0.
    steps, transient : int
        Of each run.
    between : tuple of float
        Gains with λ₁ < 0 and λ₁ > 0.
    tolerance : float
        Width of the interval, relative to the gain.
    trajectories : int, optional
        Of each run.
    seed : int
        Of weights, noise and initial states.
    **options
        As for `random_network`: layers, bias, distribution and others.

    Returns
    -------
    CriticalGain

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, or the signs at the ends of ``between`` are not these.

    Examples
    --------
    >>> import lyapy
    >>> found = lyapy.critical_gain("vanilla", 20, nonlinearity="identity", seed=1)
    >>> found.low < found.gain < found.high
    True
    """
    below, above = between
    if not 0.0 < below < above < math.inf:
        raise ValueError(f"between is {between!r}; it must be two positive gains, ascending")
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance is {tolerance!r}; it must lie between 0 and 1")
    for name, value, least in (("m", m, 0), ("steps", steps, 256), ("transient", transient, 0)):
        check_size(name, value, least)
    if m and inputs is None:
        inputs = np.random.default_rng([seed, 5]).normal(size=(transient + steps, m))
    tried: dict[float, tuple[float, float]] = {}

    def sign(gain: float) -> int:
        network = random_network(kind, n, m, gain=gain, seed=seed, **options)
        try:
            spectrum = lyapunov_spectrum(
                network, inputs, k=1, steps=steps, transient=transient, trajectories=trajectories,
                seed=seed,
            )  # fmt: skip
            largest, margin = float(spectrum.exponents[0]), float(spectrum.margin[0])
        except FloatingPointError:
            largest, margin = math.inf, 0.0
        tried[gain] = largest, margin
        return (largest > margin) - (largest < -margin)

    for gain, wanted, name in ((below, -1, "negative"), (above, 1, "positive")):
        if sign(gain) != wanted:
            raise ValueError(
                f"the largest exponent at gain {gain:g} is {tried[gain][0]:.3g} ± "
                f"{tried[gain][1]:.1g}, which is not {name}; give other gains (between=), or more "
                "steps"
            )
    low, high = _bracket(sign, below, above, 1.0 + tolerance)
    gains = np.array(sorted(tried))
    largest, margins = np.array([tried[gain] for gain in gains.tolist()]).T
    found = _root(low, high, tried[low][0], tried[high][0])
    return CriticalGain(found, low, high, gains, largest, margins)


def _bracket(sign: Any, below: float, above: float, ratio: float) -> tuple[float, float]:
    """Return gains around a root at which the sign is sure, as near as they are found."""
    while above > ratio * below:
        middle = math.sqrt(below * above)
        found = sign(middle)
        if not found:
            return _edge(sign, below, middle, -1, ratio), _edge(sign, above, middle, 1, ratio)
        below, above = (middle, above) if found < 0 else (below, middle)
    return below, above


def _edge(sign: Any, sure: float, open_: float, wanted: int, ratio: float) -> float:
    """Return the gain nearest to an open one at which the sign is the wanted one."""
    while max(sure / open_, open_ / sure) > math.sqrt(ratio):
        middle = math.sqrt(sure * open_)
        if sign(middle) == wanted:
            sure = middle
        else:
            open_ = middle
    return sure


def _root(low: float, high: float, below: float, above: float) -> float:
    """Return the gain, linear in its logarithm, at which a line between two exponents is 0."""
    if not math.isfinite(above - below):
        return math.sqrt(low * high)
    return float(low * (high / low) ** (below / (below - above)))
