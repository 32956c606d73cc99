"""The exact and published cases: a spectrum of each, and what is known of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import polygamma, psi

import lyapy


class Check(NamedTuple):
    """One number: what is known, what lyapy finds, and by how much they may differ.

    Attributes
    ----------
    error : float
        Standard error of ``found``; 0 where the comparison is exact.
    allowed : float
        Largest absolute difference in exact cases, largest z in others.
    """

    name: str
    known: float
    found: float
    error: float
    allowed: float

    @property
    def deviation(self) -> float:
        """Return z, or in exact cases the absolute difference."""
        difference = abs(self.found - self.known)
        return difference / self.error if self.error else difference

    @property
    def passed(self) -> bool:
        """Whether the deviation is allowed."""
        return bool(self.deviation <= self.allowed)


class Case(NamedTuple):
    """A system with its source; ``slow`` ones are left out of the test suite."""

    source: str
    run: Callable[[], list[Check]]
    slow: bool = False


def _exact(name: str, known: object, found: object, allowed: float) -> list[Check]:
    pairs = list(zip(np.atleast_1d(known), np.atleast_1d(found), strict=True))
    return [
        Check(f"{name}, {i}" if len(pairs) > 1 else name, float(k), float(f), 0.0, allowed)
        for i, (k, f) in enumerate(pairs, 1)
    ]


def _map(
    step: Callable, jacobian: Callable, start: list[float], **options: object
) -> lyapy.Spectrum:
    network = lyapy.Network([lyapy.Map(step, jacobian, len(start))])
    return lyapy.lyapunov_spectrum(network, initial_state=start, **options)


def orthogonal() -> list[Check]:
    U = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    network = lyapy.Network([lyapy.Vanilla(None, 0.5 * U, nonlinearity="identity")])
    found = lyapy.lyapunov_spectrum(network, steps=500).exponents
    return _exact("½ orthogonal", np.full(6, math.log(0.5)), found, 1e-14)


def cat_map() -> list[Check]:
    J = np.broadcast_to([[2.0, 1.0], [1.0, 1.0]], (300, 2, 2))
    found = lyapy.spectrum_of_jacobians(J, transient=50, tolerance=1e-12).exponents
    exact = math.log((3 + math.sqrt(5)) / 2)
    return _exact("cat map", [exact, -exact], found, 1e-12)


def period_three() -> list[Check]:
    cycle = np.random.default_rng(2).normal(size=(3, 3, 3))
    eigenvalues = np.linalg.eigvals(cycle[2] @ cycle[1] @ cycle[0])
    exact = np.sort(np.log(np.abs(eigenvalues)))[::-1] / 3
    J = np.tile(cycle, (1000, 1, 1))
    found = lyapy.spectrum_of_jacobians(J, transient=1500, tolerance=1e-12).exponents
    sums = _exact("period 3, sum", exact.sum(), found.sum(), 1e-9)
    return sums + _exact("period 3, λ₁", exact[0], found[0], 1e-9)


def idle_gru() -> list[Check]:
    found = []
    for bias, exact in ((0.0, -0.693147180560), (1.0, -0.313261687518)):
        b = np.repeat([0.0, bias, 0.0], 4)
        network = lyapy.Network([lyapy.GRU(None, np.zeros((12, 4)), b)])
        spectrum = lyapy.lyapunov_spectrum(network, steps=150)
        found += _exact(f"GRU, U = 0, b_z = {bias:g}", exact, spectrum.largest, 1e-12)
    return found


def gaussian() -> list[Check]:
    n, steps = 8, 20_000
    rank = (n - np.arange(n)) / 2
    exact = 0.5 * (math.log(2 / n) + psi(rank))
    sigma = np.sqrt(polygamma(1, rank) / 4 / steps)
    J = np.random.default_rng(20240607).normal(size=(steps, n, n)) / math.sqrt(n)
    found = lyapy.spectrum_of_jacobians(J).exponents
    rows = zip(exact, found, sigma, strict=True)
    return [Check(f"Gaussian products, {i}", *row, 5.0) for i, row in enumerate(rows, 1)]


def henon() -> list[Check]:
    spectrum = _map(
        lambda h, x: [1 - 1.4 * h[0] ** 2 + h[1], 0.3 * h[0]],
        lambda h, x: [[-2.8 * h[0], 1.0], [0.3, 0.0]],
        [0.1, 0.1],
        steps=50_000,
        transient=1000,
        tolerance=1e-14,
    )
    rows = zip((0.41922, -1.62319), spectrum.exponents, spectrum.standard_error, strict=True)
    checks = [Check(f"Hénon, {i}", *row, 3.0) for i, row in enumerate(rows, 1)]
    return checks + _exact("Hénon, sum", math.log(0.3), spectrum.exponents.sum(), 1e-13)


def standard_map() -> list[Check]:
    def step(h: np.ndarray, x: np.ndarray) -> list[float]:
        p = h[0] + 6.0 * math.sin(h[1])
        return [p, (h[1] + p) % (2 * math.pi)]

    def jacobian(h: np.ndarray, x: np.ndarray) -> list[list[float]]:
        kick = 6.0 * math.cos(h[1])
        return [[1.0, kick], [1.0, 1.0 + kick]]

    found = _map(step, jacobian, [0.3, 0.4], steps=3000, tolerance=1e-14).exponents
    return _exact("standard map, K = 6, sum of the pair", 0.0, found.sum(), 1e-13)


def logistic() -> list[Check]:
    found = _map(
        lambda h, x: 4 * h * (1 - h), lambda h, x: [[4 - 8 * h[0]]], [0.3], steps=20_000
    ).largest
    return _exact("logistic map, r = 4", math.log(2), found, 1e-3)


def sum_rule() -> list[Check]:
    checks = []
    for kind in ("vanilla", "gru", "lstm"):
        network = lyapy.random_network(kind, 16, 3, gain=1.5, bias=0.5, seed=4)
        inputs = np.random.default_rng(5).normal(size=(500, 3))
        found = lyapy.lyapunov_spectrum(network, inputs, transient=100).sum_rule_residual
        checks += _exact(f"sum rule, {kind}, residual", 0.0, found, 1e-10)
    return checks


def _flow(state: np.ndarray) -> np.ndarray:
    x, y, z = state
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def _linear(state: np.ndarray) -> np.ndarray:
    x, y, z = state
    return np.array([[-10, 10, 0], [28 - z, -1, -x], [y, x, -8 / 3]])


def lorenz() -> list[Check]:
    dt = 0.005

    def step(h: np.ndarray, x: np.ndarray) -> np.ndarray:
        a = _flow(h)
        b = _flow(h + dt / 2 * a)
        c = _flow(h + dt / 2 * b)
        return h + dt / 6 * (a + 2 * b + 2 * c + _flow(h + dt * c))

    def jacobian(h: np.ndarray, x: np.ndarray) -> np.ndarray:
        one, a = np.eye(3), _flow(h)
        b = _flow(h + dt / 2 * a)
        c = _flow(h + dt / 2 * b)
        A = _linear(h)
        B = _linear(h + dt / 2 * a) @ (one + dt / 2 * A)
        C = _linear(h + dt / 2 * b) @ (one + dt / 2 * B)
        D = _linear(h + dt * c) @ (one + dt * C)
        return one + dt / 6 * (A + 2 * B + 2 * C + D)

    spectrum = _map(step, jacobian, [1.0, 1.0, 20.0], steps=100_000, transient=5000, dt=dt)
    rows = zip((0.9056, 0.0, -14.5723), spectrum.exponents, spectrum.standard_error, strict=True)
    checks = [Check(f"Lorenz-63, {i}", *row, 4.0) for i, row in enumerate(rows, 1)]
    return checks + _exact("Lorenz-63, sum", -41 / 3, spectrum.exponents.sum(), 1e-4)


def two_trajectories() -> list[Check]:
    network = lyapy.random_network("vanilla", 200, gain=3.0, seed=1)
    options = {"steps": 2000, "transient": 500, "trajectories": 4}
    spectrum = lyapy.lyapunov_spectrum(network, k=20, **options)
    nearby = lyapy.largest_exponent(network, **options)
    error = math.hypot(nearby.standard_error, spectrum.standard_error[0])
    name = "tanh, n = 200, g = 3: λ₁ by two trajectories"
    return [Check(name, nearby.value, spectrum.largest, error, 5.0)]


CASES = [
    Case("exact", orthogonal),
    Case("exact", cat_map),
    Case("exact", period_three),
    Case("exact", idle_gru),
    Case("exact", sum_rule),
    Case("Newman 1986", gaussian),
    Case("exact", logistic),
    Case("exact", standard_map),
    Case("Sprott 2003", henon),
    Case("Sprott 2003", lorenz, slow=True),
    Case("independent route", two_trajectories, slow=True),
]
