"""All tangent steps of an interval in one launch: a block of threads for each frame.

Small networks would else wait for launches, two or more for each step.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.program import Assignment, Coefficient, Program, Term
from .choices import CHOICES
from .device import Device, Kernel
from .fused_step import diagonal_entry, even, matrix_entry
from .kernel_text import prelude
from .precision import Precision

__all__ = ["WholeInterval", "fits"]

THREADS = 256
# vectors that a thread multiplies with the same column of a matrix
TILE = 4


class WholeInterval:
    """Tangent steps of a program on frames (B, k, D) that lie in shared memory meanwhile.

    Parameters
    ----------
    program : Program
        Without sparse weights.
    device : Device
        That compiles kernels.
    precision : Precision
    """

    def __init__(self, program: Program, device: Device, precision: Precision) -> None:
        assert device.compile_kernel is not None
        self.program = program
        self.arrays: list[Array] = []
        places: dict[int, int] = {}

        def place(matrix: Array | Sparse) -> int:
            if id(matrix) not in places:
                assert not isinstance(matrix, Sparse)
                places[id(matrix)] = len(self.arrays)
                self.arrays.append(device.moved(matrix.T, precision.name))
            return places[id(matrix)]

        text = prelude(precision.name) + _text(program, place)
        self._kernel: Kernel = device.compile_kernel(text, "walk")
        self._itemsize = np.dtype(precision.name).itemsize

    def __call__(self, coefficients: Array, frame: Array) -> Array:
        """Return frames after the steps of coefficients (T, B, C)."""
        frame, stride = even(frame)
        (B, k, D), (steps, _, C) = frame.shape, coefficients.shape
        image = np.empty_like(frame, shape=(B, k, D))
        arguments = (coefficients, frame, image, *self.arrays, steps, k, stride, C)
        self._kernel(B, THREADS, arguments, shared_bytes(self.program, k, self._itemsize))
        return image


def fits(program: Program, vectors: int, device: Device, precision: Precision) -> bool:
    """Return whether frames of a program go through an interval in one launch."""
    if device.compile_kernel is None or program.width > CHOICES.interval_columns:
        return False
    if any(isinstance(t.matrix, Sparse) for a in program.assignments for t in a.terms):
        return False
    needed = shared_bytes(program, vectors, np.dtype(precision.name).itemsize)
    return needed <= device.shared_bytes


def shared_bytes(program: Program, k: int, itemsize: int) -> int:
    """Return the shared memory that frames before and after a step take, and a matrix."""
    largest = max(
        (a.target.size * group[0].source.size for a in program.assignments for group in _groups(a)),
        default=0,
    )
    return (2 * k * program.width + largest) * itemsize


def _groups(assignment: Assignment) -> list[list[Term]]:
    """Return the terms with matrices, those of one source together."""
    groups: dict[object, list[Term]] = {}
    for term in assignment.terms:
        if term.matrix is not None:
            groups.setdefault((term.source, term.new), []).append(term)
    return list(groups.values())


def _text(program: Program, place: Callable[[Array | Sparse], int]) -> str:
    width, D = program.width, program.state_size
    steps = "".join(_assignment(one, width, place) for one in program.assignments)
    used = {
        place(term.matrix)
        for one in program.assignments
        for term in one.terms
        if term.matrix is not None and not isinstance(term.matrix, Coefficient)
    }
    declared = "".join(f"const real* m{i}, " for i in sorted(used))
    return f"""extern "C" __global__ void walk(
    const real* coefficients, const real* frames, real* images, {declared}
    long long steps, long long k, long long stride, long long C)
{{
    extern __shared__ double memory[];
    real* frame = (real*)memory;
    real* result = frame + k * {width};
    real* matrix = result + k * {width};
    const int thread = threadIdx.x, threads = blockDim.x;
    const long long b = blockIdx.x, count = gridDim.x;
    for (long long i = thread; i < k * {D}; i += threads)
        frame[i / {D} * {width} + i % {D}] = frames[(b * k + i / {D}) * stride + i % {D}];
    __syncthreads();
    for (long long t = 0; t < steps; t++) {{
        const real* values = coefficients + (t * count + b) * C;
{steps}        real* before = frame;
        frame = result;
        result = before;
    }}
    for (long long i = thread; i < k * {D}; i += threads)
        images[b * k * {D} + i] = frame[i / {D} * {width} + i % {D}];
}}
"""


def _assignment(assignment: Assignment, width: int, place: Callable[[Array | Sparse], int]) -> str:
    """Return an assignment: matrices one after the other, with a barrier behind each stage."""
    target, groups = assignment.target, _groups(assignment)
    diagonal = [
        diagonal_entry(term, "values", f"result[v * {width}", f"frame[v * {width}")
        for term in assignment.terms
        if term.matrix is None
    ]
    start = " + ".join(diagonal) or "0"
    at = f"result[v * {width} + {target.start} + c]"
    text = f"""        for (long long i = thread; i < k * {target.size}; i += threads) {{
            const long long v = i / {target.size}, c = i % {target.size};
            {at} = {start};
        }}
"""
    if not groups:
        return text + "        __syncthreads();\n"
    return text + "".join(_product(group, assignment, width, place) for group in groups)


def _product(
    terms: list[Term],
    assignment: Assignment,
    width: int,
    place: Callable[[Array | Sparse], int],
) -> str:
    """Return what adds the product with Σ diag(left) · matrix · diag(right)."""
    rows, source = assignment.target.size, terms[0].source
    entry = " + ".join(matrix_entry(term, "values", place) for term in terms)
    vectors = f"({'result' if terms[0].new else 'frame'} + {source.start})"
    each = range(TILE)
    pointers = "".join(
        f"\n            const real* x{q} = {vectors} + min(v + {q}, k - 1) * {width};" for q in each
    )
    sums = ", ".join(f"y{q} = 0" for q in each)
    products = "".join(f"\n                y{q} += x{q}[c] * entry;" for q in each)
    results = "".join(
        f"\n            if (v + {q} < k) "
        f"result[(v + {q}) * {width} + {assignment.target.start} + r] += y{q};"
        for q in each
    )
    return f"""        for (long long j = thread; j < {source.size * rows}; j += threads) {{
            const long long c = j / {rows}, r = j % {rows};
            matrix[j] = {entry};
        }}
        __syncthreads();
        for (long long i = thread; i < (k + {TILE - 1}) / {TILE} * {rows}; i += threads) {{
            const long long v = i / {rows} * {TILE}, r = i % {rows};{pointers}
            real {sums};
            for (long long c = 0; c < {source.size}; c++) {{
                const real entry = matrix[c * {rows} + r];{products}
            }}{results}
        }}
        __syncthreads();
"""
