"""What checkpoints cost: ``python -m tests.benchmarks.checkpoints [--write]``.

The same run with and without a run file, turn about in one process; compared are the processor
times, which a busy machine disturbs less than the clock. Small networks are the worst case: each
chunk of steps hands over a copy of its state, however short the chunk was.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

import lyapy
from tests.reliability import replace_table, versions

ROUNDS = 9
CASES = [
    ("tanh, n = 8", "vanilla", 8, 400_000, {}),
    ("tanh, n = 64", "vanilla", 64, 30_000, {}),
    ("LSTM, n = 32 (64 exponents)", "lstm", 32, 15_000, {}),
]


def main():
    """Measure, print, and write the table into the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true", help="write the figures into the docs")
    arguments = parser.parse_args()
    lines = [
        "| network | steps | processor time without | overhead | quartiles |",
        "|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for case in CASES:
        lines.append(measure(*case, arguments.rounds))
        print(lines[-1], flush=True)
    if arguments.write:
        command = f"`python -m tests.benchmarks.checkpoints --rounds {arguments.rounds}`"
        replace_table("overhead", "\n".join([*lines, "", f"{command}; {versions()}."]))


def measure(name, kind, n, steps, options, rounds):
    """Return a line of the table."""
    network = lyapy.random_network(kind, n, 1, gain=1.5, seed=1)
    inputs = np.random.default_rng(0).normal(size=(1, steps, 1))

    def seconds(**more):
        began = time.process_time()
        lyapy.lyapunov_spectrum(network, inputs, threads=1, **options, **more)
        return time.process_time() - began

    seconds()
    ratios, alone = [], []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds):
            file = Path(folder) / f"{i}.h5"
            # the order changes, for what drifts
            if i % 2:
                without, with_file = seconds(), seconds(checkpoint=file)
            else:
                with_file, without = seconds(checkpoint=file), seconds()
            ratios.append(with_file / without - 1.0)
            alone.append(without)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return (
        f"| {name} | {steps} | {statistics.median(alone):.2f} s | {middle:.2%} | "
        f"{low:.2%} … {high:.2%} |"
    )


if __name__ == "__main__":
    main()
