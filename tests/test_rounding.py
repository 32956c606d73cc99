"""What is said of exponents that rounding spoils."""

from dataclasses import replace

import numpy as np
import pytest
from made_spectra import made

from lyapy.engines.interval import make_control
from lyapy.rounding import warn_of_rounding


def spectrum_with(errors, spread=30.0):
    found = made([0.5, -1.0, -2.0], trajectories=1)
    errors = np.array([errors])
    return replace(found, numerical_error=errors, largest_spread=np.full((1, 1), spread))


@pytest.mark.parametrize(
    ("errors", "interval", "what"),
    [
        ([0.0, 1e-4, 1.0], "auto", r"2 of 3 .* 1 of them are upper bounds \(Spectrum.bounded\), "
         "the others are known up to Spectrum.rounding_error$"),
        ([0.0, 0.1, 1.0], "auto", r"2 of 3 .* they are upper bounds \(Spectrum.bounded\)$"),
        ([0.0, 0.0, 1e-4], 1, r"1 of 3 .* they are known up to Spectrum.rounding_error$"),
    ],
)  # fmt: skip
def test_bounds_are_told_from_errors(errors, interval, what):
    control = make_control(interval, 1e-8, 64)
    with pytest.warns(RuntimeWarning, match="the Jacobians are too graded for float64.*" + what):
        warn_of_rounding(spectrum_with(errors), control, whole_stack=False)


def test_errors_that_are_told_beside_the_exponents_need_no_warning():
    warn_of_rounding(
        spectrum_with([0.0, 0.0, 1e-4]), make_control("auto", 1e-8, 64), whole_stack=False
    )
