"""Warnings of what rounding does to a spectrum."""

from __future__ import annotations

import math
import warnings

import numpy as np

from ..tangent.interval import Control
from .spectrum import Spectrum

__all__ = ["warn_of_rounding"]


def warn_of_rounding(spectrum: Spectrum, control: Control, *, whole_stack: bool) -> None:
    """Warn, with the numbers, where exponents are less exact than the tolerance says.

    Parameters
    ----------
    whole_stack : bool
        Whether a stack was followed as a whole instead of layer by layer.
    """
    if whole_stack:
        warnings.warn(
            "frame is an array, so this stack is followed as a whole; rounding can push nearly "
            "equal exponents of different layers apart. frame='random' follows it layer by layer",
            RuntimeWarning,
            stacklevel=3,
        )
    spread = float(spectrum.largest_spread.max())
    # an error that is small and told beside the exponent needs no warning
    if not spectrum.bounded.any() and not (control.fixed and spread > control.limit):
        return
    found, remedy = "the Jacobians are too graded for float64", ""
    if control.fixed > 1:
        found = f"interval={control.fixed} is too long"
        remedy = "; use interval='auto'"
        # beyond, the spread seen is the rounding's, and says nothing of what would be short enough
        if spread < 1.5 * control.limit:
            steps = max(1, math.floor(control.fixed * control.limit / spread))
            remedy += f", or at most {steps}"
    if spread > control.limit:
        found += (
            f": R_ii spread by {spread:.1f} nats in one interval, {control.limit:.1f} are allowed"
        )
    # where all growth underflowed, nothing is known of its error
    sound = not np.isnan(spectrum.numerical_error).any()
    known = f"; of {len(spectrum.exponents)} exponents {_what_is_known(spectrum)}" if sound else ""
    warnings.warn(
        f"{found}{known}{remedy}",
        RuntimeWarning,
        stacklevel=3,
    )


def _what_is_known(spectrum: Spectrum) -> str:
    bounded = int(np.count_nonzero(spectrum.bounded))
    rounded = ~spectrum.resolved & ~spectrum.bounded
    told = [f"{bounded} are upper bounds (Spectrum.bounded)"] if bounded else []
    if rounded.any():
        error = f"up to {spectrum.rounding_error[rounded].max():.1g} nats per step"
        told.append(f"{np.count_nonzero(rounded)} have a rounding error of {error}")
    return " and ".join(told) or "none has a rounding error beyond the tolerance"
