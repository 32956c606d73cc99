"""What it would save to follow networks of one shape in one call of the engine.

Run from the repository root: ``python -m tools.benchmarks.stacking``. Processor time per network of
a sweep in one thread; of calls for one network after the other, without files; and of one call
with as many trajectories of one network, which is the most that stacking could come to.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import lyapy

CASES = (("vanilla", 8, 300), ("vanilla", 64, 300), ("gru", 16, 300), ("lstm", 64, 1000))


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of some calls after a first one, which compiles."""
    run()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    print("| cell | units | steps | sweep | one by one, no files | one call |")
    print("|---|---|---|---|---|---|")
    for cell, n, steps in CASES:
        count = arguments.networks
        networks = [lyapy.random_network(cell, n, 3, seed=i) for i in range(count)]
        x = np.random.default_rng(0).normal(size=(1, steps, 3))
        many = np.repeat(x, count, axis=0)

        def swept(networks: list[lyapy.Network] = networks, x: np.ndarray = x) -> None:
            named = {f"net{i}": network for i, network in enumerate(networks)}
            with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
                lyapy.sweep(named, x, checkpoint=Path(folder, "sweep.h5"), executor=executor)

        def one_by_one(networks: list[lyapy.Network] = networks, x: np.ndarray = x) -> None:
            for network in networks:
                lyapy.lyapunov_spectrum(network, x, threads=1)

        def one_call(network: lyapy.Network = networks[0], x: np.ndarray = many) -> None:
            lyapy.lyapunov_spectrum(network, x, threads=1)

        found = [seconds(run, arguments.repeats) for run in (swept, one_by_one, one_call)]
        told = " | ".join(f"{1e3 * each / count:.1f} ms" for each in found)
        print(f"| {cell} | {n} | {steps} | {told} |", flush=True)


if __name__ == "__main__":
    main()
