"""The cases of the table, and the comparison of numbers."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

import lyapy


class Check(NamedTuple):
    """A known number and lyapy's, whose error is 0 if exact; allowed is a difference, or z."""

    name: str
    known: float
    found: float
    error: float
    allowed: float

    @property
    def deviation(self) -> float:
        difference = abs(self.found - self.known)
        return difference / self.error if self.error else difference

    @property
    def passed(self) -> bool:
        return bool(self.deviation <= self.allowed)


class Case(NamedTuple):
    """A system with its source; ``slow`` ones are left out of the test suite."""

    source: str
    run: Callable[[], list[Check]]
    slow: bool = False


def exact(name: str, known: object, found: object, allowed: float) -> list[Check]:
    pairs = list(zip(np.atleast_1d(known), np.atleast_1d(found), strict=True))
    return [
        Check(f"{name}, {i}" if len(pairs) > 1 else name, float(k), float(f), 0.0, allowed)
        for i, (k, f) in enumerate(pairs, 1)
    ]


def within(
    name: str, known: Iterable[float], spectrum: lyapy.Spectrum, allowed: float
) -> list[Check]:
    rows = zip(known, spectrum.exponents, spectrum.standard_error, strict=False)
    return [Check(f"{name}, {i}", *row, allowed) for i, row in enumerate(rows, 1)]


def over_realizations(name: str, known: float, values: list[float], allowed: float) -> Check:
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return Check(name, known, float(np.mean(values)), float(error), allowed)


def among_realizations(name: str, known: float, values: list[float], allowed: float) -> Check:
    """Return the check of a known mean over networks by the scatter of such networks."""
    error = np.std(values, ddof=1) * np.sqrt(1 + 1 / len(values))
    return Check(name, known, float(np.mean(values)), float(error), allowed)


def map_spectrum(
    step: Callable, jacobian: Callable, start: list[float], **options: object
) -> lyapy.Spectrum:
    network = lyapy.Network([lyapy.Map(step, jacobian, len(start))])
    return lyapy.lyapunov_spectrum(network, initial_state=start, **options)
