"""One case of the GPU benchmark in one library: ``python -m tools.benchmarks.gpu_case NAME PART``.

In a process of its own, so that an error, or memory that one library keeps, does not reach the
others. The last line printed is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import NamedTuple

import numpy as np

import lyapy
from lyapy.tangent import engine as engines

ROUNDS = 3
PARTS = ("lyapy", "jax", "torch")


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

    def network(self) -> lyapy.Network:
        gain = 1.5 if self.kind == "vanilla" else 1.0
        return lyapy.random_network(self.kind, self.n, 4, gain=gain, bias=0.1, seed=1)

    def inputs(self, steps: int) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(self.trajectories, steps, 4))


CASES = [
    *(
        Case(kind, n, steps=512 if n <= 128 else 128)
        for kind in ("vanilla", "gru", "lstm")
        for n in (64, 128, 256, 512, 1024)
    ),
    *(Case(kind, 32, 1024, 512) for kind in ("vanilla", "gru", "lstm")),
    Case("vanilla", 2048, 1),
]
TINY = [Case(kind, 4, 2, 64) for kind in ("vanilla", "gru", "lstm")]


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[case.name for case in (*CASES, *TINY)])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--stand-in", action="store_true", help="an array module without a GPU")
    arguments = parser.parse_args()
    (case,) = [one for one in (*CASES, *TINY) if one.name == arguments.name]
    if arguments.stand_in:
        from tests.support.stand_in import stand_in

        engines.find_devices = lambda: (stand_in(),)
    found = measure(case) if arguments.part == "lyapy" else measure_peer(case, arguments.part)
    print(json.dumps(found))


def measure(case: Case) -> dict[str, float | str]:
    """Return lyapy's seconds per step and trajectory, and what belongs to them."""
    (device, *_) = engines.find_devices()
    # one card, whatever the machine has
    engines.find_devices = lambda: (device,)
    network, inputs = case.network(), case.inputs(case.steps)
    # kernels are compiled, and memory is taken
    lyapy.lyapunov_spectrum(network, inputs, backend="cupy")
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        spectrum = lyapy.lyapunov_spectrum(network, inputs, backend="cupy")
        times.append((time.perf_counter() - start) / (case.trajectories * case.steps))
    tried = spectrum.intervals.mean() + spectrum.rejections.mean()
    return {
        "device": device.name,
        "seconds": float(np.median(times)),
        "floor": product_seconds(case, network.state_size, device) / case.trajectories,
        "interval": float(spectrum.steps / spectrum.intervals.mean()),
        "rejected": float(spectrum.rejections.mean() / tried),
        "error": deviation(network, inputs[:, :64]),
    }


def measure_peer(case: Case, part: str) -> dict[str, float | str]:
    """Return a peer's seconds per step and trajectory, or why there are none."""
    from .peers import jax_seconds, torch_seconds

    network, inputs = case.network(), case.inputs(case.peer_steps)
    if part == "jax":
        import jax

        if jax.default_backend() != "gpu":
            return {"missing": f"JAX computes on {jax.default_backend()}"}
        return {"seconds": jax_seconds(network, inputs, network.state_size, 1)}
    import torch

    if not torch.cuda.is_available():
        return {"missing": "PyTorch sees no GPU"}
    return {"seconds": torch_seconds(network, inputs, network.state_size, "cuda")}


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


def deviation(network, inputs) -> float:
    """Return the largest deviation from a reorthonormalization at every step."""
    found, wanted = (
        lyapy.lyapunov_spectrum(network, inputs, backend="cupy", interval=i) for i in ("auto", 1)
    )
    return float(np.max(np.abs(found.exponents - wanted.exponents)))


if __name__ == "__main__":
    main()
