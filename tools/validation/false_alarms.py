"""Measure how often a sound run is not called converged.

Run it: ``python -m tools.validation.false_alarms``; it prints the table of docs/validation.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import lyapy
from lyapy import Network, Spectrum
from tools.tables import print_runs

# of each kind: 500 in all
RUNS = 100


def gaussian(seed: int, trajectories: int) -> Spectrum:
    """Products of Gaussian matrices, independent in time."""
    rng = np.random.default_rng([3, seed])
    J = rng.normal(size=(trajectories, 1100, 4, 4)) / 2.0
    return lyapy.spectrum_of_jacobians(J, transient=76, seed=seed, threads=1)


def of_network(seed: int, network: Network, steps: int, trajectories: int, **more: int) -> Spectrum:
    """A network, driven by independent noise where it reads inputs."""
    inputs = None
    if network.input_size:
        rng = np.random.default_rng([4, seed])
        inputs = rng.normal(size=(trajectories, 300 + steps, network.input_size))
        more = {}
    else:
        more = {"steps": steps} | more
    options = {"transient": 300, "trajectories": trajectories, "seed": seed, "threads": 1} | more
    return lyapy.lyapunov_spectrum(network, inputs, **options)


def cases() -> dict[str, Callable[[int], Spectrum]]:
    """Return the kinds of sound runs."""
    chaotic = lyapy.random_network("vanilla", 40, gain=3.0, bias=0.3, seed=2)
    tanh = lyapy.random_network("vanilla", 8, 2, gain=1.2, seed=1)
    lstm = lyapy.random_network("lstm", 6, 3, gain=1.5, bias=0.5, seed=3)
    return {
        "Gaussian products, n = 4, 1 trajectory of 1024 steps": partial(gaussian, trajectories=1),
        "chaotic tanh network, n = 40, k = 4, 1 trajectory of 8000 steps": partial(
            of_network, network=chaotic, steps=8000, trajectories=1, k=4
        ),
        "chaotic tanh network, n = 40, k = 4, 8 trajectories of 1000 steps": partial(
            of_network, network=chaotic, steps=1000, trajectories=8, k=4
        ),
        "driven tanh network, n = 8, 1 trajectory of 2000 steps": partial(
            of_network, network=tanh, steps=2000, trajectories=1
        ),
        "driven LSTM, n = 6, 3 trajectories of 1000 steps": partial(
            of_network, network=lstm, steps=1000, trajectories=3
        ),
    }


def table(runs: int) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| sound runs | runs | not converged |"
    yield "|---|---|---|"
    alarms, reasons = 0, Counter[str]()
    for name, run in cases().items():
        found = [run(seed).status for seed in range(runs)]
        here = [status.advice for status in found if status.code != "converged"]
        alarms += len(here)
        reasons.update(" ".join(advice.split()[:6]) for advice in here)
        yield f"| {name} | {runs} | {len(here)} |"
    total = runs * len(cases())
    error = 100.0 * math.sqrt(max(alarms, 1)) / total
    yield f"| all | {total} | {alarms} ({100.0 * alarms / total:.1f} ± {error:.1f} %) |"
    for reason, count in reasons.items():
        yield f"{count}: {reason} …"


if __name__ == "__main__":
    print_runs(__doc__, table, RUNS)
