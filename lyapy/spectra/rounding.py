"""Warnings of rounding errors in a spectrum."""

import math
import warnings

import numpy as np

from ..arrays import Array
from ..tangent.interval import Control
from .exponents import Exponents
from .quantities import counted

# estimated errors by which growth may be off
MARGIN = 3.0


def bounding_growth(growth: Array, error: Array, hidden: Array) -> Array:
    """Return growth (..., k) of a frame in which that of each ``hidden`` vector (k,) is a bound.

    Rounding only adds to the volume that the first vectors span, but what it gives to one of them
    it may take from the next. So the mean of the hidden growth up to a vector bounds that of the
    vector, as far as this and the growth of those between are known, up to errors (..., k). It is
    not below the vector's own, which counts where vectors are not in the order of their growth.
    """
    place = np.flatnonzero(hidden)
    doubt = np.where(np.cumsum(hidden) > 0, MARGIN * error, 0.0)
    total = growth[..., place].cumsum(axis=-1) + doubt.cumsum(axis=-1)[..., place]
    means = total / np.arange(1, len(place) + 1)
    bounds = growth.copy()
    bounds[..., place] = np.maximum((growth + doubt)[..., place], means)
    return bounds


def warn_of_rounding(spectrum: Exponents, control: Control, *, coupled: int) -> None:
    """Warn, with the numbers, where exponents are less exact than the tolerance.

    ``coupled`` is the number of diagonal blocks of J that were followed as one.
    """
    if coupled > 1:
        warnings.warn(
            f"frame is an array, so the {coupled} diagonal blocks of the Jacobian are followed as "
            "one; rounding couples them, which can make their exponents wrong. frame='random' "
            "follows each by itself",
            RuntimeWarning,
            stacklevel=3,
        )
    spread = float(spectrum.largest_spread.max())
    # a small error that is reported with the exponent needs no warning
    unsure = spectrum.bounded | spectrum.estimated
    if not unsure.any() and not (control.fixed and spread > control.limit):
        return
    found, remedy = "the Jacobians are too graded for float64", ""
    if control.fixed > 1:
        found = f"interval={control.fixed} is too long"
        remedy = "; use interval='auto'"
        # beyond, the spread is that of rounding, and no guide to a shorter interval
        if 0.0 < spread < 1.5 * control.limit:
            steps = max(1, math.floor(control.fixed * control.limit / spread))
            remedy += f", or at most {steps}"
    if spread > control.limit:
        found += (
            f": R_ii spread by {spread:.1f} nats in one interval, {control.limit:.1f} are allowed"
        )
    # where all growth underflowed, its error is unknown
    sound = not np.isnan(spectrum.numerical_error).any()
    known = f"; of {len(spectrum.exponents)} exponents {_counts(spectrum)}" if sound else ""
    warnings.warn(f"{found}{known}{remedy}", RuntimeWarning, stacklevel=3)


def _counts(spectrum: Exponents) -> str:
    bounded = np.count_nonzero(spectrum.bounded)
    rounded = ~spectrum.resolved & ~spectrum.bounded
    bounds = counted(bounded, "is an upper bound", "are upper bounds")
    found = [f"{bounds} (Spectrum.bounded)"] if bounded else []
    if rounded.any():
        error = f"up to {spectrum.rounding_error[rounded].max():.1g} nats per step"
        have = counted(np.count_nonzero(rounded), "has", "have")
        found.append(f"{have} a rounding error of {error}")
    return " and ".join(found) or "none has a rounding error beyond the tolerance"
