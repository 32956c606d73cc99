"""Print the resources of kernels by NVIDIA's compiler: ``python -m tools.benchmarks.gpu_kernels``.

No GPU is needed, but NVRTC (``pip install nvidia-cuda-nvrtc-cu12``). For each precision and card:
the kernel of each kind with most registers, its local memory, and the share of a multiprocessor's
threads that the registers leave room for.
"""

from __future__ import annotations

import sys

import lyapy
from lyapy.tangent.gpu.device import COMPILER, EXACT, PRECISIONS
from lyapy.tangent.gpu.kernel_text import BLOCK
from lyapy.tangent.gpu.orthonormalize import THREADS
from lyapy.tangent.gpu.whole_tile import shared_bytes
from tests.support import nvrtc, stand_in
from tests.support.kernel_texts import kernel_texts

# of a multiprocessor of all three
REGISTERS, MOST_THREADS, WARP, GRANULE = 65536, 2048, 32, 256
SHARED = {"sm_80": 164 * 1024, "sm_90": 228 * 1024, "sm_100": 228 * 1024}
# that the system keeps for each block
RESERVED = 1024
# kernels with a trajectory for each block
OF_BLOCKS = ("panel", "whole_tile", "pass")
SIZES = (16, 32, 48, 64, 96)


def main() -> int:
    """Print the tables."""
    library = nvrtc.library()
    if library is None:
        print("NVRTC is not installed: pip install nvidia-cuda-nvrtc-cu12", file=sys.stderr)
        return 1
    print("| card | precision | kernel | registers | stack, bytes | spilled, bytes | occupancy |")
    print("|---|---|---|---|---|---|---|")
    for precision in PRECISIONS:
        texts = kernel_texts(precision)
        for card in nvrtc.ARCHITECTURES:
            found = [
                (name, nvrtc.compile_text(library, text, EXACT if exact else COMPILER, card))
                for text, (name, exact) in texts.items()
            ]
            # the hungriest of each kind
            for kind in (*OF_BLOCKS, "merge", "add_up"):
                some = [one for one in found if one[0].startswith(kind)]
                name, (registers, stack, spilled) = max(some, key=lambda one: one[1])
                share = occupancy(registers, THREADS if kind in OF_BLOCKS else BLOCK)
                row = (card, precision, name, registers, stack, spilled, f"{share:.0%}")
                print("| " + " | ".join(map(str, row)) + " |")
            local = [name for name, one in found if one.stack or one.spilled]
            print(f"{len(found)} kernels, with local memory: {', '.join(local) or 'none'}")
    print("\n| card | n | blocks with a frame in shared memory, float64 | float32 |")
    print("|---|---|---|---|")
    devices = [stand_in.stand_in()._replace(precision=one) for one in PRECISIONS.values()]
    for card, shared in SHARED.items():
        for n in SIZES:
            program = lyapy.random_network("vanilla", n, seed=1).program
            blocks = [
                min(shared // (shared_bytes(program, n, one) + RESERVED), MOST_THREADS // THREADS)
                for one in devices
            ]
            print(f"| {card} | {n} | {blocks[0]} | {blocks[1]} |")
    return 0


def occupancy(registers: int, block: int) -> float:
    """Return the share of a multiprocessor's threads that registers leave room for."""
    each_warp = -(-registers * WARP // GRANULE) * GRANULE
    warps = REGISTERS // each_warp
    return min(warps // (block // WARP) * block, MOST_THREADS) / MOST_THREADS


if __name__ == "__main__":
    sys.exit(main())
