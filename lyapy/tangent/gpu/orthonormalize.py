"""Reorthonormalization of many frames: Gram–Schmidt in shared memory, and by halves above that.

A panel of rows that fits into the shared memory of a block of threads is orthonormalized there;
a larger frame by halves, the second one projected on the first by two products, twice. Each row
has one more entry, b, which is treated as the row is: it ends as that of R⁻ᵀ b.
"""

import numpy as np

from ...arrays import Array
from .. import interval
from ..interval import Control
from .device import Device, Kernel
from .kernel_text import HELPERS, cuda_functions, trajectory_kernel

__all__ = ["THREADS", "Orthonormalizer", "library", "scratch"]

# of a block: one for each entry of a row of 256
THREADS = 256
# rows that are projected together on those before them in the panel, 4 by a thread: each entry
# read from shared memory then serves 4 products
GROUP = 8
# adders of a row's norm
ADDERS = 32

# each after those that it calls
FUNCTIONS = (
    *("effective_spread", "disturbed_spread", "interval_spread", "next_interval", "first_steps"),
    *("shortened", "repeated_steps", "next_rate", "dual_sign", "exponential", "image_noise"),
    "counted_growth",
)

# `rows` holds m rows of n + 1 entries, the last one b's. `scratch` holds what `scratch` says.
TEXT = """
struct Extremes { double largest, smallest, dual; };
struct Counted { double growth, error, noise; };

// Adds up products of `count` rows from `first` on with rows `from` to `to`, and subtracts the
// projections. A thread takes Q rows at a time; several share a product where there are few.
template <int Q> __device__ void project(
    real* rows, int from, int to, int first, int count, int n, int stride, real* scratch)
{
    real* pieces = scratch;
    real* products = scratch + 4 * THREADS;
    const int thread = threadIdx.x, threads = blockDim.x;
    const int before = to - from, groups = (count + Q - 1) / Q, items = before * groups;
    int split = 1;
    while (2 * split * items <= THREADS && split < ADDERS) split *= 2;
    for (int a = thread; a < items * split; a += threads) {
        const int s = a % split, item = a / split, q = item / before * Q;
        const real* one = rows + (from + item % before) * stride;
        const real* others[Q];
        real sums[Q];
        #pragma unroll
        for (int i = 0; i < Q; i++) {
            others[i] = rows + (first + (q + i < count ? q + i : count - 1)) * stride;
            sums[i] = 0;
        }
        for (int c = s; c < n; c += split) {
            const real entry = one[c];
            #pragma unroll
            for (int i = 0; i < Q; i++) sums[i] += entry * others[i][c];
        }
        #pragma unroll
        for (int i = 0; i < Q; i++)
            (split > 1 ? pieces : products)[(item * Q + i) * split + s] = sums[i];
    }
    __syncthreads();
    if (split > 1) {
        for (int d = thread; d < items * Q; d += threads) {
            real sum = 0;
            for (int s = 0; s < split; s++) sum += pieces[d * split + s];
            products[d] = sum;
        }
        __syncthreads();
    }
    for (int a = thread; a < groups * (n + 1); a += threads) {
        const int c = a % (n + 1), q = a / (n + 1) * Q;
        real entries[Q];
        #pragma unroll
        for (int i = 0; i < Q; i++)
            entries[i] = q + i < count ? rows[(first + q + i) * stride + c] : 0;
        for (int j = 0; j < before; j++) {
            const real entry = rows[(from + j) * stride + c];
            const real* found = products + (q / Q * before + j) * Q;
            #pragma unroll
            for (int i = 0; i < Q; i++) entries[i] -= found[i] * entry;
        }
        #pragma unroll
        for (int i = 0; i < Q; i++)
            if (q + i < count) rows[(first + q + i) * stride + c] = entries[i];
    }
    __syncthreads();
}

// Orthonormalizes the rows, writes R_ii, and returns the extremes found so far.
__device__ Extremes orthonormalize(
    real* rows, int m, int n, int stride, real* norms, real* scratch, Extremes found)
{
    const int thread = threadIdx.x, threads = blockDim.x;
    for (int i = 0; i < m; i++) {
        const int start = i / GROUP * GROUP, group = m - start < GROUP ? m - start : GROUP;
        for (int pass = 0; pass < 2 && i == start && i > 0; pass++)
            project<4>(rows, 0, start, start, group, n, stride, scratch);
        for (int pass = 0; pass < 2 && i > start; pass++)
            project<1>(rows, start, i, i, 1, n, stride, scratch);
        real* row = rows + i * stride;
        for (int a = thread; a < ADDERS; a += threads) {
            real sum = 0;
            for (int c = a; c < n; c += ADDERS) sum += row[c] * row[c];
            scratch[a] = sum;
        }
        __syncthreads();
        real square = 0;
        for (int a = 0; a < ADDERS; a++) square += scratch[a];
        const real norm = sqrt(square);
        for (int c = thread; c <= n; c += threads) row[c] /= norm;
        if (thread == 0) norms[i] = norm;
        __syncthreads();
        // NaN goes on
        const double dual = fabs((double)row[n]);
        found.largest = norm > found.largest || norm != norm ? norm : found.largest;
        found.smallest = norm < found.smallest || norm != norm ? norm : found.smallest;
        found.dual = dual > found.dual || dual != dual ? dual : found.dual;
    }
    return found;
}

__device__ double spread_of(Extremes found)
{
    const double largest = log(found.largest), smallest = log(found.smallest);
    const double spread = interval_spread(largest, smallest, found.dual, LIMIT);
    // NaN and infinity have made it infinite
    return greater_of(spread, greater_of(fabs(largest), fabs(smallest)) * LIMIT / LOG_RANGE);
}

// The growth of vector i in an interval, its rounding error, and its noise.
__device__ Counted counted(int i, const real* norms, const real* duals, int stride, Extremes found)
{
    const double log_r = log((double)norms[i]), largest = log(found.largest);
    double noise = image_noise(log_r, largest, duals[i * stride], FIXED);
    // a vector of rounding only points anywhere, and those after it depend on that
    for (int j = 0; FIXED > 1 && j < i; j++) {
        const double log_j = log((double)norms[j]);
        const double other = image_noise(log_j, largest, duals[j * stride], FIXED);
        if (ROUNDOFF * other > 1.0) noise = greater_of(noise, other);
    }
    return {counted_growth(log_r, largest, LIMIT, FLOOR), ROUNDOFF * noise, noise};
}
"""
# A panel of `m` rows from `first` on of frames of k rows. `norms` (B, k) and `state` (B, 4), the
# extremes and the spread, hold what the panels before have left. ROW is 0 where not even one row
# fits into shared memory: slow, and as right.
PANEL = """
    extern __shared__ double memory[];
    const int rows = (int)m;
    real* frame = frames + b * k * width;
    if (first == 0)
        for (int i = thread; i < k; i += threads) frame[i * width + D] = dual_sign(i);
    __syncthreads();
    real* scratch = (real*)memory;
    real* given = frame + first * width;
    real* tile = ROW ? scratch + SCRATCH : given;
    const int stride = ROW ? ROW : (int)width, entries = ROW ? rows * (D + 1) : 0;
    for (int i = thread; i < entries; i += threads)
        tile[i / (D + 1) * stride + i % (D + 1)] = given[i / (D + 1) * width + i % (D + 1)];
    double* mine = state + 4 * b;
    Extremes found = {0.0, 1.0 / 0.0, 0.0};
    if (first > 0) found = {mine[0], mine[1], mine[2]};
    // all have read it before one writes
    __syncthreads();
    found = orthonormalize(tile, rows, D, stride, norms + b * k + first, scratch, found);
    for (int i = thread; i < entries; i += threads)
        given[i / (D + 1) * width + i % (D + 1)] = tile[i / (D + 1) * stride + i % (D + 1)];
    if (thread == 0) {
        mine[0] = found.largest;
        mine[1] = found.smallest;
        mine[2] = found.dual;
        mine[3] = spread_of(found);
    }
    __syncthreads();
    if (first + m < k) return;
    for (int i = thread; i < k; i += threads) {
        const Counted one = counted(i, norms + b * k, frame + D, width, found);
        const long long at = b * 3 * all + i;
        results[at] = sums[at] + one.growth;
        results[at + all] = sums[at + all] + one.error;
        results[at + 2 * all] = one.noise;
    }"""


def library(device: Device, control: Control, state_size: int, **values: object) -> str:
    """Return the device functions, for frames of so many columns, and further constants."""
    precision = device.precision
    values |= {
        "D": state_size,
        "THREADS": THREADS,
        "GROUP": GROUP,
        "ADDERS": ADDERS,
        "LIMIT": repr(control.limit),
        "FIXED": f"{control.fixed}LL",
        "LOG_RANGE": repr(precision.log_range),
        "ROUNDOFF": repr(precision.roundoff),
        "FLOOR": repr(float(np.log(state_size * precision.roundoff))),
    }
    given = "".join(f"#define {name} {value}\n" for name, value in values.items())
    functions = cuda_functions(*(getattr(interval, name) for name in FUNCTIONS))
    return given + HELPERS + functions + TEXT


def scratch(rows: int) -> int:
    """Return the entries that `orthonormalize` needs besides the rows."""
    return 4 * THREADS + rows * GROUP


class Orthonormalizer:
    """Orthonormalizes the rows of frames (B, k, width), in place; entry D of a row is b's."""

    def __init__(self, vectors: int, state_size: int, device: Device, control: Control) -> None:
        self.device, self.itemsize = device, device.precision.itemsize
        self.state_size = state_size
        # odd: threads with a row each do not meet at a bank of shared memory
        row, room = (state_size + 1) | 1, device.shared_bytes // self.itemsize
        fitting = (room - 4 * THREADS) // (row + GROUP)
        self.row = row if fitting else 0
        # panels of about the same length
        most = min(fitting or max((room - 4 * THREADS) // GROUP, 1), vectors)
        self.panel = -(-vectors // -(-vectors // most))
        values = {"ROW": self.row, "SCRATCH": scratch(self.panel)}
        before = library(device, control, state_size, **values)
        given = ["real* frames", "real* norms", "double* state", "const double* sums"]
        given += ["double* results", "long long first", "long long m", "long long k"]
        given += ["long long width", "long long all"]
        text = trajectory_kernel("panel", given, PANEL, before)
        self._kernel: Kernel = device.compile(text, "panel")
        # norms and state, by how many frames and rows; written again each time
        self._kept: dict[tuple[int, int], tuple[Array, Array]] = {}

    def __call__(self, frames: Array, sums: Array) -> tuple[Array, Array]:
        """Orthonormalize; return in float64 growth, its error, and noise, added to ``sums``.

        They are (B, 3, k or more). Also (B, 4): the extremes of R_ii and |R⁻ᵀ b|_i, the spread.
        """
        B, k, _ = frames.shape
        if (B, k) not in self._kept:
            self._kept[B, k] = self.device.new(B, k), self.device.empty((B, 4), "float64")
        (norms, state), results = self._kept[B, k], self.device.empty(sums.shape, "float64")
        self._orthonormalize(frames, 0, k, (norms, state, sums, results))
        return results, state

    def _orthonormalize(
        self, frames: Array, first: int, count: int, arrays: tuple[Array, ...]
    ) -> None:
        B, k, width = frames.shape
        if count <= self.panel:
            shared = (scratch(self.panel) + count * self.row) * self.itemsize
            numbers = first, count, k, width, arrays[-1].shape[2], 1
            self._kernel(B, THREADS, (frames, *arrays, *numbers), shared)
            return
        half = self.panel * -(-count // (2 * self.panel))
        self._orthonormalize(frames, first, half, arrays)
        D, multiply = self.state_size, self.device.multiply
        done = frames[:, first : first + half]
        rest = frames[:, first + half : first + count]
        products = self.device.new(B, count - half, half)
        for _ in range(2):
            multiply(rest[..., :D], np.swapaxes(done[..., :D], 1, 2), products)
            multiply(products, done[..., : D + 1], rest[..., : D + 1], -1.0, 1.0)
        self._orthonormalize(frames, first + half, count - half, arrays)
