"""The precisions in which a device computes."""

from __future__ import annotations

from typing import NamedTuple

from ...arrays import UNIT_ROUNDOFF
from ..interval import LOG_RANGE

__all__ = ["PRECISIONS", "Precision"]


class Precision(NamedTuple):
    """A floating-point type, and what follows from it."""

    # NumPy's
    name: str
    itemsize: int
    # u, to which the interval's spread is bound
    roundoff: float
    # exp(±log_range) keeps norms, and their squares in a sum, inside the type's range
    log_range: float
    # by default, about √u: half of the digits for the spread, half for the result
    tolerance: float


PRECISIONS = {
    "float64": Precision("float64", 8, UNIT_ROUNDOFF, LOG_RANGE, 1e-8),
    "float32": Precision("float32", 4, 2.0**-24, 40.0, 2.5e-4),
}
