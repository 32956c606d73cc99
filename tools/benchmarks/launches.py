"""Kernels launched by the GPU engine, on the stand-in: ``python -m tools.benchmarks.launches``.

Per step, and per interval with what is counted at its end, of small networks with its tangent
steps: once by the array module's functions alone, once with kernels of its own.
"""

from __future__ import annotations

import warnings

import numpy as np

import lyapy
from lyapy.tangent import engine as engines

KINDS = ("vanilla", "gru", "lstm", "rate-rk4")
SIZES = (32, 72)
STEPS, LONG = 128, 64


def main() -> None:
    """Print a table."""
    print("| cell | launches a step, alone | with kernels | an interval, alone | with kernels |")
    print("|---|---|---|---|---|")
    for kind in KINDS:
        for n in SIZES:
            columns = [counted(kind, n, kernels) for kernels in (False, True)]
            steps, intervals = zip(*columns, strict=True)
            cells = [f"{x:.1f}" for x in steps] + [f"{x:.0f}" for x in intervals]
            print("| " + " | ".join([f"{kind} n={n}", *cells]) + " |")


def counted(kind: str, n: int, kernels: bool) -> tuple[float, float]:
    """Return the launches of a step, and those of the end of an interval."""
    often, seldom = (launches(kind, n, kernels, interval) for interval in (1, LONG))
    interval = (often - seldom) / (STEPS - STEPS // LONG)
    return (seldom - interval * STEPS / LONG) / STEPS, interval


def launches(kind: str, n: int, kernels: bool, interval: int) -> int:
    """Return the launches of a run of n units along two trajectories."""
    from tests.support import stand_in

    # a Hopper's
    stand_in.SHARED_BYTES = 232448
    device = stand_in.stand_in(kernels=kernels)
    engines.find_devices = lambda: (device,)
    stand_in.COUNTS = stand_in.Counts()
    network = lyapy.random_network(kind, n, 3, gain=0.8, seed=1)
    inputs = np.random.default_rng(2).normal(size=(2, STEPS, 3))
    with warnings.catch_warnings():
        # so long an interval is not resolved
        warnings.simplefilter("ignore")
        lyapy.lyapunov_spectrum(network, inputs, backend="cupy", interval=interval)
    return int(stand_in.COUNTS.launches)


if __name__ == "__main__":
    main()
