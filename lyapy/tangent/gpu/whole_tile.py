"""Tiles of time of small frames in one launch: a block of threads follows each trajectory.

Tangent steps, reorthonormalizations, the choice of intervals and the count of growth are all done
on the device, with frames in shared memory; the host waits once for a chunk of tiles.
"""

from typing import Any

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.program import Program
from ..lowering import Product, Sum, lower
from .device import Device
from .kernel_text import matrix_text, moved_matrices, sum_text, trajectory_kernel
from .orthonormalize import THREADS, library, scratch
from .tangent import BatchTangent, Found

__all__ = ["WholeTangent", "fits"]

# results of a trajectory after errors and noise of its vectors: intervals, rejections, the largest
# spread, the rate, and whether it failed
RESULTS = 5
# vectors and entries of each that a thread computes together: each entry read serves as many
# products as there are of the other kind, within the registers that 256 threads leave
VECTORS, ENTRIES = 4, 2

# what a thread stores it loads again itself; so no barrier is needed between
TEXT = """
    extern __shared__ double memory[];
    real* frame = (real*)memory;
    real* result = frame + k * ROW;
    real* norms = result + k * ROW;
    real* matrix = norms + k;
    const long long count = gridDim.x;
    real* kept = images + b * k * width;
    double* sums = totals + b * (2 * k + {results});
    double rate = rates[b], widest = 0.0;
    long long start = 0, intervals = 0, rejections = 0;
    bool failed = false;
    for (int i = thread; i < 2 * k; i += threads) sums[i] = 0.0;
    for (int i = thread; i < k * D; i += threads)
        kept[i / D * width + i % D] = frames[b * k * width + i / D * width + i % D];
    for (long long tile = 0; tile * TILE < steps && !failed; tile++) {{
        const int rows = (int)alive[tile * count + b];
        const long long end = lesser_of((tile + 1) * TILE, steps);
        double* grown = growth + (tile * count + b) * k;
        for (int i = thread; i < k; i += threads) grown[i] = 0.0;
        while (rows > 0 && start < end) {{
            long long taken = first_steps(rate, end - start, LIMIT, FIXED);
            double spread;
            Extremes found;
            while (true) {{
                for (int i = thread; i < rows * D; i += threads)
                    frame[i / D * ROW + i % D] = kept[i / D * width + i % D];
                __syncthreads();
                for (long long t = start; t < start + taken; t++) {{
                    const real* values = coefficients + (t * count + b) * C;
{steps}
                    real* before = frame;
                    frame = result;
                    result = before;
                }}
                // the norm of the first row comes first, and a barrier with it
                for (int i = thread; i < rows; i += threads)
                    frame[i * ROW + D] = dual_sign(i);
                found = orthonormalize(frame, rows, D, ROW, norms, matrix, {{0.0, 1.0 / 0.0, 0.0}});
                spread = spread_of(found);
                const long long shorter = repeated_steps(taken, spread, LIMIT, FIXED);
                if (!shorter) break;
                rejections++;
                taken = shorter;
            }}
            failed = !(spread < 1.0 / 0.0) || (taken == 1 && spread > LIMIT);
            if (failed) break;
            for (int i = thread; i < rows; i += threads) {{
                const Counted one = counted(i, norms, frame + D, ROW, found);
                grown[i] += one.growth;
                sums[i] += one.error;
                sums[k + i] = one.noise;
            }}
            for (int i = thread; i < rows * D; i += threads)
                kept[i / D * width + i % D] = frame[i / D * ROW + i % D];
            rate = next_rate(rate, spread, taken);
            widest = greater_of(widest, spread);
            start += taken;
            intervals++;
        }}
        start = end;
    }}
    if (thread == 0) {{
        double* last = sums + 2 * k;
        last[0] = intervals;
        last[1] = rejections;
        last[2] = widest;
        last[3] = rate;
        last[4] = failed;
    }}"""
# the matrix of N × COLUMNS is written once, and multiplied in tiles
PRODUCT = """
template <int N, int COLUMNS> __device__ void add_product(
    const real* source, int rows, const real* matrix, real* target)
{
    const int apart = (N + ENTRIES - 1) / ENTRIES;
    __syncthreads();
    for (int i = threadIdx.x; i < (rows + VECTORS - 1) / VECTORS * apart; i += blockDim.x) {
        const int v = i / apart * VECTORS, r = i % apart;
        const real* x[VECTORS];
        real y[VECTORS][ENTRIES];
        #pragma unroll
        for (int p = 0; p < VECTORS; p++) {
            x[p] = source + (v + p < rows ? v + p : rows - 1) * ROW;
            #pragma unroll
            for (int q = 0; q < ENTRIES; q++) y[p][q] = 0;
        }
        for (int c = 0; c < COLUMNS; c++) {
            #pragma unroll
            for (int q = 0; q < ENTRIES; q++) {
                const int s = r + q * apart < N ? r + q * apart : N - 1;
                const real entry = matrix[c * N + s];
                #pragma unroll
                for (int p = 0; p < VECTORS; p++) y[p][q] += x[p][c] * entry;
            }
        }
        #pragma unroll
        for (int p = 0; p < VECTORS; p++)
            #pragma unroll
            for (int q = 0; q < ENTRIES; q++)
                if (v + p < rows && r + q * apart < N)
                    target[(v + p) * ROW + r + q * apart] += y[p][q];
    }
    __syncthreads();
}
"""


class WholeTangent(BatchTangent):
    """Small frames, each with its own intervals, which the device chooses; no sparse weights."""

    def __init__(self, program: Program, *arguments: Any) -> None:
        super().__init__(program, *arguments)
        lowered, control = lower(program), self.control
        self._matrices = moved_matrices(lowered, self.device)
        self._bytes = shared_bytes(program, self.frames.shape[1], self.device)
        steps = "".join(map(_step_text, lowered.sums))
        given = [f"const real* {name}" for name in ("coefficients", "frames")]
        given += ["real* images", "const double* alive"]
        given += ["const double* rates", "double* growth", "double* totals"]
        given += [f"const real* m{i}" for i in range(len(self._matrices))]
        given += [f"long long {name}" for name in ("steps", "k", "width", "C")]
        values = {"ROW": _row(program), "TILE": f"{control.tile}LL"}
        values |= {"VECTORS": VECTORS, "ENTRIES": ENTRIES}
        before = library(self.device, control, program.state_size, **values) + PRODUCT
        body = TEXT.format(results=RESULTS, steps=steps)
        text = trajectory_kernel("whole_tile", given, body, before)
        self._kernel = self.device.compile(text, "whole_tile")

    def replace(self, at: Any, frames: Array, rates: Array) -> None:
        """Replace the frames (k, D) of some trajectories, and their expected spreads."""
        super().replace(at, frames, rates)
        self.rates[list(at)] = rates

    def advance(self, coefficients: Array, ends: Array, alive: Array, skip: Array) -> Found:
        """Move all frames through a chunk, as `BatchTangent.advance` does."""
        (B, k, width), (steps, _, C) = self.frames.shape, coefficients.shape
        rows = np.where(skip, 0, alive).astype(np.float64)
        moved = map(self.device.to_device, (rows, self.rates))
        images, size = self.device.new(B, k, width), rows.size * k
        results = self.device.empty((size + B * (2 * k + RESULTS),), "float64")
        arrays = coefficients, self.frames, images, *moved
        written = results[:size], results[size:]
        numbers = steps, k, width, C, 1
        self._kernel(B, THREADS, (*arrays, *written, *self._matrices, *numbers), self._bytes)
        self.frames = images
        growth, totals = np.split(self.device.to_host(results), [size])
        growth, totals = growth.reshape(-1, B, k), totals.reshape(B, -1)
        if (rows < k).any():
            growth[np.arange(k) >= rows[..., None]] = -np.inf
        intervals, rejections, widest, rates, failed = totals[:, 2 * k :].T
        self.rates, failed = rates.copy(), (failed > 0.0) | skip
        error, noise = totals[:, :k], totals[:, k : 2 * k]
        return Found(growth, error, noise, intervals, rejections, widest, failed)


def fits(program: Program, vectors: int, device: Device) -> bool:
    """Return whether frames of a program, before and after a step, fit into shared memory."""
    if any(isinstance(t.matrix, Sparse) for a in program.assignments for t in a.terms):
        return False
    return shared_bytes(program, vectors, device) <= device.shared_bytes


def shared_bytes(program: Program, k: int, device: Device) -> int:
    """Return the shared memory of a block: two frames, norms, and a matrix or what a QR needs."""
    sums = lower(program).sums
    sizes = (one.target.size * each.source.size for one in sums for each in one.products)
    room = max(max(sizes, default=0), scratch(k))
    return (2 * k * _row(program) + k + room) * device.precision.itemsize


def _row(program: Program) -> int:
    # odd, as in `Orthonormalizer`
    return max(program.width, program.state_size + 1) | 1


def _step_text(one: Sum) -> str:
    """Return an assignment: diagonal terms, and one product after the other."""
    products = "".join(_product_text(product, one) for product in one.products)
    return sum_text(one, (), one.diagonal) + (products or "\n    __syncthreads();")


def _product_text(product: Product, one: Sum) -> str:
    """Return what adds a product."""
    source = f"{'result' if product.new else 'frame'} + {product.source.start}"
    arguments = f"{source}, rows, matrix, result + {one.target.start}"
    call = f"add_product<{one.target.size}, {product.source.size}>({arguments});"
    return f"{matrix_text(product, one.target.size)}\n    {call}"
