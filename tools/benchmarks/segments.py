"""Measure the speed-up of one long trajectory cut in time: ``python -m tools.benchmarks.segments``.

The full spectrum of a tanh network in one piece and in segments, in turn: the shortest times by the
clock, their ratio, and the processor time of all threads. The machine should be idle.
"""

import argparse
import time
from typing import Any

import numpy as np

import lyapy

WARM_UP = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--gain", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--segments", type=int, default=2, help="and threads, but on a GPU")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    network = lyapy.random_network("vanilla", given.units, gain=given.gain, seed=1)
    counts = 1, given.segments
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    spectra: dict[int, Any] = {}
    for number in range(given.rounds + 1):
        for count in counts:
            clock, processor = time.perf_counter(), time.process_time()
            spectra[count] = lyapy.lyapunov_spectrum(
                network,
                # the first round compiles
                steps=given.steps if number else WARM_UP,
                transient=1000,
                segments=count,
                threads=None if given.backend == "cupy" else given.segments,
                backend=given.backend,
            )
            took = time.perf_counter() - clock, time.process_time() - processor
            if number:
                found[count].append(took)
    one, other = (np.min(found[count], axis=0) for count in counts)
    print(
        f"tanh, {given.units} units, gain {given.gain:g}, {given.steps} steps, shortest of "
        f"{given.rounds}:"
    )
    for count, (clock, processor) in zip(counts, (one, other), strict=True):
        print(f"{count} segments: {clock:.2f} s by the clock, {processor:.2f} s of processor time")
    error = np.abs(spectra[counts[0]].exponents - spectra[counts[1]].exponents).max()
    settings = spectra[counts[1]].settings
    print(f"{one[0] / other[0]:.2f} times as fast; exponents differ by {error:.1e} at most, and")
    print(f"the seam error is {settings['seam_error']:.1e} after {settings['passes']} passes")


if __name__ == "__main__":
    main()
