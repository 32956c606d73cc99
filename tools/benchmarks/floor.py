"""The floor: the matrix products that no tangent step can avoid, and nothing else."""

import time

import numba
import numpy as np


@numba.njit
def _products(weight, frame, out, repeats):
    for _ in range(repeats):
        np.dot(frame, weight, out)


def product_seconds(n: int, k: int, rounds: int) -> float:
    """Return the median seconds of one product of (k, n) deviation vectors with an n × n weight."""
    rng = np.random.default_rng(0)
    weight, frame, out = rng.normal(size=(n, n)), rng.normal(size=(k, n)), np.empty((k, n))
    _products(weight, frame, out, 1)
    repeats = max(3, int(0.1 / max(2 * n * n * k / 3e10, 1e-7)))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        _products(weight, frame, out, repeats)
        times.append((time.perf_counter() - start) / repeats)
    return float(np.median(times))


def forward_seconds(kind: str, n: int, rounds: int) -> float:
    """Return the median seconds of the forward product of one trajectory's step."""
    rng = np.random.default_rng(0)
    rows = {"vanilla": 1, "gru": 3, "lstm": 4}[kind] * n
    state, weight, out = rng.normal(size=(1, n)), rng.normal(size=(n, rows)), np.empty((1, rows))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        _products(weight, state, out, 50)
        times.append((time.perf_counter() - start) / 50)
    return float(np.median(times))


def products_per_step(kind: str, layers: int) -> int:
    """Return how many n × n products a structured step takes: the blocks of the stack."""
    per_block = 2 if kind == "lstm" else 1
    return per_block * (2 * layers - 1)
