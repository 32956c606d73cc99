"""The forward pass of a layer in one launch: a block of threads takes each trajectory through time.

A step computed operation by operation launches a kernel for each, some sixty for a GRU. Traced,
it is products with weights, and expressions of single entries between them.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ...arrays import Array
from ...cells.base import Step, Vectors
from ...networks.forward import layer_forward
from .device import Device, Kernel
from .kernel_text import trajectory_kernel
from .trace import Lines, NotTraceableError, Products, Traced, traced_weights

__all__ = ["FusedForward"]

# of the block that takes a trajectory through time
THREADS = 256
# of weights that a block reads at each step, 16 MB: takes about as long as launching the
# operations of a step one by one
MOST_ENTRIES = 2**21


class _Pass(NamedTuple):
    """The kernel of all steps, with vectors and matrices of the weights, and scratch entries."""

    kernel: Kernel
    weights: tuple[Array, ...]
    scratch: int


class FusedForward:
    """The loop of a layer over time, as `layer_forward`, in one launch where it can be traced.

    Attributes
    ----------
    plain : set of str
        Why steps were computed operation by operation.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.plain: set[str] = set()
        # a layer keeps its weights as long as its network lives
        self._passes: dict[tuple[int, int], tuple[object, _Pass | None]] = {}

    def __call__(
        self, step: Step, weights: object, drive: Array, states: Array, coefficients: Array
    ) -> None:
        """Run ``step`` over time: states[t] → states[t + 1], coefficients[t]."""
        sizes = states.shape[-1], drive.shape[-1], coefficients.shape[-1]
        key = id(weights), sizes[2]
        if key not in self._passes:
            self._passes[key] = weights, self._make_pass(step, weights, sizes)
        found, B = self._passes[key][1], states.shape[1]
        if found is None or not all(a.flags.c_contiguous for a in (drive, states, coefficients)):
            layer_forward(step, weights, drive, states, coefficients)
            return
        scratch = self.device.new(B, found.scratch)
        arrays = (states, drive, coefficients, scratch, *found.weights)
        found.kernel(B, THREADS, (*arrays, len(drive), B, 1))

    def _make_pass(self, step: Step, weights: object, sizes: tuple[int, int, int]) -> _Pass | None:
        products, arrays = Products(), list[Array]()
        state, drive = (
            Traced(products, *one) for one in zip(sizes, ("state", "now"), strict=False)
        )
        try:
            results = step(traced_weights(weights, products, arrays), state, drive)
            entries = sum(matrix.size for _, matrix in products)
            if entries > MOST_ENTRIES:
                raise NotTraceableError(f"its weights have {entries} entries")
            steps = "\n        ".join(_step_lines(products, *results))
        except NotTraceableError as error:
            self.plain.add(str(error))
            return None
        (D, rows, C), scratch, pointers = sizes, 0, list[str]()
        for j, (vector, matrix) in enumerate(products):
            pointers.append(f"real* p{j} = scratch + b * SCRATCH + {scratch};")
            pointers.append(f"real* x{j} = p{j} + {matrix.shape[1]};")
            scratch += matrix.shape[1] + vector.size
        body = f"""    {" ".join(pointers)}
    for (long long t = 0; t < steps; t++) {{
        const real* state = states + (t * count + b) * {D};
        real* new_state = states + ((t + 1) * count + b) * {D};
        const real* now = drive + (t * count + b) * {rows};
        real* values = coefficients + (t * count + b) * {C};
        {steps}
    }}"""
        given = ["real* states", "const real* drive", "real* coefficients", "real* scratch"]
        given += [f"const real* c{i}" for i in range(len(arrays))]
        given += [f"const real* w{j}" for j in range(len(products))]
        given += ["long long steps", "long long count"]
        text = trajectory_kernel("pass", given, body, f"#define SCRATCH {scratch}")
        # a kernel reads row after row
        matrices = (matrix.copy() for _, matrix in products)
        kernel = self.device.compile(text, "pass", exact=True)
        return _Pass(kernel, (*arrays, *matrices), scratch)


def _step_lines(products: Products, state: Vectors, values: Vectors) -> Iterator[str]:
    """Yield the text of a step: products, each after what it multiplies, and then the results."""
    outputs = [*_placed("new_state", state), *_placed("values", values)]
    for level in range(max((vector.level for vector, _ in outputs), default=0)):
        ready = [j for j, (vector, _) in enumerate(products) if vector.level == level]
        written = [(products[j][0], f"x{j}") for j in ready if not products[j][0].pointer]
        if written:
            yield from _loops(written)
            yield "__syncthreads();"
        for j in ready:
            vector, rows = products[j][0], products[j][1].shape[1]
            yield f"for (long long r = thread; r < {rows}; r += threads) {{"
            yield "    real sum = 0;"
            # loads that wait for one another would take the time of memory's answer each
            yield "    #pragma unroll 8"
            yield f"    for (long long c = 0; c < {vector.size}; c++)"
            yield f"        sum += {vector.pointer or f'x{j}'}[c] * w{j}[c * {rows} + r];"
            yield f"    p{j}[r] = sum;"
            yield "}"
        yield "__syncthreads();"
    yield from _loops(outputs)
    yield "__syncthreads();"


def _placed(array: str, vectors: Vectors) -> Iterator[tuple[Traced, str]]:
    """Yield the vectors that a step returned, and where they go, next to each other."""
    start = 0
    for vector in vectors:
        if not isinstance(vector, Traced):
            raise NotTraceableError(f"a {type(vector).__name__} is returned")
        yield vector, f"({array} + {start})"
        start += vector.size


def _loops(results: list[tuple[Traced, str]]) -> Iterator[str]:
    """Yield a loop for the results of each size."""
    for size in sorted({vector.size for vector, _ in results}):
        lines = Lines()
        for vector, target in results:
            if vector.size == size:
                lines.append(f"    {target}[j] = {vector.entry('j', lines)};")
        yield f"for (long long j = thread; j < {size}; j += threads) {{"
        yield from lines
        yield "}"
