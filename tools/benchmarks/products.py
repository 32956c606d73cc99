"""The engine's products and QR against ``np.dot``: ``python -m tools.benchmarks.products``.

Each line has a square product of the engine, and its reorthonormalization of a whole frame, as
multiples of one `np.dot` of the same size; the shortest of several rounds on one core.
"""

import os
import time

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from lyapy.tangent.compiled import products, qr

ROUNDS = 15


@numba.njit(error_model="numpy")
def _multiply(frame, packed, out, n, scratch, repeats):
    a, b, c = (products.address(frame, 0), products.address(packed, 0), products.address(out, 0))
    stride = frame.shape[1]
    for _ in range(repeats):
        near = products.address(scratch, 0)
        products.multiply(a, stride, n, b, n, n, c, stride, 0, 0, 0, 0, 0, near)


@numba.njit(error_model="numpy")
def _orthonormalize(frame, start, n, workspace, log_r, duals, repeats):
    for _ in range(repeats):
        frame[:] = start
        duals[:] = 1.0
        qr.orthonormalize(frame, n, n, workspace, log_r, duals, 30.0, False)


@numba.njit
def _dot(a, b, out, repeats):
    for _ in range(repeats):
        np.dot(a, b, out)


def line(n: int) -> str:
    rng = np.random.default_rng(0)
    a, b, stride = rng.normal(size=(n, n)), rng.normal(size=(n, n)), products.row_stride(n)
    frame, out = (products.aligned(n * stride).reshape(n, stride) for _ in range(2))
    frame[:, :n] = a
    packed = products.aligned(products.packed_size(n, n))
    packed[:] = products.pack(b)
    workspace, log_r, scratch = qr.workspace(n), np.empty(n), np.empty(products.SCRATCH)
    kernels = [
        lambda repeats: _dot(a, b, np.empty((n, n)), repeats),
        lambda repeats: _multiply(frame, packed, out, n, scratch, repeats),
        lambda repeats: _orthonormalize(out, frame, n, workspace, log_r, np.empty(n), repeats),
    ]
    repeats = max(2, int(5e8 / n**3))
    times = []
    for kernel in kernels:
        kernel(1)
        times.append([])
    for _ in range(ROUNDS):
        for kernel, found in zip(kernels, times, strict=True):
            start = time.perf_counter()
            kernel(repeats)
            found.append((time.perf_counter() - start) / repeats)
    dot, own, qrs = map(min, times)
    return f"n = {n}: np.dot {dot * 1e6:.1f} µs, product {own / dot:.2f}, QR {qrs / dot:.2f}"


def main() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with threadpool_limits(1, user_api="blas"):
        for n in (16, 32, 64, 128, 256, 512, 1024):
            print(line(n), flush=True)


if __name__ == "__main__":
    main()
