"""Measure how often the 95 % confidence intervals hold the truth.

Run it: ``python -m tools.validation.interval_coverage``; it prints the table of docs/validation.md.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import psi

import lyapy
from lyapy import Spectrum
from lyapy.cells.independent import Independent
from tools.tables import print_runs

LEVEL = 0.95
RUNS = 500


class Case(NamedTuple):
    """Independent runs of one system, and the truth (k,) where it is known exactly."""

    name: str
    runs: Iterator[Spectrum]
    exact: np.ndarray | None


def gaussian(runs: int, steps: int, trajectories: int) -> Case:
    """Products of Gaussian matrices, independent in time (Newman 1986)."""
    n = 6
    exact = 0.5 * (np.log(2 / n) + psi((n - np.arange(n)) / 2))

    def each() -> Iterator[Spectrum]:
        for seed in range(runs):
            rng = np.random.default_rng([1, seed])
            J = rng.normal(size=(trajectories, steps, n, n)) / math.sqrt(n)
            yield lyapy.spectrum_of_jacobians(J, seed=seed, threads=1)

    name = f"Gaussian products, n = {n}, {_of(trajectories, steps)}"
    return Case(name, each(), exact)


def chaotic(runs: int, trajectories: int, **length: float) -> Case:
    """A chaotic tanh network without inputs, of so many steps or until its errors are small."""
    network = lyapy.random_network("vanilla", 40, gain=3.0, bias=0.3, seed=2)

    fixed = {"trajectories": trajectories, "transient": 500, "k": 8, "threads": 1, **length}

    def each() -> Iterator[Spectrum]:
        for seed in range(runs):
            yield lyapy.lyapunov_spectrum(network, seed=1000 + seed, **fixed)

    many = "1 trajectory" if trajectories == 1 else f"{trajectories} trajectories"
    end = f"of {length['steps']} steps" if "steps" in length else (
        f"until errors below {length['until']}"
    )  # fmt: skip
    return Case(f"chaotic tanh network, n = 40, k = 8, {many} {end}", each(), None)


def driven(runs: int, steps: int, trajectories: int, shared: bool = False) -> Case:
    """An LSTM driven by noise that is correlated over ten steps, of each trajectory or all."""
    network = lyapy.random_network("lstm", 12, 3, gain=1.5, bias=0.5, seed=3)

    def each() -> Iterator[Spectrum]:
        for seed in range(runs):
            rng = np.random.default_rng([2, seed])
            inputs = rng.normal(size=(1 if shared else trajectories, 300 + steps, 3))
            for t in range(1, inputs.shape[1]):
                inputs[:, t] = 0.9 * inputs[:, t - 1] + math.sqrt(0.19) * inputs[:, t]
            options = {"transient": 300, "k": 8, "seed": seed, "threads": 1}
            yield lyapy.lyapunov_spectrum(network, inputs, trajectories=trajectories, **options)

    drive = " under the same inputs" if shared else ""
    return Case(f"driven LSTM, n = 12, k = 8, {_of(trajectories, steps)}{drive}", each(), None)


def equal_units(runs: int, steps: int) -> Case:
    """30 tanh units of equal exponents that do not read one another, each with its own noise."""
    n = 30
    network = lyapy.Network([Independent(np.eye(n), np.full(n, 0.5), nonlinearity="tanh")])

    def run(seed: int, steps: int) -> Spectrum:
        inputs = np.random.default_rng([5, seed]).normal(size=(100 + steps, n))
        return lyapy.lyapunov_spectrum(network, inputs, transient=100, seed=seed, threads=1)

    exact = np.full(n, run(runs, 20_000).mean)
    each = (run(seed, steps) for seed in range(runs))
    return Case(f"{n} equal independent units, {_of(1, steps)}", each, exact)


def intermittent(runs: int, steps: int, trajectories: int) -> Case:
    """The map x + x^z mod 1 of Pomeau and Manneville, z = 1.8, whose errors have no variance."""
    z, total = 1.8, 2000 + steps

    def logs(seed: int, count: int, steps: int) -> np.ndarray:
        x, found = np.random.default_rng([6, seed]).random(count), np.empty((count, steps))
        for t in range(steps):
            found[:, t] = 1.0 + z * x ** (z - 1.0)
            x = (x + x**z) % 1.0
        return found

    def each() -> Iterator[Spectrum]:
        for seed in range(runs):
            J = logs(seed, trajectories, total)[:, :, None, None]
            yield lyapy.spectrum_of_jacobians(J, transient=2000, seed=seed, threads=1)

    long = [np.log(logs(runs + i, 100, 70_000)[:, 20_000:]).mean() for i in range(4)]
    name = f"intermittent map, z = {z}, {_of(trajectories, steps)}"
    return Case(name, each(), np.array([np.mean(long)]))


def _of(trajectories: int, steps: int) -> str:
    many = "1 trajectory" if trajectories == 1 else f"{trajectories} trajectories"
    return f"{many} of {steps} steps"


class Coverage(NamedTuple):
    """Shares of runs whose interval holds the truth: of all exponents, the least, the most."""

    mean: float
    least: float
    most: float
    runs: int


def measure(case: Case) -> Coverage:
    """Return the coverage; where the truth is not known, the mean of all runs stands for it."""
    spectra = [(s.exponents, s.confidence_interval(LEVEL)) for s in case.runs]
    means = np.array([exponents for exponents, _ in spectra])
    intervals = np.array([interval for _, interval in spectra])
    runs = len(means)
    truth = means.mean(axis=0) if case.exact is None else case.exact
    half = 0.5 * (intervals[:, :, 1] - intervals[:, :, 0])
    # a run's distance from a mean that it enters has the variance (1 − 1/N) of that from the truth
    shrunk = 1.0 if case.exact is not None else math.sqrt(1.0 - 1.0 / runs)
    inside = (np.abs(means - truth) <= shrunk * half).mean(axis=0)
    return Coverage(float(inside.mean()), float(inside.min()), float(inside.max()), runs)


def cases(runs: int) -> list[Case]:
    return [
        gaussian(runs, 2000, 1),
        gaussian(runs, 500, 8),
        chaotic(runs, 1, steps=4000),
        chaotic(runs, 8, steps=1000),
        chaotic(runs, 1, until=0.003),
        driven(runs, 4000, 1),
        driven(runs, 1000, 8),
        driven(runs, 4000, 3, shared=True),
        equal_units(runs, 2000),
        intermittent(runs, 16_384, 1),
        intermittent(runs, 8192, 8),
    ]


def table(runs: int) -> Iterator[str]:
    yield "| system | runs | coverage, mean of the exponents | least and most of one exponent |"
    yield "|---|---|---|---|"
    for case in cases(runs):
        found = measure(case)
        ends = f"{found.least:.3f} to {found.most:.3f}"
        yield f"| {case.name} | {found.runs} | {found.mean:.3f} | {ends} |"


if __name__ == "__main__":
    print_runs(__doc__, table, RUNS)
