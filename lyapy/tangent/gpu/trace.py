"""A cell's step, traced: what it computes of each unit, as expressions in C.

The step's own text runs once, on arrays that stand for those of one trajectory and note what
NumPy is asked to do with them (NEP 13 and 18).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ...arrays import Array

__all__ = ["Lines", "NotTraceableError", "Products", "Traced", "traced_weights"]

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
    "power": "pow((real){0}, (real){1})",
    "square": "({0} * {0})",
    "where": "({0} ? (real){1} : (real){2})",
}


class NotTraceableError(TypeError):
    """A step does what kernels are not written for; it is computed operation by operation."""


# vectors, and the transposed matrices by which they are multiplied, in the order of the step
Products = list[tuple["Traced", Array]]


class Lines(list[str]):
    """The lines of a loop in C, and the names of the values that they compute."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[tuple[int, str], str] = {}


class Traced(NDArrayOperatorsMixin):
    """A vector of a trajectory, or a scalar, of size 0.

    ``entry`` returns the C of entry j, after adding the lines that compute and name it; without
    it, the entries lie at ``pointer``. ``level`` is the number of products one after the other
    that lead to it; constant ones belong to the weights.
    """

    def __init__(
        self,
        products: Products,
        size: int,
        pointer: str = "",
        entry: Callable[[str, Lines], str] | None = None,
        level: int = 0,
        constant: bool = False,
    ) -> None:
        self.products, self.size, self.pointer = products, size, pointer
        self.entry = entry or (lambda j, lines: f"{pointer}[{j}]")
        self.level, self.constant = level, constant

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size,) if self.size else ()

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, key: Any) -> Traced:
        if isinstance(key, int):
            if not (self.pointer and self.constant):
                raise NotTraceableError("an entry of what differs among trajectories")
            return Traced(self.products, 0, entry=lambda j, lines: f"{self.pointer}[{key}]")
        start, size = _span(key, self.size)
        pointer = f"({self.pointer} + {start})" if self.pointer else ""
        entry = None if pointer else lambda j, lines: self.entry(f"{j} + {start}", lines)
        return Traced(self.products, size, pointer, entry, self.level, self.constant)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise NotTraceableError("an assignment to entries of a vector")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            raise NotTraceableError(f"{ufunc.__name__}.{method} with {sorted(options)}")
        if ufunc is not np.matmul:
            return self._call(ufunc.__name__, inputs)
        vector, matrix = inputs
        if not (isinstance(vector, Traced) and isinstance(matrix, Matrix)):
            raise NotTraceableError("a product that is not of a vector with a weight")
        if vector.size != matrix.shape[0]:
            raise NotTraceableError("a product of another size")
        self.products.append((vector, matrix.array))
        pointer, size = f"p{len(self.products) - 1}", matrix.shape[1]
        return Traced(self.products, size, pointer, level=vector.level + 1)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is np.where and not options:
            return self._call("where", args)
        if function in (np.zeros_like, np.ones_like) and not options:
            value = "0.0" if function is np.zeros_like else "1.0"
            return Traced(self.products, len(args[0]), entry=lambda j, lines: f"(real){value}")
        raise NotTraceableError(function.__name__)

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
            if key not in lines.names:
                text = FUNCTIONS[name].format(*(one.entry(j, lines) for one in arguments))
                lines.names[key] = f"v{len(lines.names)}"
                lines.append(f"    const auto {lines.names[key]} = {text};")
            return lines.names[key]

        level = max(one.level for one in arguments)
        found = Traced(self.products, max(sizes, default=0), "", entry, level)
        return found

    def _operand(self, value: Any) -> Traced:
        if isinstance(value, Traced):
            return value
        if not isinstance(value, (int, float, np.number, np.bool_)) or math.isnan(value):
            raise NotTraceableError(f"{value!r}, a {type(value).__name__}, in an expression")
        number = repr(float(value)) if math.isfinite(value) else f"{math.copysign(1, value)} / 0.0"
        return Traced(self.products, 0, entry=lambda j, lines: f"(real)({number})")


class Matrix:
    """A weight, on the device, and where it lies, row after row."""

    def __init__(self, products: Products, array: Array, pointer: str) -> None:
        self.products, self.array, self.pointer = products, array, pointer
        self.shape = array.shape

    @property
    def T(self) -> Matrix:
        return Matrix(self.products, self.array.T, "")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: int | slice) -> Matrix | Traced:
        if isinstance(key, slice):
            return Matrix(self.products, self.array[key], "")
        if not self.pointer:
            raise NotTraceableError("a row of a slice of a weight")
        size = self.shape[1]
        return Traced(self.products, size, f"({self.pointer} + {key * size})", constant=True)


def traced_weights(weights: Any, products: Products, arrays: list[Array]) -> Any:
    """Return weights whose arrays are traced, and add these to ``arrays``, at c0, c1, ..."""
    if isinstance(weights, (int, float)):
        return weights
    if isinstance(weights, tuple):
        inside = [traced_weights(weight, products, arrays) for weight in weights]
        return type(weights)(*inside) if hasattr(weights, "_fields") else tuple(inside)
    if hasattr(weights, "nnz"):
        raise NotTraceableError("a sparse weight")
    if getattr(weights, "ndim", 0) not in (1, 2) or weights.dtype.kind != "f":
        raise NotTraceableError(f"a weight of type {type(weights).__name__}")
    pointer = f"c{len(arrays)}"
    arrays.append(weights)
    if weights.ndim == 2:
        return Matrix(products, weights, pointer)
    return Traced(products, len(weights), pointer, constant=True)


def _span(key: Any, size: int) -> tuple[int, int]:
    if isinstance(key, tuple):
        key = key[-1] if len(key) == 2 and key[0] is Ellipsis else None
    if key is Ellipsis:
        return 0, size
    if not isinstance(key, slice):
        raise NotTraceableError("an index that is not a slice of the last axis")
    start, stop, step = key.indices(size)
    if step != 1 or stop <= start:
        raise NotTraceableError("a slice with a step, or an empty one")
    return start, stop - start
