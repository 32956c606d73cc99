"""Measure the cost of sparse reservoirs: ``python -m tools.benchmarks.sparse [--tiny] [--write]``.

On one core, in one run: reservoirs of several sizes, densities and numbers of deviation vectors,
and one of them with its zeros.
"""

import time
from typing import NamedTuple

import numpy as np

from tools.tables import ROUNDS, head, print_benchmark, row

HEADER = head("n", "density", "k", "numbers in U", "ms per step", "ns per number and vector")


class Case(NamedTuple):
    """A reservoir, and the deviation vectors of which it is followed."""

    n: int
    density: float
    k: int
    steps: int = 64
    dense: bool = False


CASES = [
    *(Case(5000, density, 50) for density in (0.0025, 0.005, 0.01, 0.02)),
    Case(2500, 0.04, 50),
    Case(10_000, 0.0025, 50),
    *(Case(5000, 0.01, k) for k in (10, 25, 100)),
    Case(2000, 0.01, 50, steps=256),
    Case(2000, 0.01, 50, dense=True),
]
TINY = [Case(60, 0.1, 5), Case(60, 0.1, 5, dense=True)]


def measure(_: str, case: Case) -> str:
    from scipy.sparse import random_array

    import lyapy
    from lyapy.cells import Reservoir

    n, rng = case.n, np.random.default_rng(1)
    U = random_array((n, n), density=case.density, rng=rng, data_sampler=rng.normal)
    # so that its spectral radius is near 0.9
    U = U * (0.9 / np.sqrt(n * case.density))
    numbers = n * n if case.dense else U.nnz
    weight = U.toarray() if case.dense else U
    network = lyapy.Network([Reservoir(rng.normal(size=(n, 3)), weight, leak=0.5)])
    inputs = rng.normal(size=(case.steps + 1, 3))
    options = {"k": case.k, "threads": 1}
    lyapy.lyapunov_spectrum(network, inputs[:2], **options)
    times = []
    for _ in range(ROUNDS):
        # the time before the first step is no part of a step
        one, all_steps = (_seconds(network, inputs[:T], options) for T in (1, case.steps + 1))
        times.append((all_steps - one) / case.steps)
    seconds = float(np.median(times))
    each = seconds / (numbers * case.k)
    name = f"{case.density * 100:g} %" + (", kept dense" if case.dense else "")
    return row(n, name, case.k, numbers, f"{seconds * 1e3:.2f}", f"{each * 1e9:.3f}")


def _seconds(network, inputs, options) -> float:
    import lyapy

    # of this process, as the figures are to be compared with one another on any machine
    start = time.process_time()
    lyapy.lyapunov_spectrum(network, inputs, **options)
    return time.process_time() - start


if __name__ == "__main__":
    named = ({str(case): case for case in cases} for cases in (CASES, TINY))
    print_benchmark(__doc__, "sparse", "sparse", HEADER, measure, *named)
