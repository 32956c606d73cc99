"""Benchmark of the GPU engine: ``python -m tests.benchmarks.gpu [--write]``.

On one card, in one run: lyapy, the floor, and JAX and PyTorch where they are installed and see the
card. ``--stand-in`` runs it at tiny sizes on an array module without a GPU, to see that it runs.
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

import lyapy
from lyapy import engines

from ..stand_in import stand_in
from .cpu import DOCS, environment, replace_table

ROUNDS = 3
BEGIN, END = "<!-- gpu table -->", "<!-- end of gpu table -->"
COMMAND = "`python -m tests.benchmarks.gpu --write`"
HEADER = (
    "| case | µs per step | floors | JAX, QR every step | PyTorch | interval | rejected | error |\n"
    "|---|---|---|---|---|---|---|---|"
)


class Case(NamedTuple):
    """A full spectrum, and the steps in which it is measured."""

    kind: str
    n: int
    trajectories: int = 64
    steps: int = 128
    peer_steps: int = 16

    @property
    def name(self) -> str:
        many = "trajectories" if self.trajectories > 1 else "trajectory"
        return f"{self.kind} n={self.n}, {self.trajectories} {many}"


CASES = [
    *(
        Case(kind, n, steps=512 if n <= 128 else 128)
        for kind in ("vanilla", "gru", "lstm")
        for n in (64, 128, 256, 512, 1024)
    ),
    *(Case(kind, 32, 1024, 512) for kind in ("vanilla", "gru", "lstm")),
    Case("vanilla", 2048, 1),
]
TINY = [Case("vanilla", 4, 2, 64), Case("gru", 4, 2, 64), Case("lstm", 4, 2, 64)]


def main() -> None:
    """Measure, print, and write the table into the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stand-in", action="store_true", help="tiny sizes, without a GPU")
    parser.add_argument("--write", action="store_true", help="write the table into the docs")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    arguments = parser.parse_args()
    if arguments.stand_in:
        device = stand_in()
        engines.find_device = lambda: device
    else:
        device = engines.find_device()
    cases = [c for c in (TINY if arguments.stand_in else CASES) if arguments.only in c.name]
    lines = [HEADER]
    print(HEADER, flush=True)
    for case in cases:
        lines.append(measure(case, device, peers=not arguments.stand_in))
        print(lines[-1], flush=True)
    # the host matters little
    where = f"{device.name}; {environment(COMMAND).partition('; ')[2]}"
    print(where)
    if arguments.write:
        replace_table("\n".join([*lines, "", where]), BEGIN, END, DOCS.with_name("gpu.md"))


def measure(case, device, peers) -> str:
    """Return the case's line of the table."""
    gain = 1.5 if case.kind == "vanilla" else 1.0
    network = lyapy.random_network(case.kind, case.n, 4, gain=gain, bias=0.1, seed=1)
    inputs = np.random.default_rng(0).normal(size=(case.trajectories, case.steps, 4))
    # kernels are compiled, and memory is taken
    lyapy.lyapunov_spectrum(network, inputs, backend="cupy")
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        spectrum = lyapy.lyapunov_spectrum(network, inputs, backend="cupy")
        times.append((time.perf_counter() - start) / (case.trajectories * case.steps))
    seconds = float(np.median(times))
    floor = product_seconds(case, network.state_size, device) / case.trajectories
    columns = ["–", "–"]
    if peers:
        columns = peer_columns(network, inputs[:, : case.peer_steps], seconds)
    tried = spectrum.intervals.mean() + spectrum.rejections.mean()
    interval = f"{spectrum.steps / spectrum.intervals.mean():.1f}"
    rejected = f"{spectrum.rejections.mean() / tried:.0%}"
    error = deviation(network, inputs[:, :64])
    cells = [case.name, f"{seconds * 1e6:.2f}", f"{seconds / floor:.2f}", *columns]
    return "| " + " | ".join([*cells, interval, rejected, f"{error:.0e}"]) + " |"


def product_seconds(case, vectors, device) -> float:
    """Return the median seconds of one step's products of deviation vectors, of all trajectories.

    One n × n weight for all of them (tanh, and the output gate of an LSTM), or a matrix for
    each (a GRU's, and the other gates of an LSTM).
    """
    B, n = case.trajectories, case.n
    rng = np.random.default_rng(0)
    frame = device.to_device(rng.normal(size=(B, vectors, n)))
    rows = frame.reshape(B * vectors, n)
    weight, weights = (device.to_device(rng.normal(size=s)) for s in ((n, n), (B, n, n)))
    repeats = 20

    def run() -> None:
        for _ in range(repeats):
            if case.kind in ("vanilla", "lstm"):
                last = rows @ weight
            if case.kind in ("gru", "lstm"):
                last = (frame @ weights)[0]
        device.to_host(last[:1, :1])

    run()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) / repeats)
    return float(np.median(times))


def peer_columns(network, inputs, seconds) -> list[str]:
    """Return how many times slower the peers are on the card; – where one does not see it."""
    from .peers import jax_seconds, torch_seconds

    columns, k = ["–", "–"], network.state_size
    if find_spec("jax"):
        import jax

        if jax.default_backend() == "gpu":
            columns[0] = f"{jax_seconds(network, inputs, k, 1) / seconds:.1f}×"
    if find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            columns[1] = f"{torch_seconds(network, inputs, k, 'cuda') / seconds:.1f}×"
    return columns


def deviation(network, inputs) -> float:
    """Return the largest deviation from a reorthonormalization at every step."""
    found, wanted = (
        lyapy.lyapunov_spectrum(network, inputs, backend="cupy", interval=i) for i in ("auto", 1)
    )
    return float(np.max(np.abs(found.exponents - wanted.exponents)))


if __name__ == "__main__":
    main()
