"""Reorthonormalization of frames that fit into shared memory: one launch, a block for each."""

from __future__ import annotations

import numpy as np

from ...arrays import Array
from .choices import CHOICES
from .device import Device, Kernel
from .fused_step import even
from .kernel_text import prelude
from .precision import Precision
from .qr import Orthonormal, dual_signs

__all__ = ["SharedQR", "fits"]

THREADS = 256
# of which the first add up norms
ADDERS = 32

# Gram and Schmidt's recipe row by row, each projected twice. A row has one entry more, b, with
# which is done what is done with the row: it ends as that of R⁻ᵀ b. So the rows have D + 1 entries,
# an odd number where D is even, and the threads of a warp, each with a row, meet no bank twice.
TEXT = """
extern "C" __global__ void orthonormalize(
    const real* images, const real* signs, real* frames, double* log_r, double* duals,
    double* extremes, long long k, long long D, long long stride)
{
    extern __shared__ double memory[];
    real* rows = (real*)memory;
    real* products = rows + k * (D + 1);
    real* sums = products + k;
    const int thread = threadIdx.x, threads = blockDim.x;
    const long long b = blockIdx.x, width = D + 1;
    for (long long i = thread; i < k * D; i += threads)
        rows[i / D * width + i % D] = images[(b * k + i / D) * stride + i % D];
    for (long long i = thread; i < k; i += threads)
        rows[i * width + D] = signs[i];
    __syncthreads();
    for (long long i = 0; i < k; i++) {
        real* row = rows + i * width;
        for (int pass = 0; pass < 2 && i > 0; pass++) {
            for (long long j = thread; j < i; j += threads) {
                real product = 0;
                for (long long c = 0; c < D; c++)
                    product += rows[j * width + c] * row[c];
                products[j] = product;
            }
            __syncthreads();
            for (long long c = thread; c < width; c += threads) {
                real entry = row[c];
                for (long long j = 0; j < i; j++)
                    entry -= products[j] * rows[j * width + c];
                row[c] = entry;
            }
            __syncthreads();
        }
        for (long long a = thread; a < ADDERS; a += threads) {
            real sum = 0;
            for (long long c = a; c < D; c += ADDERS)
                sum += row[c] * row[c];
            sums[a] = sum;
        }
        __syncthreads();
        real square = 0;
        for (int a = 0; a < ADDERS; a++)
            square += sums[a];
        const real norm = sqrt(square);
        for (long long c = thread; c < width; c += threads)
            row[c] /= norm;
        if (thread == 0)
            log_r[b * k + i] = log((double)norm);
        __syncthreads();
    }
    for (long long i = thread; i < k * D; i += threads)
        frames[b * k * D + i] = rows[i / D * width + i % D];
    for (long long i = thread; i < k; i += threads)
        duals[b * k + i] = rows[i * width + D];
    if (thread == 0) {
        double largest = log_r[b * k], smallest = largest, dual = 0;
        for (long long i = 0; i < k; i++) {
            const double found = log_r[b * k + i], size = fabs((double)rows[i * width + D]);
            // NaN goes on
            largest = found > largest || found != found ? found : largest;
            smallest = found < smallest || found != found ? found : smallest;
            dual = size > dual || size != size ? size : dual;
        }
        extremes[b] = largest;
        extremes[gridDim.x + b] = smallest;
        extremes[2 * gridDim.x + b] = dual;
    }
}
"""


class SharedQR:
    """Orthonormalizes frames (B, k, D), as `lyapy.tangent.gpu.qr.orthonormalize` row by row.

    Parameters
    ----------
    device : Device
        That compiles kernels.
    precision : Precision
    """

    def __init__(self, device: Device, precision: Precision, vectors: int) -> None:
        assert device.compile_kernel is not None
        text = prelude(precision.name) + f"#define ADDERS {ADDERS}\n" + TEXT
        self._kernel: Kernel = device.compile_kernel(text, "orthonormalize")
        self._itemsize = np.dtype(precision.name).itemsize
        self._signs = device.to_device(dual_signs(vectors)[:, 0].astype(precision.name))

    def __call__(self, rows: Array) -> Orthonormal:
        rows, stride = even(rows)
        B, k, D = rows.shape
        frame = np.empty_like(rows, shape=(B, k, D))
        log_r = np.empty_like(rows, shape=(B, k), dtype=np.float64)
        duals = np.empty_like(log_r)
        shared = shared_bytes(k, D, self._itemsize)
        extremes = np.empty_like(log_r, shape=(3, B))
        arguments = (rows, self._signs, frame, log_r, duals, extremes, k, D, stride)
        self._kernel(B, THREADS, arguments, shared)
        return Orthonormal(frame, log_r, duals, extremes)


def shared_bytes(k: int, D: int, itemsize: int) -> int:
    """Return the shared memory that a frame (k, D) takes."""
    return (k * (D + 1) + k + ADDERS) * itemsize


def fits(device: Device, precision: Precision, k: int, D: int) -> bool:
    """Return whether a frame (k, D) is orthonormalized in shared memory."""
    if device.compile_kernel is None or k > CHOICES.shared_vectors:
        return False
    return shared_bytes(k, D, np.dtype(precision.name).itemsize) <= device.shared_bytes
