"""Random networks: mean-field theory and published spectra."""

import math

import numpy as np
from scipy.optimize import brentq

import lyapy
from lyapy.cells import Rate

from .check import Check, among_realizations, exact, over_realizations


class MeanField:
    """x′ = J tanh x, J ~ N(0, g²/n), for large n: x is Gaussian with σ² = g² ⟨tanh² σz⟩."""

    def __init__(self, g: float) -> None:
        # the trapezium rule: for so smooth a function it is exact to working precision
        self.z, self.g = np.linspace(-12.0, 12.0, 20_001), g
        self.weights = np.exp(-0.5 * self.z**2)
        self.weights /= self.weights.sum()
        excess = lambda s: s**2 - g**2 * self.average(np.tanh(s * self.z) ** 2)  # noqa: E731
        self.sigma = brentq(excess, 0.1, 20.0)

    def average(self, values: np.ndarray) -> float:
        return float(self.weights @ values)

    @property
    def largest(self) -> float:
        """λ₁ = log(g √⟨sech⁴⟩)."""
        fourth = self.average(np.cosh(self.sigma * self.z) ** -4.0)
        return math.log(self.g * math.sqrt(fourth))

    @property
    def slope(self) -> float:
        """⟨log φ′⟩."""
        return self.average(-2.0 * np.log(np.cosh(self.sigma * self.z)))


def gaussian_weights(n: int, g: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=g / math.sqrt(n), size=(n, n))


def tanh_map(J: np.ndarray, **options: object) -> lyapy.Spectrum:
    """Return a spectrum of h′ = tanh(J h), which is that of x′ = J tanh x with x = J h."""
    return lyapy.lyapunov_spectrum(lyapy.Network([lyapy.Vanilla(None, J)]), **options)


def at_rest() -> list[Check]:
    """Below the transition; complex pairs turn for ever, so sums up to a gap are compared."""
    n = 8
    J = gaussian_weights(n, 0.9, seed=1)
    moduli = np.sort(np.log(np.abs(np.linalg.eigvals(J))))[::-1]
    found = tanh_map(J, steps=2000, transient=6000, tolerance=1e-12).exponents
    ends = np.append(np.flatnonzero(np.diff(moduli) < -1e-6), n - 1)
    sums = np.cumsum(moduli)[ends], np.cumsum(found)[ends]
    return exact("tanh map at rest, g = 0.9, sums of λ", *sums, 1e-8)


def largest_of(n: int, g: float, count: int) -> list[float]:
    options = {"steps": 3000, "transient": 500, "k": 4}
    return [tanh_map(gaussian_weights(n, g, seed), **options).largest for seed in range(count)]


def mean_field() -> list[Check]:
    """λ₁ of finite networks lies below the limit; 2 λ₁(2n) − λ₁(n) takes away the part as 1/n."""
    checks = []
    for g in (2.0, 3.0, 5.0):
        small, large = largest_of(200, g, 8), largest_of(400, g, 8)
        found = [2 * b - a for a, b in zip(small, large, strict=True)]
        name = f"tanh map, g = {g:g}, λ₁ for n → ∞"
        checks.append(over_realizations(name, MeanField(g).largest, found, 5.0))
    return checks


def mean_of_slopes() -> list[Check]:
    """The mean of the exponents is ⟨log φ′⟩ + log|det J| / n at every n."""
    checks = []
    for g in (2.0, 3.0, 5.0):
        found = []
        for seed in range(8):
            J = gaussian_weights(100, g, seed)
            spectrum = tanh_map(J, steps=1500, transient=500)
            found.append(spectrum.mean - np.linalg.slogdet(J)[1] / 100)
        name = f"tanh map, n = 100, g = {g:g}, ⟨log φ′⟩"
        checks.append(over_realizations(name, MeanField(g).slope, found, 5.0))
    return checks


def engelken() -> list[Check]:
    """The rate network of N = 100, g = 4, by Euler's method with dt = 0.1, no self-coupling."""
    spectra = []
    for seed in range(12):
        J = gaussian_weights(100, 4.0, seed)
        np.fill_diagonal(J, 0.0)
        network = lyapy.Network([Rate(None, J, dt=0.1)])
        options = {"steps": 10_000, "transient": 2000, "dt": 0.1, "seed": 3}
        spectra.append(lyapy.lyapunov_spectrum(network, **options))
    found = {
        "λ₁ per τ": (0.163, [s.largest for s in spectra]),
        "Kaplan–Yorke dimension": (6.35, [s.kaplan_yorke_dimension for s in spectra]),
        "entropy rate": (0.271, [s.entropy_rate for s in spectra]),
        "sum": (-105.23, [s.exponents.sum() for s in spectra]),
    }
    return [
        among_realizations(f"rate network, N = 100, g = 4: {name}", known, values, 3.0)
        for name, (known, values) in found.items()
    ]


def random_map() -> list[Check]:
    """The rate network with dt = τ is the random map x′ = J tanh x."""
    found = []
    for seed in range(8):
        network = lyapy.random_network("rate", 200, gain=3.0, dt=1.0, seed=seed)
        found.append(lyapy.lyapunov_spectrum(network, steps=4000, transient=500, k=1).largest)
    name = "rate network, dt = τ, n = 200, g = 3: λ₁"
    return [among_realizations(name, 0.2935, found, 3.0)]


def two_trajectories() -> list[Check]:
    network = lyapy.random_network("vanilla", 200, gain=3.0, seed=1)
    options = {"steps": 2000, "transient": 500, "trajectories": 4}
    spectrum = lyapy.lyapunov_spectrum(network, k=20, **options)
    nearby = lyapy.largest_exponent(network, **options)
    error = math.hypot(nearby.standard_error, spectrum.standard_error[0])
    name = "tanh, n = 200, g = 3: λ₁ by two trajectories"
    return [Check(name, nearby.value, spectrum.largest, error, 5.0)]
