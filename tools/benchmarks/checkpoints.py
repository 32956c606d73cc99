"""Measure the cost of checkpoints: ``python -m tools.benchmarks.checkpoints [--write]``.

Runs with the default interval of 300 s. Timed in one run, by the processor time of each thread,
which neighbours on the machine disturb less than the clock: the steps, the handing over
to the checkpoints on the way, and the writing of a checkpoint in its own thread, which comes once
in 300 s. Small networks are the worst case, as their chunks of steps are short.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np

import lyapy
from lyapy.runs.checkpoint.checkpointer import Checkpointer
from lyapy.runs.trajectory import Trajectory
from tools.tables import add_write, head, report, row, storage

INTERVAL = 300.0
CASES = [
    ("tanh, n = 8", "vanilla", 8, 1, 400_000),
    ("tanh, n = 64", "vanilla", 64, 1, 20_000),
    ("LSTM, n = 64 (128 exponents)", "lstm", 64, 1, 4_000),
    ("tanh, n = 8, 50 trajectories", "vanilla", 8, 50, 16_000),
]
COLUMNS = ["network", "steps", "seconds of steps", "given to checkpoints", "writing one"]
HEADER = head(*COLUMNS, "overhead at 300 s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    add_write(parser)
    arguments = parser.parse_args()
    rounds = arguments.rounds
    lines = chain([HEADER], (measure(*case, rounds) for case in CASES))
    command = f"`python -m tools.benchmarks.checkpoints --rounds {rounds}`"
    report(lines, f"{command}, medians; {storage()}.", "reliability.md#overhead", arguments.write)


@contextmanager
def timed(*methods):
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
    times = f"{advance:.2f}", f"{publish / advance:.3%}", f"{1e3 * write:.0f} ms"
    return row(name, f"{trajectories} × {steps}", *times, f"{share:.2%}")


if __name__ == "__main__":
    main()
