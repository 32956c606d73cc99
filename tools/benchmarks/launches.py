"""Launches of the GPU engine, on the stand-in: ``python -m tools.benchmarks.launches``.

Kernels and products of a run of 128 steps, and per QR of large frames on an H100.
"""

import numpy as np

import lyapy
from lyapy.tangent import engine as engines

KINDS = ("vanilla", "gru", "lstm", "rate-rk4")
SIZES = (32, 136)
STEPS = 128
# of a block on an H100
SHARED_BYTES = 232448


def main() -> None:
    print(f"| cell | launches a step, in {STEPS} steps of 2 trajectories | waits a step |")
    print("|---|---|---|")
    for kind in KINDS:
        for n in SIZES:
            launches, waits = (x / STEPS for x in run_counts(kind, n))
            print(f"| {kind} n={n} | {launches:.1f} | {waits:.2f} |")
    print("\n| n | kernels and products of a QR |")
    print("|---|---|")
    for n in (64, 128, 256, 512, 1024, 2048):
        print(f"| {n} | {qr_operations(n)} |")


def run_counts(kind: str, n: int) -> tuple[int, int]:
    from tests.support import stand_in

    stand_in.SHARED_BYTES = SHARED_BYTES
    device = stand_in.stand_in()
    engines.find_devices = lambda: (device,)
    network = lyapy.random_network(kind, n, 3, gain=0.8, seed=1)
    inputs = np.random.default_rng(2).normal(size=(2, STEPS, 3))
    stand_in.COUNTS = stand_in.Counts()
    lyapy.lyapunov_spectrum(network, inputs, backend="cupy", interval=1)
    return stand_in.COUNTS.launches, stand_in.COUNTS.waits


def qr_operations(n: int, precision: str = "float64") -> int:
    from lyapy.tangent.gpu.device import PRECISIONS
    from lyapy.tangent.gpu.orthonormalize import Orthonormalizer
    from lyapy.tangent.interval import make_control
    from tests.support import stand_in

    done: list[str] = []

    def compile_kernel(text: str, name: str, exact: bool = False):
        return lambda *arguments: done.append(name)

    device = stand_in.stand_in()._replace(
        compile_kernel=compile_kernel,
        multiply=lambda *arguments: done.append("multiply"),
        shared_bytes=SHARED_BYTES,
        precision=PRECISIONS[precision],
    )
    qr = Orthonormalizer(n, n, device, make_control("auto", 1e-8, 64))
    qr(np.empty((1, n, n + 1), precision), np.empty((1, 3, n)))
    return len(done)


if __name__ == "__main__":
    main()
