"""Launches of the GPU engine, on the stand-in: ``python -m tools.benchmarks.launches``.

Kernels and products of a run of 128 steps, and per QR of large frames on an H100. ``--host`` prints
instead the processor time of the host for an interval of one step of 1024 trajectories, with the
installed CuPy; on the CUDA emulator with EMU_NOOP=1 and EMU_POISON=0, where kernels do nothing.
"""

import sys
import time
import warnings

import numpy as np

import lyapy
from lyapy.tangent import engine as engines

KINDS = ("vanilla", "gru", "lstm", "rate-rk4")
SIZES = (32, 136)
STEPS = 128
# of a block on an H100
SHARED_BYTES = 232448


def main() -> None:
    if "--host" in sys.argv:
        for kind, n in (("gru", 32), ("vanilla", 136)):
            print(f"{kind} n={n}: {host_milliseconds(kind, n):.3f} ms an interval", flush=True)
        return
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


def host_milliseconds(kind: str, n: int, trajectories: int = 1024, chunks: int = 5) -> float:
    """Return the least over the chunks, of 256 steps each."""
    from lyapy.runs import schedule
    from lyapy.runs.gpu import batch, block

    times: list[float] = []
    advance = batch.Batch.advance

    def timed(self: batch.Batch) -> int:
        start = time.process_time()
        done = advance(self)
        times.append((time.process_time() - start) * trajectories / done)
        return done

    # nothing that was computed means anything
    block.BatchBlock._hand_over = lambda *arguments: None  # type: ignore[method-assign]
    batch.Batch.advance, schedule.CHUNK_TILES = timed, 4  # type: ignore[method-assign]
    network = lyapy.random_network(kind, n, 3, gain=0.8, seed=1)
    drive = np.random.default_rng(2).normal(size=(1, 256 * chunks, 3))
    inputs = np.broadcast_to(drive, (trajectories, *drive.shape[1:]))
    with warnings.catch_warnings(action="ignore"):
        lyapy.lyapunov_spectrum(network, inputs, backend="cupy", interval=1, frame="identity")
    batch.Batch.advance = advance  # type: ignore[method-assign]
    return 1e3 * min(times)


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
