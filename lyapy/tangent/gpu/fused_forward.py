"""The forward pass of a layer in one launch: a block of threads takes each trajectory through time.

A step computed operation by operation launches a kernel for each, some sixty for a GRU. So its
text runs once on arrays that stand for those of one trajectory and note what NumPy is asked to do
with them (NEP 13 and 18): products with weights, and expressions of single entries, as C.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ...arrays import Array
from ...cells.base import Step, Vectors
from ...cells.sparse import Sparse
from ...networks.forward import layer_forward
from .device import Device
from .kernel_text import trajectory_kernel

__all__ = ["Constant", "FusedForward", "NotTraceableError", "Traced", "map_weights"]

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
SAME = ("cos", "cosh", "exp", "expm1", "log", "log1p", "sin", "sqrt", "tanh")
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
    "ones_like": "(real)1.0",
    "power": "pow((real){0}, (real){1})",
    "square": "({0} * {0})",
    "where": "({0} ? (real){1} : (real){2})",
    "zeros_like": "(real)0.0",
}


class NotTraceableError(TypeError):
    """No kernel can be written for this step; it is computed operation by operation."""


# names and texts of the values that a loop computes, by expression and place
Lines = dict[tuple[int, str], tuple[str, str]]
# from a place j in C to the text of that entry, after adding the lines that it needs
Entry = Callable[[str, Lines], str]
# vectors, and the transposed matrices by which they are multiplied, in the order of the step
Products = list[tuple["Traced", Array]]


class Traced(NDArrayOperatorsMixin):
    """A vector of a trajectory, or a scalar, of size 0.

    ``entry`` returns the C of entry j, after adding the lines that compute and name it; without
    it, the entries lie at ``pointer``. ``level`` is the number of products one after the other
    that lead to it.
    """

    def __init__(
        self, size: int, pointer: str = "", entry: Entry | None = None, level: int = 0
    ) -> None:
        self.size, self.pointer, self.level = size, pointer, level
        self.entry = entry or (lambda j, lines: f"{pointer}[{j}]")
        self.shape = (size,) if size else ()

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: Any) -> Traced:
        if isinstance(key, tuple) and key[:-1] == (Ellipsis,):
            key = key[-1]
        if key is Ellipsis:
            return self
        if not isinstance(key, slice):
            raise NotTraceableError("an entry that differs among trajectories")
        start, stop, step = key.indices(self.size)
        if step != 1 or stop <= start:
            raise NotTraceableError("a slice with a step, or an empty one")
        pointer = f"({self.pointer} + {start})" if self.pointer else ""
        entry = None if pointer else lambda j, lines: self.entry(f"{j} + {start}", lines)
        return type(self)(stop - start, pointer, entry, self.level)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            raise NotTraceableError(f"{ufunc.__name__}.{method} with {sorted(options)}")
        if ufunc is not np.matmul:
            return self._call(ufunc.__name__, inputs)
        vector, matrix = inputs
        if not isinstance(matrix, Matrix) or vector.size != matrix.shape[0]:
            raise NotTraceableError("a product that is not of a vector with a weight")
        matrix.products.append((vector, matrix.array))
        pointer = f"p{len(matrix.products) - 1}"
        return Traced(matrix.shape[1], pointer, level=vector.level + 1)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        return self._call(function.__name__, (*args, *options))

    def _call(self, name: str, values: tuple[Any, ...]) -> Traced:
        """Return the value of a function of vectors and scalars."""
        if name not in FUNCTIONS:
            raise NotTraceableError(name)
        arguments = tuple(map(self._operand, values))
        sizes = {one.size for one in arguments} - {0}
        if len(sizes) > 1:
            raise NotTraceableError(f"{name} of vectors of {sorted(sizes)}")

        def entry(j: str, lines: Lines) -> str:
            key = id(found), j
            if key not in lines:
                text = FUNCTIONS[name].format(*(one.entry(j, lines) for one in arguments))
                lines[key] = f"v{len(lines)}", text
            return lines[key][0]

        level = max(one.level for one in arguments)
        found = Traced(max(sizes, default=0), "", entry, level)
        return found

    def _operand(self, value: Any) -> Traced:
        if isinstance(value, Traced):
            return value
        if not isinstance(value, (int, float, np.number, np.bool_)) or math.isnan(value):
            raise NotTraceableError(f"{value!r}, a {type(value).__name__}, in an expression")
        number = repr(float(value)) if math.isfinite(value) else f"{math.copysign(1, value)} / 0.0"
        return Traced(0, entry=lambda j, lines: f"(real)({number})")


class Constant(Traced):
    """A vector of the weights, which all trajectories share."""

    def __getitem__(self, key: Any) -> Traced:
        if not isinstance(key, int):
            return super().__getitem__(key)
        return Traced(0, entry=lambda j, lines: self.entry(str(key), lines))


class Matrix:
    """A weight, on the device, and where it lies, row after row."""

    def __init__(self, products: Products, array: Array, pointer: str) -> None:
        self.products, self.array, self.pointer = products, array, pointer
        self.shape = array.shape

    @property
    def T(self) -> Matrix:
        return Matrix(self.products, self.array.T, "")

    def __getitem__(self, key: int | slice) -> Matrix | Traced:
        if isinstance(key, slice):
            return Matrix(self.products, self.array[key], "")
        if not self.pointer:
            raise NotTraceableError("a row of a slice of a weight")
        return Constant(self.shape[1], f"({self.pointer} + {key * self.shape[1]})")


def map_weights(change: Callable[[Any], Any], weights: Any) -> Any:
    """Return weights, which are tuples of others or single ones, with each single one changed."""
    if isinstance(weights, Sparse) or not isinstance(weights, tuple):
        return change(weights)
    inside = [map_weights(change, one) for one in weights]
    return type(weights)(*inside) if hasattr(weights, "_fields") else tuple(inside)


def traced_weights(weights: Any, products: Products, arrays: list[Array]) -> Any:
    """Return weights whose arrays are traced, and add these to ``arrays``, at c0, c1, ..."""

    def traced(weight: Any) -> Any:
        if isinstance(weight, (int, float)):
            return weight
        sparse, size = hasattr(weight, "nnz"), getattr(weight, "ndim", 0)
        if sparse or size not in (1, 2) or weight.dtype.kind != "f":
            raise NotTraceableError(f"a weight of type {type(weight).__name__}")
        arrays.append(weight)
        pointer = f"c{len(arrays) - 1}"
        if size == 2:
            return Matrix(products, weight, pointer)
        return Constant(len(weight), pointer)

    return map_weights(traced, weights)


class FusedForward:
    """The loop of a layer over time, as `layer_forward`, in one launch where it can be traced.

    ``plain`` has the reasons for which steps were computed operation by operation.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.plain: set[str] = set()
        # a layer keeps its weights as long as its network lives
        self._passes: dict[tuple[int, int], tuple[object, Callable[..., None] | None]] = {}

    def __call__(
        self, step: Step, weights: object, drive: Array, states: Array, coefficients: Array
    ) -> None:
        """Run ``step`` over time: states[t] → states[t + 1], coefficients[t]."""
        arrays = states, drive, coefficients
        sizes = [array.shape[-1] for array in arrays]
        key = id(weights), sizes[2]
        if key not in self._passes:
            self._passes[key] = weights, self._make_pass(step, weights, *sizes)
        run = self._passes[key][1]
        if run is None or not all(array.flags.c_contiguous for array in arrays):
            layer_forward(step, weights, drive, states, coefficients)
        else:
            run(*arrays)

    def _make_pass(
        self, step: Step, weights: object, D: int, rows: int, C: int
    ) -> Callable[..., None] | None:
        """Return a function that fills in states (T + 1, B, D) under a drive (T, B, rows)."""
        products, constants = Products(), list[Array]()
        try:
            traced = traced_weights(weights, products, constants)
            results = step(traced, Traced(D, "state"), Traced(rows, "now"))
            entries = sum(matrix.size for _, matrix in products)
            if entries > MOST_ENTRIES:
                raise NotTraceableError(f"its weights have {entries} entries")
            steps = "\n        ".join(_step_lines(products, *results))
        except NotTraceableError as error:
            self.plain.add(str(error))
            return None
        scratch, pointers = 0, list[str]()
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
        given += [f"const real* c{i}" for i in range(len(constants))]
        given += [f"const real* w{j}" for j in range(len(products))]
        given += ["long long steps", "long long count"]
        text = trajectory_kernel("pass", given, body, f"#define SCRATCH {scratch}")
        kernel = self.device.compile(text, "pass", exact=True)
        # a kernel reads row after row
        constants += [matrix.copy() for _, matrix in products]

        def run(*arrays: Array) -> None:
            B, steps = arrays[0].shape[1], len(arrays[1])
            room = self.device.new(B, scratch)
            kernel(B, THREADS, (*arrays, room, *constants, steps, B, 1))

        return run


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
        lines, some = Lines(), [each for each in results if each[0].size == size]
        written = [f"{target}[j] = {vector.entry('j', lines)};" for vector, target in some]
        declared = [f"const auto {name} = {text};" for name, text in lines.values()]
        yield f"for (long long j = thread; j < {size}; j += threads) {{"
        yield from declared + written
        yield "}"
