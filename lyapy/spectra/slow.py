"""How many directions are slow: exponents above −1/T, counted with their errors."""

import math

import numpy as np

from ..arrays import Array
from .exponents import Exponents
from .measures import Measure


def slow_directions(spectrum: Exponents, T: float) -> Measure:
    """Return the number of exponents above −1/T, as `Spectrum.slow_directions` does."""
    if not 0.0 < T < math.inf:
        raise ValueError(
            f"T is {T!r}; it must be a positive number, a time in the units of the exponents"
        )
    if spectrum.escaping.any():
        return Measure(math.nan, math.nan, "escapes")
    exponents, bounded = spectrum.exponents, spectrum.bounded
    margin = np.where(bounded, 0.0, spectrum.margin)
    samples = spectrum.per_trajectory if spectrum.apart.any() else exponents[None]

    def above(values: Array) -> Array:
        return np.count_nonzero(values > -1.0 / T, axis=-1)

    # a bound may lie anywhere below itself
    low = above(np.where(bounded, -np.inf, samples - margin)).min()
    high = above(samples + margin).max()
    count, k = float(above(exponents)), len(exponents)
    high = spectrum.state_size if high == k else high
    error = spectrum.standard_error[np.isfinite(exponents)]
    living = exponents[np.isfinite(exponents)]
    spread = 0.5 * float(above(living + error) - above(living - error))
    spread = math.nan if np.isnan(error).any() else spread
    if count == k < spectrum.state_size:
        return Measure(math.nan, math.nan, "not reached", float(low), float(high))
    status = "estimate" if (spectrum.estimated & (exponents > -1.0 / T)).any() else "computed"
    status = "upper bound" if (bounded & (exponents > -1.0 / T)).any() else status
    return Measure(count, spread, status, float(low), float(high))
