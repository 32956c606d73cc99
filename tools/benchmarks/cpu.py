"""Benchmark of the CPU engine: ``python -m tools.benchmarks.cpu [--tiny] [--write]``.

On one core, in one run: lyapy, the floor, and JAX and PyTorch where they are installed.
"""

import time
import warnings
from importlib.util import find_spec
from typing import NamedTuple

from tools.tables import ROUNDS, head, print_benchmark, row

# steps of a run in which the time of a call shows
SHORT = 150


class Case(NamedTuple):
    """A full or leading spectrum, and the steps in which it is measured."""

    kind: str
    n: int
    layers: int = 1
    k: int | None = None
    trajectories: int = 8
    steps: int = 512
    peer_steps: int = 64

    @property
    def name(self) -> str:
        label = f"{self.kind} n={self.n}"
        label += f", {self.layers} layers" if self.layers > 1 else ""
        label += f", k={self.k}" if self.k else ""
        return label + (f", {self.steps} steps" if self.steps == SHORT else "")


CASES = [
    Case("vanilla", 64, steps=4096),
    Case("vanilla", 128, steps=1024),
    Case("vanilla", 256, steps=512, peer_steps=32),
    Case("vanilla", 512, steps=256, peer_steps=16),
    Case("gru", 64, steps=4096),
    Case("gru", 128, steps=1024),
    Case("lstm", 64, steps=2048),
    Case("lstm", 128, steps=1024, peer_steps=32),
    Case("lstm", 256, steps=384, peer_steps=16),
    Case("lstm", 128, k=128, steps=512),
    Case("gru", 64, layers=3, steps=1024),
    Case("lstm", 512, k=10, steps=256),
    Case("vanilla", 2000, k=20, steps=128, peer_steps=16),
    Case("vanilla", 8, trajectories=1, steps=100_000, peer_steps=20_000),
    Case("vanilla", 16, trajectories=1, steps=100_000, peer_steps=20_000),
    Case("vanilla", 8, steps=SHORT, peer_steps=SHORT),
    Case("vanilla", 64, steps=SHORT, peer_steps=SHORT),
]
TINY = [Case("vanilla", 8, steps=64, peer_steps=8), Case("lstm", 6, steps=64, peer_steps=8)]


HEADER = head(
    *("case", "µs per step", "floors", "JAX, QR every step", "JAX, best interval", "PyTorch"),
    *("interval", "split", "error"),
)


def measure(name: str, case: Case) -> str:
    import numpy as np

    import lyapy

    from .floor import forward_seconds, product_seconds, products_per_step

    drawn = {"gain": 1.5 if case.kind == "vanilla" else 1.0, "layers": case.layers, "bias": 0.1}
    network = lyapy.random_network(case.kind, case.n, 4, seed=1, **drawn)
    inputs = np.random.default_rng(0).normal(size=(case.trajectories, case.steps, 4))
    k = case.k or network.state_size
    options = {"k": k, "threads": 1}
    lyapy.lyapunov_spectrum(network, inputs[:, :65], **options)
    times, floors = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        spectrum = lyapy.lyapunov_spectrum(network, inputs, **options)
        times.append((time.perf_counter() - start) / (case.trajectories * case.steps))
        product = product_seconds(case.n, k, 1)
        floors.append(product * products_per_step(case.kind, case.layers))
        if k < case.n // 4:
            floors[-1] += forward_seconds(case.kind, case.n, 3)
    seconds, floor = float(np.median(times)), float(np.median(floors))
    peers = peer_columns(network, inputs[:, : case.peer_steps], k, seconds)
    intervals = spectrum.steps / spectrum.intervals.mean()
    trailing = spectrum.trailing_intervals.mean()
    interval = f"{intervals:.1f}" + (f" / {spectrum.steps / trailing:.1f}" if trailing else "")
    split = f"{spectrum.split.mean():.0f} of {k}" if trailing else "–"
    error = deviation(network, inputs[:1, : min(case.steps, 256)], k)
    cells = [name, f"{seconds * 1e6:.1f}", f"{seconds / floor:.2f}", *peers]
    return row(*cells, interval, split, f"{error:.0e}")


def peer_columns(network, inputs, k, seconds) -> list[str]:
    from .peers import jax_seconds, torch_seconds

    columns = ["–", "–", "–"]
    if find_spec("jax"):
        by_interval = {i: jax_seconds(network, inputs, k, i) for i in (1, 2, 4, 8)}
        best = min(by_interval, key=by_interval.__getitem__)
        columns[0] = f"{by_interval[1] / seconds:.1f}×"
        columns[1] = f"{by_interval[best] / seconds:.1f}× (every {best})"
    if find_spec("torch") and len(network.cells) == 1:
        columns[2] = f"{torch_seconds(network, inputs, k) / seconds:.1f}×"
    return columns


def deviation(network, inputs, k) -> float:
    import numpy as np

    import lyapy

    options = {"k": k, "threads": 1}
    found = lyapy.lyapunov_spectrum(network, inputs, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = lyapy.lyapunov_spectrum(network, inputs, interval=1, two_ended=False, **options)
    return float(np.max(np.abs(found.exponents - wanted.exponents)))


if __name__ == "__main__":
    named = ({case.name: case for case in cases} for cases in (CASES, TINY))
    print_benchmark(__doc__, "cpu", "table", HEADER, measure, *named)
