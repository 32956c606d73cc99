"""Published spectra of random rate networks, each the mean over networks drawn anew."""

from __future__ import annotations

import math

import numpy as np

import lyapy
from lyapy.cells import Rate

from .cases import Case, Check


def _among_networks(name: str, known: float, found: list[float]) -> Check:
    """Compare with one network of the same law, or a mean over few: by the spread of networks."""
    spread = float(np.std(found, ddof=1)) * math.sqrt(1.0 + 1.0 / len(found))
    return Check(name, known, float(np.mean(found)), spread, 3.0)


def engelken() -> list[Check]:
    """N = 100, g = 4, Euler's method with dt = 0.1, no self-coupling."""
    spectra = []
    for seed in range(12):
        J = 0.4 * np.random.default_rng(seed).normal(size=(100, 100))
        np.fill_diagonal(J, 0.0)
        network = lyapy.Network([Rate(None, J, dt=0.1)])
        options = {"steps": 10_000, "transient": 2000, "dt": 0.1, "seed": 3}
        spectra.append(lyapy.lyapunov_spectrum(network, **options))
    name = "rate network, N = 100, g = 4"
    return [
        _among_networks(f"{name}: λ₁ per τ", 0.163, [s.largest for s in spectra]),
        _among_networks(
            f"{name}: Kaplan–Yorke dimension", 6.35, [s.kaplan_yorke_dimension for s in spectra]
        ),
        _among_networks(f"{name}: entropy rate", 0.271, [s.entropy_rate for s in spectra]),
        _among_networks(f"{name}: sum", -105.23, [s.exponents.sum() for s in spectra]),
    ]


def random_map() -> list[Check]:
    """The rate network with dt = τ is the random map x′ = J tanh x."""
    found = []
    for seed in range(8):
        network = lyapy.random_network("rate", 200, gain=3.0, dt=1.0, seed=seed)
        found.append(lyapy.lyapunov_spectrum(network, steps=4000, transient=500, k=1).largest)
    return [_among_networks("rate network, dt = τ, n = 200, g = 3: λ₁", 0.2935, found)]


CASES = [
    Case("Engelken et al. 2023", engelken, slow=True),
    Case("mean-field theory, n = 200", random_map, slow=True),
]
