"""Kernels launched by the GPU engine, on the stand-in: ``python -m tests.benchmarks.launches``.

Per step, and per interval with what is read and counted at its end: once by the array module's
functions alone, once with kernels of its own. Waits for the device are counted too.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

import lyapy
from lyapy import engines

KINDS = ("vanilla", "gru", "lstm", "rate-rk4")
STEPS, LONG = 128, 64


def main() -> None:
    """Print a table."""
    sys.path.append(str(Path(__file__).parents[1]))
    print(
        "| cell | kernels of its own | launches a step | launches an interval |\n|---|---|---|---|"
    )
    for kind in KINDS:
        for kernels in (False, True):
            often, seldom = (launches(kind, kernels, interval) for interval in (1, LONG))
            interval = (often - seldom) / (STEPS - STEPS // LONG)
            step = (seldom - interval * STEPS / LONG) / STEPS
            print(f"| {kind} | {'yes' if kernels else 'no'} | {step:.1f} | {interval:.0f} |")


def launches(kind: str, kernels: bool, interval: int) -> int:
    """Return the launches of a run of 32 units along two trajectories."""
    import stand_in

    device = stand_in.stand_in(kernels=kernels)
    engines.find_devices = lambda: (device,)
    stand_in.COUNTS = stand_in.Counts()
    network = lyapy.random_network(kind, 32, 3, gain=0.8, seed=1)
    inputs = np.random.default_rng(2).normal(size=(2, STEPS, 3))
    with warnings.catch_warnings():
        # so long an interval is not resolved
        warnings.simplefilter("ignore")
        lyapy.lyapunov_spectrum(network, inputs, backend="cupy", interval=interval)
    return int(stand_in.COUNTS.launches)


if __name__ == "__main__":
    main()
