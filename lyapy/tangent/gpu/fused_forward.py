"""The forward pass with few launches: a product, and one kernel for all that follows it.

A step computed operation by operation launches a kernel for each, some sixty for a GRU. Traced,
it is products with weights and expressions of single entries between them; those between two
products go into one kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...cells.base import Step, Vectors
from ...networks.forward import layer_forward
from .device import Device, Kernel
from .kernel_text import BLOCK, Place, Written, grid_for, grid_kernel, loops, over_all
from .precision import Precision
from .trace import Matrix, NotTraceableError, Tape, Traced

__all__ = ["FusedForward"]

# of a block that takes a trajectory through time
THREADS = 256
# of a state whose steps are one launch: a multiprocessor multiplies 64 × 64 matrices in about the
# time of a launch
MOST_COLUMNS = 64


class _Product(NamedTuple):
    """A product of a vector (size,) with a matrix (size, rows).

    The vector is columns of the state, or one that a kernel has written where they are None.
    """

    columns: slice | None
    size: int
    rows: int
    matrix: Array


class _Plan(NamedTuple):
    """A step: stages of a kernel, the products that can be taken after it, and its entries.

    ``constants`` are vectors of the weights, ``written`` the products whose vectors kernels write,
    and ``whole`` the kernel of all steps, where the layer is small.
    """

    stages: list[tuple[Kernel | None, list[int], int]]
    products: list[_Product]
    constants: list[Array]
    written: list[int]
    whole: Kernel | None


class FusedForward:
    """The loop of a layer over time, as `layer_forward`, with a kernel for each stage of a step.

    Parameters
    ----------
    device : Device
        That compiles kernels.
    precision : Precision
    most_columns : int, optional
        Of a state whose steps are one launch.

    Attributes
    ----------
    plain : set of str
        Why steps were computed operation by operation.
    """

    def __init__(
        self, device: Device, precision: Precision, most_columns: int = MOST_COLUMNS
    ) -> None:
        self.device = device
        self.precision = precision
        self.most_columns = most_columns
        self.plain: set[str] = set()
        # a layer keeps its weights as long as its network lives
        self._plans: dict[tuple[int, int], tuple[object, _Plan | None]] = {}

    def __call__(
        self, step: Step, weights: object, drive: Array, states: Array, coefficients: Array
    ) -> None:
        """Run ``step`` over time: states[t] → states[t + 1], coefficients[t]."""
        key = id(weights), coefficients.shape[-1]
        if key not in self._plans:
            self._plans[key] = weights, self._make_plan(step, weights, drive, states, coefficients)
        plan = self._plans[key][1]
        if plan is None or not all(a.flags.c_contiguous for a in (drive, states, coefficients)):
            layer_forward(step, weights, drive, states, coefficients)
        else:
            self._run(plan, drive, states, coefficients)

    def _run(self, plan: _Plan, drive: Array, states: Array, coefficients: Array) -> None:
        B = states.shape[1]
        if plan.whole is not None:
            sizes = [one.rows for one in plan.products]
            sizes += [plan.products[j].size for j in plan.written]
            scratch = [np.empty_like(states, shape=(B, size)) for size in sizes]
            arrays = (states, drive, coefficients, *plan.constants, *scratch)
            matrices = (one.matrix for one in plan.products)
            plan.whole(B, THREADS, (*arrays, *matrices, len(drive), B))
            return
        results = [np.empty_like(states, shape=(B, one.rows)) for one in plan.products]
        vectors = {j: np.empty_like(states, shape=(B, plan.products[j].size)) for j in plan.written}
        given = (states, drive, coefficients, *plan.constants)
        for t in range(len(drive)):
            for kernel, products, entries in plan.stages:
                if kernel is not None:
                    arrays = (*given, *results, *vectors.values())
                    kernel(grid_for(B * entries), BLOCK, (*arrays, t, B))
                for j in products:
                    columns, _, _, matrix = plan.products[j]
                    vector = vectors[j] if columns is None else states[t][:, columns]
                    self.device.multiply(vector[None], matrix, results[j][None])

    def _make_plan(
        self, step: Step, weights: object, drive: Array, states: Array, coefficients: Array
    ) -> _Plan | None:
        sizes = states.shape[-1], drive.shape[-1], coefficients.shape[-1]
        try:
            small = sizes[0] <= self.most_columns
            return _plan(step, weights, sizes, self.device, self.precision, small)
        except NotTraceableError as error:
            self.plain.add(str(error))
            return None


def _plan(
    step: Step,
    weights: object,
    sizes: tuple[int, int, int],
    device: Device,
    precision: Precision,
    small: bool,
) -> _Plan:
    D, rows, C = sizes
    tape, constants = Tape(), list[Array]()
    reads = (("state", D), ("drive", rows))
    state, drive = (Traced(tape, tape.add(("read", name, 0), size)) for name, size in reads)
    new_state, values = step(_wrapped(weights, tape, constants), state, drive)
    levels = _levels(tape)
    products = [_product(tape, *one, small) for one in tape.products]
    written = [j for j, product in enumerate(products) if product.columns is None]
    places = {
        "state": Place("state", D),
        "drive": Place("drive_now", rows),
        **{f"c{i}": Place(f"c{i}", 0) for i in range(len(constants))},
        **{f"p{j}": Place(f"p{j}", product.rows) for j, product in enumerate(products)},
        **{f"x{j}": Place(f"x{j}", products[j].size) for j in written},
    }
    outputs = [
        *_placed(tape, Place("new_state", D), new_state),
        *_placed(tape, Place("values", C), values),
    ]
    last = max([levels[result.number] for result in outputs], default=0)
    stages = []
    for level in range(last):
        ready = [j for j, (number, _) in enumerate(tape.products) if levels[number] == level]
        results = [
            Written(places[f"x{j}"], 0, products[j].size, tape.products[j][0])
            for j in ready
            if j in written
        ]
        stages.append((results, ready))
    stages.append((outputs, []))
    declared = [f"real* {name}" for name in ("states", "drive", "coefficients")]
    declared += [f"const real* c{i}" for i in range(len(constants))]
    declared += [f"real* p{j}" for j in range(len(products))] + [f"real* x{j}" for j in written]
    before = [
        f"const real* state = states + t * count * {D};",
        f"real* new_state = states + (t + 1) * count * {D};",
        f"const real* drive_now = drive + t * count * {rows};",
        f"real* values = coefficients + t * count * {C};",
    ]

    def compiled(text: str, name: str) -> Kernel:
        return device.compile_kernel(precision.prelude + text, name, exact=True)

    if small:
        text = _whole_text(tape, places, stages, declared, before, products)
        return _Plan([], products, constants, written, compiled(text, "pass"))
    kernels = []
    for results, ready in stages:
        kernel = None
        if results:
            body = [*before, *loops(tape, places, results, over_all)]
            kernel = compiled(grid_kernel("stage", [*declared, "long long t"], body), "stage")
        kernels.append((kernel, ready, max((result.size for result in results), default=0)))
    return _Plan(kernels, products, constants, written, None)


def _whole_text(
    tape: Tape,
    places: dict[str, Place],
    stages: list[tuple[list[Written], list[int]]],
    declared: list[str],
    before: list[str],
    products: list[_Product],
) -> str:
    """Return the kernel of all steps: a block of threads takes each trajectory through time.

    Each block reads the weights, which pays where launches are waited for.
    """
    lines = list(before)
    for results, ready in stages:
        if results:
            lines += [*loops(tape, places, results, _over_block), "__syncthreads();"]
        for j in ready:
            lines += _product_text(j, products[j], places["state"].stride)
        if ready:
            lines.append("__syncthreads();")
    matrices = [f"const real* w{j}" for j in range(len(products))]
    head = ",\n    ".join([*declared, *matrices, "long long steps", "long long count"])
    body = "\n".join(f"        {line}" for line in lines)
    return f"""extern "C" __global__ void pass(
    {head})
{{
    const int thread = threadIdx.x, threads = blockDim.x;
    const long long b = blockIdx.x;
    for (long long t = 0; t < steps; t++) {{
{body}
    }}
}}
"""


def _over_block(size: int) -> list[str]:
    return [f"for (long long j = thread; j < {size}; j += threads) {{"]


def _product_text(j: int, product: _Product, D: int) -> list[str]:
    columns, size, rows, _ = product
    vector = f"x{j} + b * {size}" if columns is None else f"state + b * {D} + {columns.start}"
    return [
        f"for (long long r = thread; r < {rows}; r += threads) {{",
        f"    const real* vector = {vector};",
        "    real sum = 0;",
        f"    for (long long c = 0; c < {size}; c++) sum += vector[c] * w{j}[c * {rows} + r];",
        f"    p{j}[b * {rows} + r] = sum;",
        "}",
    ]


def _wrapped(weights: Any, tape: Tape, constants: list[Array]) -> Any:
    """Return weights whose arrays are traced."""
    if isinstance(weights, (int, float)):
        return weights
    if isinstance(weights, tuple):
        inside = [_wrapped(weight, tape, constants) for weight in weights]
        return type(weights)(*inside) if hasattr(weights, "_fields") else tuple(inside)
    if hasattr(weights, "nnz"):
        raise NotTraceableError("a sparse weight")
    if getattr(weights, "ndim", 0) not in (1, 2) or weights.dtype.kind != "f":
        raise NotTraceableError(f"a weight of type {type(weights).__name__}")
    source = f"c{len(constants)}"
    constants.append(weights)
    if weights.ndim == 2:
        return Matrix(tape, weights, source)
    return Traced(tape, tape.add(("read", source, 0), len(weights)))


def _levels(tape: Tape) -> list[int]:
    """Return for each expression how many products one after the other lead to it."""
    levels: list[int] = []
    for number, entry in enumerate(tape.entries):
        level = max((levels[a] for a in tape.arguments(number)), default=0)
        if entry[0] == "read" and entry[1].startswith("p"):
            level = levels[tape.products[int(entry[1][1:])][0]] + 1
        levels.append(level)
    return levels


def _product(tape: Tape, number: int, matrix: Array, small: bool) -> _Product:
    entry, size = tape.entries[number], tape.sizes[number]
    columns = None
    if entry[:2] == ("read", "state"):
        columns = slice(entry[2], entry[2] + size)
    # a kernel reads row after row
    return _Product(columns, size, matrix.shape[1], matrix.copy() if small else matrix)


def _placed(tape: Tape, place: Place, vectors: Vectors) -> Iterator[Written]:
    """Yield the vectors that a step returned, next to each other."""
    start = 0
    for vector in vectors:
        number = tape.number(vector)
        yield Written(place, start, tape.sizes[number], number)
        start += tape.sizes[number]
