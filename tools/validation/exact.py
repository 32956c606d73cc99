"""Cases whose exponents are known exactly, or whose exponents obey an exact rule."""

import math

import numpy as np
from scipy.special import log_expit, polygamma, psi

import lyapy
from lyapy.cells import Rate

from .check import Check, exact


def linear(U: np.ndarray, **options: object) -> lyapy.Spectrum:
    network = lyapy.Network([lyapy.Vanilla(None, U, nonlinearity="identity")])
    return lyapy.lyapunov_spectrum(network, initial_state=np.zeros(len(U)), **options)


def orthogonal() -> list[Check]:
    U = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    found = linear(0.5 * U, steps=500).exponents
    return exact("½ orthogonal", np.full(6, math.log(0.5)), found, 1e-14)


def symmetric() -> list[Check]:
    M = np.random.default_rng(3).normal(size=(6, 6))
    U = M + M.T
    found = linear(U, steps=2000, transient=2000, tolerance=1e-13).exponents
    known = np.sort(np.log(np.abs(np.linalg.eigvalsh(U))))[::-1]
    return exact("symmetric linear map", known, found, 1e-11)


def general() -> list[Check]:
    """Complex pairs turn the frame for ever, and the error falls as 1/T."""
    U = np.random.default_rng(4).normal(size=(6, 6))
    known = np.sort(np.log(np.abs(np.linalg.eigvals(U))))[::-1]
    checks = []
    for steps in (1000, 10_000):
        found = linear(U, steps=steps, transient=1000).exponents
        off = float(np.abs(found - known).max())
        checks += exact(f"linear map, T = {steps}, error × T", 0.0, steps * off, 5.0)
    return checks


def cat_map() -> list[Check]:
    J = np.broadcast_to([[2.0, 1.0], [1.0, 1.0]], (300, 2, 2))
    found = lyapy.spectrum_of_jacobians(J, transient=50, tolerance=1e-12).exponents
    known = math.log((3 + math.sqrt(5)) / 2)
    return exact("cat map", [known, -known], found, 1e-12)


def period_three() -> list[Check]:
    cycle = np.random.default_rng(2).normal(size=(3, 3, 3))
    eigenvalues = np.linalg.eigvals(cycle[2] @ cycle[1] @ cycle[0])
    known = np.sort(np.log(np.abs(eigenvalues)))[::-1] / 3
    J = np.tile(cycle, (1000, 1, 1))
    found = lyapy.spectrum_of_jacobians(J, transient=1500, tolerance=1e-12).exponents
    sums = exact("period 3, sum", known.sum(), found.sum(), 1e-9)
    return sums + exact("period 3, λ₁", known[0], found[0], 1e-9)


def idle_gru() -> list[Check]:
    found = []
    for bias, known in ((0.0, -0.693147180560), (1.0, -0.313261687518)):
        b = np.repeat([0.3, bias, -0.2], 4)
        for name, cell in (("GRU", lyapy.GRU), ("GRU, reset before", lyapy.GRUResetBefore)):
            network = lyapy.Network([cell(None, np.zeros((12, 4)), b)])
            spectrum = lyapy.lyapunov_spectrum(network, steps=150)
            found += exact(f"{name}, U = 0, b_z = {bias:g}", known, spectrum.largest, 1e-12)
    return found


def idle_lstm() -> list[Check]:
    """Without recurrence c alone remembers, by its forget gate, and h is dead."""
    b = np.random.default_rng(6).normal(size=16)
    network = lyapy.Network([lyapy.LSTM(None, np.zeros((16, 4)), b)])
    found = lyapy.lyapunov_spectrum(network, steps=500, transient=1500).exponents
    known = np.sort(log_expit(b[4:8]))[::-1]
    checks = exact("LSTM, U = 0, log f", known, found[:4], 1e-12)
    dead = np.count_nonzero(np.isneginf(found))
    return checks + exact("LSTM, U = 0, exponents of −∞", 4.0, dead, 0.0)


def resting_rate() -> list[Check]:
    """Below the transition the network settles at zero, where J has known eigenvalues."""
    delta, n = 0.1, 8
    M = np.random.default_rng(7).normal(size=(n, n))
    J = 0.5 * (M + M.T) / np.abs(np.linalg.eigvalsh(M + M.T)).max()
    network = lyapy.Network([Rate(None, J, dt=delta)])
    # compiling the forward pass of one more cell takes longer than running it
    options = {"steps": 2000, "transient": 2000, "dt": delta, "backend": "numpy"}
    found = lyapy.lyapunov_spectrum(network, **options).exponents
    mu = np.linalg.eigvalsh(J)
    known = np.sort(np.log(np.abs(1 - delta + delta * mu)) / delta)[::-1]
    return exact("rate network at rest", known, found, 1e-8)


def sum_rule() -> list[Check]:
    checks = []
    for kind in ("vanilla", "gru", "lstm"):
        network = lyapy.random_network(kind, 16, 3, gain=1.5, bias=0.5, seed=4)
        inputs = np.random.default_rng(5).normal(size=(500, 3))
        found = lyapy.lyapunov_spectrum(network, inputs, transient=100).sum_rule_residual
        checks += exact(f"sum rule, {kind}, residual", 0.0, found, 1e-10)
    return checks


def gaussian() -> list[Check]:
    n, steps = 8, 20_000
    rank = (n - np.arange(n)) / 2
    known = 0.5 * (math.log(2 / n) + psi(rank))
    sigma = np.sqrt(polygamma(1, rank) / 4 / steps)
    J = np.random.default_rng(20240607).normal(size=(steps, n, n)) / math.sqrt(n)
    found = lyapy.spectrum_of_jacobians(J).exponents
    rows = zip(known, found, sigma, strict=True)
    return [Check(f"Gaussian products, {i}", *row, 5.0) for i, row in enumerate(rows, 1)]
