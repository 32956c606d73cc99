"""Warnings of what rounding does to a spectrum."""

from __future__ import annotations

import math
import warnings

import numpy as np

from .engines.interval import Control
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
    unresolved = int(np.count_nonzero(~spectrum.resolved))
    spread = float(spectrum.largest_spread.max())
    # an error that is small and told beside the exponent needs no warning
    if not spectrum.bounded.any() and not (control.fixed and spread > control.limit):
        return
    found = f"R_ii spread by {spread:.1f} nats within one interval, {control.limit:.1f} are allowed"
    error = spectrum.numerical_error.max()
    if control.fixed > 1:
        found = f"interval={control.fixed} is too long: {found}"
        remedy = "use interval='auto'"
        # beyond, the spread seen is the rounding's, and says nothing of what would be short enough
        if spread < 1.5 * control.limit:
            steps = max(1, math.floor(control.fixed * control.limit / spread))
            remedy += f", or at most {steps}"
    else:
        found = f"the Jacobians are too graded for float64: {found}"
        remedy = _what_is_known(unresolved, int(np.count_nonzero(spectrum.bounded)))
    warnings.warn(
        f"{found}; {unresolved} of {len(spectrum.exponents)} exponents are not resolved "
        f"(rounding error up to {error:.1g} nats per step); {remedy}",
        RuntimeWarning,
        stacklevel=3,
    )


def _what_is_known(unresolved: int, bounded: int) -> str:
    up_to = "known up to Spectrum.rounding_error"
    if not bounded:
        return f"they are {up_to}"
    if bounded == unresolved:
        return "they are upper bounds (Spectrum.bounded)"
    return f"{bounded} of them are upper bounds (Spectrum.bounded), the others are {up_to}"
