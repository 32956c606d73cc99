"""A cell's step, traced: what it computes of each unit, as expressions to write a kernel from.

The step's own text runs once, on arrays that stand for the state of one trajectory and note what
NumPy is asked to do with them (NEP 13 and 18). Slices are passed on to what they are cut from,
so that each expression is one of entry j of vectors, the same for all j.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ...arrays import Array

__all__ = ["Matrix", "NotTraceableError", "Tape", "Traced"]


# sources that are not the same for all trajectories, besides products
VARYING = ("state", "drive_now")


class NotTraceableError(TypeError):
    """A step does what kernels are not written for; it is computed operation by operation."""


class Tape:
    """Expressions, each once, by number.

    Attributes
    ----------
    entries : list of tuple
        ("scalar", value), ("read", source, start), ("element", source, index) or a function's
        name with the numbers of its arguments.
    sizes : list of int
        Entries of each vector, of a constant one too; 0 for scalars.
    products : list of (int, array)
        Vectors and the transposed matrices by which they are multiplied; product j is read as the
        source ``p{j}``.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.sizes: list[int] = []
        self.products: list[tuple[int, Array]] = []
        self._numbers: dict[tuple[Any, ...], int] = {}

    def add(self, entry: tuple[Any, ...], size: int) -> int:
        """Return the number of an expression."""
        if (*entry, size) not in self._numbers:
            self._numbers[(*entry, size)] = len(self.entries)
            self.entries.append(entry)
            self.sizes.append(size)
        return self._numbers[(*entry, size)]

    def arguments(self, number: int) -> tuple[int, ...]:
        """Return the numbers of the arguments of a function."""
        name, *rest = self.entries[number]
        return () if name in ("scalar", "read", "element") else tuple(rest)

    def cut(self, number: int, start: int, size: int) -> int:
        """Return entries ``start : start + size`` of a vector; a scalar as it is."""
        if self.sizes[number] in (0, size) and (start == 0 or not self.sizes[number]):
            return number
        entry = self.entries[number]
        if entry[0] == "scalar":
            return self.add(entry, size)
        if entry[0] == "read":
            return self.add(("read", entry[1], entry[2] + start), size)
        pieces = (self.cut(one, start, size) for one in self.arguments(number))
        return self.add((entry[0], *pieces), size)

    def number(self, value: Any) -> int:
        """Return the number of a value that stands in an expression."""
        if isinstance(value, Traced):
            return value.number
        if isinstance(value, (int, float, np.number, np.bool_)):
            return self.add(("scalar", float(value)), 0)
        raise NotTraceableError(f"{type(value).__name__} in an expression")

    def call(self, name: str, values: tuple[Any, ...]) -> Traced:
        """Return the value of a function of vectors and scalars."""
        numbers = tuple(self.number(value) for value in values)
        sizes = {self.sizes[number] for number in numbers} - {0}
        if len(sizes) > 1:
            raise NotTraceableError(f"{name} of vectors of {sorted(sizes)}")
        return Traced(self, self.add((name, *numbers), max(sizes, default=0)))

    def product(self, vector: Traced, matrix: Array) -> Traced:
        """Return the product of a vector with a transposed matrix."""
        if not vector.shape or vector.shape[0] != matrix.shape[0]:
            raise NotTraceableError("a product of another size")
        self.products.append((vector.number, matrix))
        source = f"p{len(self.products) - 1}"
        return Traced(self, self.add(("read", source, 0), matrix.shape[1]))


class Traced(NDArrayOperatorsMixin):
    """A vector of a trajectory, or a scalar."""

    def __init__(self, tape: Tape, number: int) -> None:
        self.tape = tape
        self.number = number

    @property
    def shape(self) -> tuple[int, ...]:
        size = self.tape.sizes[self.number]
        return (size,) if size else ()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Traced:
        if isinstance(key, int):
            name, source, start = self.tape.entries[self.number]
            if name != "read" or source in VARYING or source.startswith("p"):
                raise NotTraceableError("an entry of what differs among trajectories")
            return Traced(self.tape, self.tape.add(("element", source, start + key), 0))
        return Traced(self.tape, self.tape.cut(self.number, *_span(key, len(self))))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise NotTraceableError("an assignment to entries of a vector")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            raise NotTraceableError(f"{ufunc.__name__}.{method} with {sorted(options)}")
        if ufunc is np.matmul:
            vector, matrix = inputs
            if not (isinstance(vector, Traced) and isinstance(matrix, Matrix)):
                raise NotTraceableError("a product that is not of a vector with a weight")
            return self.tape.product(vector, matrix.array)
        return self.tape.call(ufunc.__name__, inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        known = _FUNCTIONS.get(function)
        if known is None or options:
            raise NotTraceableError(function.__name__)
        return known(self.tape, args)


class Matrix:
    """A weight, on the device."""

    def __init__(self, tape: Tape, array: Array, source: str) -> None:
        self.tape = tape
        self.array = array
        self.source = source
        self.shape = array.shape

    @property
    def T(self) -> Matrix:
        return Matrix(self.tape, self.array.T, "")

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: int | slice) -> Matrix | Traced:
        if isinstance(key, slice):
            return Matrix(self.tape, self.array[key], "")
        if not self.source:
            raise NotTraceableError("a row of a slice of a weight")
        size = self.shape[1]
        return Traced(self.tape, self.tape.add(("read", self.source, key * size), size))


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


def _like(value: float) -> Callable[[Tape, Any], Traced]:
    return lambda tape, args: Traced(tape, tape.add(("scalar", value), len(args[0])))


_FUNCTIONS: dict[Any, Callable[[Tape, Any], Traced]] = {
    np.where: lambda tape, args: tape.call("where", args),
    np.zeros_like: _like(0.0),
    np.ones_like: _like(1.0),
}
