"""A tile of time of small frames in one launch: a block of threads follows each trajectory.

Tangent steps, reorthonormalizations, the choice of intervals and the count of growth are all done
on the device, with frames in shared memory; the host waits once for each tile.
"""

from __future__ import annotations

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.program import Program
from ..interval import Control
from ..lowering import Product, Sum, lower
from .device import Device
from .orthonormalize import THREADS, library, row_length, scratch
from .precision import Precision
from .step import diagonal_entry, matrix_entry, moved_matrices

__all__ = ["WholeTile", "fits", "shared_bytes"]

# results of a trajectory after growth, error and noise of its vectors: intervals, rejections, the
# largest spread, the rate, and whether it failed
RESULTS = 5
# vectors and entries of each that a thread computes together
VECTORS, ENTRIES = 4, 2

TEXT = """
extern "C" __global__ void whole_tile(const real* coefficients, const real* frames, real* images,
    const double* alive, double* rates, double* results, {matrices}long long steps,
    long long k, long long width, long long C)
{{
    extern __shared__ double memory[];
    real* frame = (real*)memory;
    real* result = frame + k * ROW;
    real* norms = result + k * ROW;
    real* matrix = norms + k;
    const int thread = threadIdx.x, threads = blockDim.x;
    const long long b = blockIdx.x, at = b * k * width;
    const int rows = (int)alive[b];
    double* sums = results + b * (3 * k + {results});
    for (int i = thread; i < k; i += threads)
        sums[i] = sums[k + i] = sums[2 * k + i] = 0.0;
    double rate = rates[b], widest = 0.0;
    long long start = 0, intervals = 0, rejections = 0;
    bool failed = false;
    const real* given = frames + at;
    // what a thread stores it loads again itself; so no barrier is needed between
    while (rows > 0 && start < steps && !failed) {{
        const long long left = steps - start;
        long long taken = first_steps(rate, left, LIMIT, FIXED);
        double spread;
        Extremes found;
        while (true) {{
            for (int i = thread; i < rows * D; i += threads)
                frame[i / D * ROW + i % D] = given[i / D * width + i % D];
            __syncthreads();
            for (long long t = start; t < start + taken; t++) {{
                const real* values = coefficients + (t * gridDim.x + b) * C;
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
        failed = !(spread < 1.0 / 0.0) || (taken == 1 && FIXED <= 1 && spread > LIMIT);
        if (failed) break;
        for (int i = thread; i < rows; i += threads)
            count_vector(sums + i, sums + i, k, norms[i], frame[i * ROW + D], log(found.largest));
        for (int i = thread; i < rows * D; i += threads)
            images[at + i / D * width + i % D] = frame[i / D * ROW + i % D];
        given = images + at;
        rate = next_rate(rate, spread, taken);
        widest = greater_of(widest, spread);
        start += taken;
        intervals++;
    }}
    for (int i = rows * D + thread; i < k * D; i += threads)
        images[at + i / D * width + i % D] = frames[at + i / D * width + i % D];
    if (thread == 0) {{
        double* last = sums + 3 * k;
        last[0] = intervals;
        last[1] = rejections;
        last[2] = widest;
        last[3] = rates[b] = rate;
        last[4] = failed;
    }}
}}
"""


class WholeTile:
    """Tangent steps and reorthonormalizations of frames (B, k, width) over a tile of time.

    Parameters
    ----------
    program : Program
        Without sparse weights.
    """

    def __init__(
        self, program: Program, device: Device, precision: Precision, control: Control
    ) -> None:
        lowered = lower(program)
        self.program = program
        self._matrices = moved_matrices(lowered, device, precision)
        self._itemsize = np.dtype(precision.name).itemsize
        text = TEXT.format(
            matrices="".join(f"const real* m{i}, " for i in range(len(self._matrices))),
            results=RESULTS,
            steps="".join(_sum_text(one) for one in lowered.sums),
        )
        sizes = f"#define ROW {_row(program)}\n#define FIXED {control.fixed}LL\n"
        functions = library(control, precision, program.state_size)
        self._kernel = device.compile_kernel(functions + sizes + text, "whole_tile")

    def __call__(
        self, coefficients: Array, frames: Array, alive: Array, rates: Array
    ) -> tuple[Array, Array]:
        """Return frames after a tile, and results (B, 3 k + 5).

        Parameters
        ----------
        coefficients : array (T, B, C)
        alive, rates : array (B,)
            Living directions, and the spread expected per step, which is changed; in float64.

        Returns
        -------
        images : array (B, k, width)
        results : array (B, 3 k + 5)
            Growth, error and noise of each vector; intervals, rejections, largest spread, rate,
            and whether it failed.
        """
        (B, k, width), (steps, _, C) = frames.shape, coefficients.shape
        images = np.empty_like(frames)
        results = np.empty_like(rates, shape=(B, 3 * k + RESULTS))
        arrays = (coefficients, frames, images, alive, rates, results, *self._matrices)
        shared = shared_bytes(self.program, k, self._itemsize)
        self._kernel(B, THREADS, (*arrays, steps, k, width, C), shared)
        return images, results


def fits(program: Program, vectors: int, device: Device, precision: Precision) -> bool:
    """Return whether frames of a program, before and after a step, fit into shared memory."""
    if any(isinstance(t.matrix, Sparse) for a in program.assignments for t in a.terms):
        return False
    itemsize = np.dtype(precision.name).itemsize
    return shared_bytes(program, vectors, itemsize) <= device.shared_bytes


def shared_bytes(program: Program, k: int, itemsize: int) -> int:
    """Return the shared memory of a block: two frames, norms, and a matrix or what a QR needs."""
    largest = max(
        (
            one.target.size * product.source.size
            for one in lower(program).sums
            for product in one.products
        ),
        default=0,
    )
    return (2 * k * _row(program) + k + max(largest, scratch(k))) * itemsize


def _row(program: Program) -> int:
    return row_length(max(program.width, program.state_size + 1))


def _sum_text(one: Sum) -> str:
    """Return an assignment: diagonal terms, and one product after the other."""
    target, summands = (
        one.target,
        [diagonal_entry(term, "values", "image", "vector") for term in one.diagonal],
    )
    text = f"""
                for (int i = thread; i < rows * {target.size}; i += threads) {{
                    const int c = i % {target.size};
                    const real* vector = frame + i / {target.size} * ROW;
                    real* image = result + i / {target.size} * ROW;
                    image[{target.start} + c] = {" + ".join(summands) or "0"};
                }}"""
    products = [_product_text(product, one) for product in one.products]
    return text + ("".join(products) or "\n                __syncthreads();")


def _product_text(product: Product, one: Sum) -> str:
    """Return what adds a product: its matrix is written once, and multiplied in tiles."""
    rows, columns = one.target.size, product.source.size
    entries = [matrix_entry(summand, columns, "values") for summand in product.summands]
    vectors = f"{'result' if product.new else 'frame'} + {product.source.start}"
    apart = -(-rows // ENTRIES)
    return f"""
                for (int j = thread; j < {columns * rows}; j += threads) {{
                    const int c = j / {rows}, r = j % {rows};
                    matrix[j] = {" + ".join(entries)};
                }}
                __syncthreads();
                for (int i = thread; i < (rows + {VECTORS - 1}) / {VECTORS} * {apart};
                     i += threads) {{
                    const int v = i / {apart} * {VECTORS}, r = i % {apart};
                    const real* x[{VECTORS}];
                    real y[{VECTORS}][{ENTRIES}];
                    #pragma unroll
                    for (int p = 0; p < {VECTORS}; p++) {{
                        x[p] = {vectors} + (v + p < rows ? v + p : rows - 1) * ROW;
                        #pragma unroll
                        for (int q = 0; q < {ENTRIES}; q++) y[p][q] = 0;
                    }}
                    for (int c = 0; c < {columns}; c++) {{
                        #pragma unroll
                        for (int q = 0; q < {ENTRIES}; q++) {{
                            const int s = r + q * {apart} < {rows} ? r + q * {apart} : {rows - 1};
                            const real entry = matrix[c * {rows} + s];
                            #pragma unroll
                            for (int p = 0; p < {VECTORS}; p++) y[p][q] += x[p][c] * entry;
                        }}
                    }}
                    #pragma unroll
                    for (int p = 0; p < {VECTORS}; p++)
                        #pragma unroll
                        for (int q = 0; q < {ENTRIES}; q++)
                            if (v + p < rows && r + q * {apart} < {rows})
                                result[(v + p) * ROW + {one.target.start} + r + q * {apart}]
                                    += y[p][q];
                }}
                __syncthreads();"""
