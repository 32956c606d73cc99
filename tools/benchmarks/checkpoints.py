"""What checkpoints cost: ``python -m tools.benchmarks.checkpoints [--write]``.

Runs with the default interval of 300 s. Timed in one run, by the processor time of each thread,
which neighbours on the machine disturb less than the clock: the steps, what the trajectory gives
to the checkpoints on its way, and the writing of a checkpoint in its own thread, which comes once
in 300 s. Small networks are the worst case, as their chunks of steps are short.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import lyapy
from lyapy.runs.checkpoint.checkpointer import Checkpointer
from lyapy.runs.trajectory import Trajectory
from tools.reliability import replace_table, versions

INTERVAL = 300.0
CASES = [
    ("tanh, n = 8", "vanilla", 8, 1, 400_000),
    ("tanh, n = 64", "vanilla", 64, 1, 20_000),
    ("LSTM, n = 64 (128 exponents)", "lstm", 64, 1, 4_000),
    ("tanh, n = 8, 50 trajectories", "vanilla", 8, 50, 16_000),
]
HEADER = (
    "| network | steps | seconds of steps | given to checkpoints | writing one | "
    "overhead at 300 s |\n|---|---|---|---|---|---|"
)


def main():
    """Measure, print, and write the table into the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the figures into the docs")
    arguments = parser.parse_args()
    lines = [HEADER]
    print(HEADER, flush=True)
    for case in CASES:
        lines.append(measure(*case, arguments.rounds))
        print(lines[-1], flush=True)
    if arguments.write:
        command = f"`python -m tools.benchmarks.checkpoints --rounds {arguments.rounds}`"
        replace_table("overhead", "\n".join([*lines, "", f"{command}, medians; {versions()}."]))


@contextmanager
def timed(*methods):
    """Yield the processor seconds of the thread in each method, by its name."""
    spent = defaultdict(float)

    def wrap(method):
        def call(*arguments, **more):
            began = time.thread_time()
            try:
                return method(*arguments, **more)
            finally:
                spent[method.__name__] += time.thread_time() - began

        return call

    originals = [(owner, name, getattr(owner, name)) for owner, name in methods]
    for owner, name, method in originals:
        setattr(owner, name, wrap(method))
    try:
        yield spent
    finally:
        for owner, name, method in originals:
            setattr(owner, name, method)


def measure(name, kind, n, trajectories, steps, rounds):
    """Return a line of the table."""
    network = lyapy.random_network(kind, n, 1, gain=1.5, seed=1)
    inputs = np.random.default_rng(0).normal(size=(trajectories, steps, 1))
    lyapy.lyapunov_spectrum(network, inputs[:1, :300], threads=1)
    found = []
    watched = ((Trajectory, "advance"), (Checkpointer, "publish"), (Checkpointer, "_write"))
    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds):
            with timed(*watched) as spent:
                file = Path(folder) / f"{i}.h5"
                lyapy.lyapunov_spectrum(network, inputs, threads=1, checkpoint=file)
            found.append((spent["advance"], spent["publish"], spent["_write"]))
    advance, publish, write = (statistics.median(column) for column in zip(*found, strict=True))
    share = publish / advance + write / INTERVAL
    return (
        f"| {name} | {trajectories} × {steps} | {advance:.2f} | {publish / advance:.3%} | "
        f"{1e3 * write:.0f} ms | {share:.2%} |"
    )


if __name__ == "__main__":
    main()
