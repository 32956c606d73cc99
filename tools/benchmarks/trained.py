"""Benchmark of saturated networks: ``python -m tools.benchmarks.trained [--tiny] [--write]``.

On one core, in one run, by the processor's time: all exponents in lyapy, and in JAX where it is
installed, with a QR at every step.
"""

import time
import warnings
from importlib.resources import files
from importlib.util import find_spec

from tools.tables import ROUNDS, head, print_benchmark, row

# name, and the arguments of the random network; the first is the LSTM that ships with lyapy
CASES = {
    "character LSTM n=64, trained": None,
    "lstm n=64, gain 25": ("lstm", 64, {"gain": 25.0, "bias": 2.0}),
    "gru n=64, gain 20": ("gru", 64, {"gain": 20.0}),
    "vanilla n=64, gain 20": ("vanilla", 64, {"gain": 20.0}),
    "vanilla n=64, gain 1.5": ("vanilla", 64, {"gain": 1.5}),
}
TINY = {"lstm n=4, gain 25": ("lstm", 4, {"gain": 25.0, "bias": 2.0})}
STEPS = 320
PEER_STEPS = 64
HEADER = head("case", "ms per step", "JAX, QR every step", "exponents", "marked")


def draw(case):
    """Return a network and inputs (1, T, m)."""
    import numpy as np
    from safetensors import safe_open

    import lyapy

    if case is not None:
        kind, n, options = case
        inputs = np.random.default_rng(0).normal(size=(1, STEPS, 4))
        return lyapy.random_network(kind, n, 4, seed=1, **options), inputs
    folder = files(lyapy) / "data"
    path = str(folder / "character_lstm.safetensors")
    with safe_open(path, "numpy") as file:
        vocabulary = file.metadata()["vocabulary"]
        embedding = file.get_tensor("embedding.weight").astype(float)
    text = (folder / "excerpt.txt").read_text(encoding="utf-8")[:STEPS]
    return lyapy.load(path), embedding[[vocabulary.index(c) for c in text]][None]


def measure(name, case) -> str:
    import numpy as np

    import lyapy

    from .peers import jax_seconds

    warnings.simplefilter("ignore", RuntimeWarning)
    network, inputs = draw(case)
    lyapy.lyapunov_spectrum(network, inputs[:, :65], threads=1)
    times, peers = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        spectrum = lyapy.lyapunov_spectrum(network, inputs, threads=1)
        times.append((time.process_time() - start) / STEPS)
        if find_spec("jax"):
            few, k = inputs[:, :PEER_STEPS], network.state_size
            peers.append(jax_seconds(network, few, k, 1, time.process_time))
    seconds, marked = float(np.median(times)), int(np.count_nonzero(~spectrum.resolved))
    peer = f"{np.median(peers) / seconds:.2f}×" if peers else "–"
    return row(name, f"{seconds * 1e3:.3f}", peer, len(spectrum.exponents), marked)


if __name__ == "__main__":
    print_benchmark(__doc__, "trained", "trained", HEADER, measure, CASES, TINY)
