"""Benchmark of saturated networks: ``python -m tools.benchmarks.trained [--tiny] [--write]``.

On one core, in one run, by the processor's time: all exponents in lyapy, and in JAX where it is
installed, with a QR at every step.
"""

import argparse
import os
import time
import warnings
from importlib.util import find_spec
from itertools import chain

from tools.tables import ROUNDS, add_write, environment, head, report, row

# name, and a function of `real` or the arguments of a random network
CASES = {
    "character LSTM n=64, trained": "character_lstm",
    "silero-vad LSTM n=128, trained": "silero",
    "g2p_en GRU n=256, trained": "g2p",
    "vanilla relu n=64, gain 1.5": ("vanilla", 64, {"gain": 1.5, "nonlinearity": "relu"}),
    "lstm n=64, gain 25": ("lstm", 64, {"gain": 25.0, "bias": 2.0}),
    "gru n=64, gain 20": ("gru", 64, {"gain": 20.0}),
    "vanilla n=64, gain 20": ("vanilla", 64, {"gain": 20.0}),
    "vanilla n=64, gain 1.5": ("vanilla", 64, {"gain": 1.5}),
}
TINY = {"lstm n=4, gain 25": ("lstm", 4, {"gain": 25.0, "bias": 2.0})}
STEPS = 320
PEER_STEPS = 64
# longer ones are tried while their exponents are right to so much
INTERVALS, RIGHT = (1, 2, 4, 8, 16), 1e-3
HEADER = head(
    *(
        "case",
        "ms per step",
        "JAX, QR every step",
        "its error",
        "JAX, best right interval",
    ),
    *("exponents", "marked"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a small size, to see that it runs")
    add_write(parser)
    arguments = parser.parse_args()
    # before the libraries start their threads
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    warnings.simplefilter("ignore", RuntimeWarning)
    cases = TINY if arguments.tiny else CASES
    lines = chain([HEADER], (measure(name, case) for name, case in cases.items()))
    command = "python -m tools.benchmarks.trained --write"
    report(lines, environment(command), "benchmarks.md#trained", arguments.write)


def draw(case):
    """Return a network and inputs (1, T, m)."""
    import numpy as np

    import lyapy

    from . import real

    if isinstance(case, str):
        network, inputs = getattr(real, case)()
        return network, inputs[None, :STEPS]
    kind, n, options = case
    inputs = np.random.default_rng(0).normal(size=(1, STEPS, 4))
    return lyapy.random_network(kind, n, 4, seed=1, **options), inputs


def measure(name, case) -> str:
    import numpy as np

    import lyapy

    try:
        network, inputs = draw(case)
    except OSError as error:
        return row(name, f"not measured: {error}", *["–"] * 5)
    lyapy.lyapunov_spectrum(network, inputs[:, :65], threads=1)
    times, peers = [], []
    intervals = right_intervals(network, inputs[:, :PEER_STEPS]) if find_spec("jax") else {}
    for _ in range(ROUNDS):
        start = time.process_time()
        spectrum = lyapy.lyapunov_spectrum(network, inputs, threads=1)
        times.append((time.process_time() - start) / inputs.shape[1])
        peers.append([jax_seconds(network, inputs, i) for i in intervals])
    seconds, marked = float(np.median(times)), int(np.count_nonzero(~spectrum.resolved))
    columns = ["–"] * 3
    if intervals:
        faster = [each / seconds for each in np.median(peers, axis=0)]
        columns = [f"{faster[0]:.2f}×", f"{intervals[1]:.0e}", "none"]
        right = {i: f for i, f in zip(intervals, faster, strict=True) if intervals[i] <= RIGHT}
        if right:
            best = min(right, key=right.__getitem__)
            columns[2] = f"{right[best]:.2f}× (every {best})"
    return row(name, f"{seconds * 1e3:.3f}", *columns, len(spectrum.exponents), marked)


def jax_seconds(network, inputs, interval):
    from .peers import jax_run

    few = inputs[:, :PEER_STEPS]
    return jax_run(network, few, network.state_size, interval, time.process_time)[0]


def right_intervals(network, inputs) -> dict[int, float]:
    """Return JAX's error with a QR at every step, and at longer intervals that are right.

    The error is the largest one, in nats per step, of the exponents that lyapy resolves.
    """
    import numpy as np

    import lyapy

    from .peers import first_frame, jax_run

    D = network.state_size
    found = lyapy.lyapunov_spectrum(network, inputs, frame=first_frame(D, D), threads=1)
    wanted = found.per_trajectory[0][found.resolved]
    errors: dict[int, float] = {}
    for interval in INTERVALS:
        exponents = jax_run(network, inputs, D, interval, time.process_time)[1]
        sorted_ones = np.sort(exponents[0])[::-1][found.resolved]
        errors[interval] = float(np.max(np.abs(sorted_ones - wanted), initial=0.0))
        if interval > 1 and not errors[interval] <= RIGHT:
            del errors[interval]
            break
    return errors


if __name__ == "__main__":
    main()
