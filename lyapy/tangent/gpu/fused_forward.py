"""The forward pass of a layer in one launch: a block of threads takes each trajectory through time.

A step computed operation by operation launches a kernel for each, some sixty for a GRU. Traced,
it is products with weights, and expressions of single entries between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...cells.base import Step, Vectors
from ...networks.forward import layer_forward
from .device import Device, Kernel
from .kernel_text import trajectory_kernel
from .precision import Precision
from .trace import Matrix, NotTraceableError, Tape, Traced

__all__ = ["FusedForward"]

# of the block that takes a trajectory through time
THREADS = 256
# of weights that a block reads at each step, 16 MB: takes about as long as launching the
# operations of a step one by one
MOST_ENTRIES = 2**21

INFIX = {
    **{"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "true_divide": "/"},
    **{"equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">"},
    **{"greater_equal": ">=", "logical_and": "&&", "logical_or": "||"},
}
SAME = ("cos", "exp", "expm1", "log", "log1p", "sin", "sqrt", "tanh")
# of arguments 0, 1, 2; `real` is the precision's type
FUNCTIONS = {
    **{name: f"({{0}} {sign} {{1}})" for name, sign in INFIX.items()},
    **{name: f"{name}({{0}})" for name in SAME},
    "absolute": "fabs({0})",
    "copysign": "copysign((real){0}, (real){1})",
    "logaddexp": "(fmax({0}, {1}) + log1p(exp(-fabs({0} - {1}))))",
    "logical_not": "(!{0})",
    # NaN goes on, as in NumPy
    "maximum": "(({0} > {1} || {0} != {0}) ? {0} : {1})",
    "minimum": "(({0} < {1} || {0} != {0}) ? {0} : {1})",
    "negative": "(-{0})",
    "power": "pow((real){0}, (real){1})",
    "square": "({0} * {0})",
    "where": "({0} ? (real){1} : (real){2})",
}
CONDITIONS = {name for name, sign in INFIX.items() if sign[0] in "=!<>&|"} | {"logical_not"}


class _Written(NamedTuple):
    """A result: an array of the trajectory, its first entry there, and its expression."""

    array: str
    start: int
    number: int


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

    def __init__(self, device: Device, precision: Precision) -> None:
        self.device = device
        self.precision = precision
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
        scratch = np.empty_like(states, shape=(B, found.scratch))
        arrays = (states, drive, coefficients, scratch, *found.weights)
        found.kernel(B, THREADS, (*arrays, len(drive), B, 1))

    def _make_pass(self, step: Step, weights: object, sizes: tuple[int, int, int]) -> _Pass | None:
        tape, constants = Tape(), list[Array]()
        try:
            named = zip(("state", "drive_now"), sizes, strict=False)
            given = (Traced(tape, tape.add(("read", name, 0), size)) for name, size in named)
            results = step(_wrapped(weights, tape, constants), *given)
            entries = sum(matrix.size for _, matrix in tape.products)
            if entries > MOST_ENTRIES:
                raise NotTraceableError(f"its weights have {entries} entries")
            return self._write(tape, results, constants, sizes)
        except NotTraceableError as error:
            self.plain.add(str(error))
            return None

    def _write(
        self,
        tape: Tape,
        results: tuple[Vectors, Vectors],
        constants: list[Array],
        sizes: tuple[int, int, int],
    ) -> _Pass:
        D, rows, C = sizes
        outputs = [*_placed(tape, "new_state", results[0]), *_placed(tape, "values", results[1])]
        lines, scratch = list[str](), 0
        for vector, matrix in tape.products:
            j, size = len(lines) // 2, matrix.shape[1]
            lines.append(f"real* p{j} = scratch + b * SCRATCH + {scratch};")
            lines.append(f"real* x{j} = p{j} + {size};")
            scratch += size + tape.sizes[vector]
        matrices = [f"const real* w{j}" for j in range(len(tape.products))]
        declared = ["real* states", "const real* drive", "real* coefficients", "real* scratch"]
        declared += [f"const real* c{i}" for i in range(len(constants))] + matrices
        steps = "\n        ".join(_step_lines(tape, outputs))
        body = f"""    {" ".join(lines)}
    for (long long t = 0; t < steps; t++) {{
        const real* state = states + (t * count + b) * {D};
        real* new_state = states + ((t + 1) * count + b) * {D};
        const real* drive_now = drive + (t * count + b) * {rows};
        real* values = coefficients + (t * count + b) * {C};
        {steps}
    }}"""
        given = [*declared, "long long steps", "long long count"]
        before = f"{self.precision.prelude}#define SCRATCH {scratch}"
        text = trajectory_kernel("pass", given, body, before)
        # a kernel reads row after row
        weights = (*constants, *(matrix.copy() for _, matrix in tape.products))
        return _Pass(self.device.compile_kernel(text, "pass", exact=True), weights, scratch)


def _step_lines(tape: Tape, outputs: list[_Written]) -> Iterator[str]:
    """Yield the text of a step: products, each after what it multiplies, and then the results."""
    levels = _levels(tape)
    for level in range(max((levels[one.number] for one in outputs), default=0)):
        ready = [j for j, (number, _) in enumerate(tape.products) if levels[number] == level]
        vectors = {j: tape.entries[tape.products[j][0]] for j in ready}
        written = [j for j in ready if vectors[j][:2] != ("read", "state")]
        if written:
            yield from _loops(tape, [_Written(f"x{j}", 0, tape.products[j][0]) for j in written])
            yield "__syncthreads();"
        for j in ready:
            number, matrix = tape.products[j]
            vector = f"x{j}" if j in written else f"(state + {vectors[j][2]})"
            yield from _product_lines(j, vector, tape.sizes[number], matrix.shape[1])
        yield "__syncthreads();"
    yield from _loops(tape, outputs)
    yield "__syncthreads();"


def _product_lines(j: int, vector: str, size: int, rows: int) -> Iterator[str]:
    yield f"for (long long r = thread; r < {rows}; r += threads) {{"
    yield "    real sum = 0;"
    # loads that wait for one another would take the time of memory's answer each
    yield "    #pragma unroll 8"
    yield f"    for (long long c = 0; c < {size}; c++) sum += {vector}[c] * w{j}[c * {rows} + r];"
    yield f"    p{j}[r] = sum;"
    yield "}"


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


def _placed(tape: Tape, array: str, vectors: Vectors) -> Iterator[_Written]:
    """Yield the vectors that a step returned, next to each other."""
    start = 0
    for vector in vectors:
        number = tape.number(vector)
        yield _Written(array, start, number)
        start += tape.sizes[number]


def _loops(tape: Tape, results: Sequence[_Written]) -> Iterator[str]:
    """Yield a loop for the results of each size."""
    by_size: dict[int, list[_Written]] = {}
    for result in results:
        by_size.setdefault(tape.sizes[result.number], []).append(result)
    for size, some in sorted(by_size.items()):
        needed, waiting = set[int](), [result.number for result in some]
        while waiting:
            number = waiting.pop()
            if number not in needed:
                needed.add(number)
                waiting += tape.arguments(number)
        yield f"for (long long j = thread; j < {size}; j += threads) {{"
        named: dict[int, str] = {}
        # an expression follows its arguments
        for number in sorted(needed):
            value = _value(tape.entries[number], named)
            condition = tape.entries[number][0] in CONDITIONS
            named[number] = f"v{number}"
            yield f"    const {'bool' if condition else 'real'} v{number} = {value};"
        for result in some:
            yield f"    {result.array}[{result.start} + j] = {named[result.number]};"
        yield "}"


def _value(entry: tuple[Any, ...], named: dict[int, str]) -> str:
    """Return an expression of entry j, given the names of those before it."""
    kind, *rest = entry
    if kind == "scalar":
        if math.isnan(rest[0]):
            raise NotTraceableError("NaN")
        return repr(rest[0]) if math.isfinite(rest[0]) else f"{math.copysign(1, rest[0])} / 0.0"
    if kind == "read":
        return f"{rest[0]}[{rest[1]} + j]"
    if kind == "element":
        return f"{rest[0]}[{rest[1]}]"
    if kind not in FUNCTIONS:
        raise NotTraceableError(kind)
    return FUNCTIONS[kind].format(*(named[argument] for argument in rest))
