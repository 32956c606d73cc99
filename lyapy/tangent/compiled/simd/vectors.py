"""Vector instructions of the processor at hand, as LLVM knows them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = [
    "DOT_COLUMNS",
    "LANES",
    "NUMBER",
    "PANEL",
    "ROWS",
    "VECTOR",
    "VECTORS",
    "WORD",
    "ZERO",
    "Code",
    "Values",
    "kernel_by_rows",
    "kernel_of",
]

_FEATURES = llvmlite.binding.get_host_cpu_features()
_X86 = platform.machine() in ("x86_64", "AMD64")
_WIDE = bool(_FEATURES.get("avx512f"))
_FUSED = bool(_FEATURES.get("fma")) or not _X86
# numbers in a vector register
LANES = 8 if _WIDE else 4 if _FEATURES.get("avx") else 2
VECTORS = 2
# rows and columns of a product's tile: as many sums as the registers hold
ROWS = 8 if _WIDE or not _X86 else 6
PANEL = VECTORS * LANES
# columns of a tile of inner products, for four rows
DOT_COLUMNS = 4 if _WIDE or not _X86 else 2

NUMBER, WORD, _INDEX = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
VECTOR = ir.VectorType(NUMBER, LANES)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)
_FIRST_LANE = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)

Values: TypeAlias = list[Any]


class Code(ir.IRBuilder):  # type: ignore[misc]
    """LLVM's builder, with addresses as whole numbers and offsets counted in numbers."""

    def at(self, address: Any, *offsets: Any) -> Any:
        for offset in offsets:
            address = self.add(address, self.mul(offset, WORD(8)))
        return address

    def get(self, address: Any, offset: int = 0, kind: Any = VECTOR) -> Any:
        place = self.inttoptr(self.at(address, WORD(offset)), kind.as_pointer())
        return self.load(place, align=8)

    def put(self, value: Any, address: Any, offset: int = 0) -> None:
        place = self.inttoptr(self.at(address, WORD(offset)), value.type.as_pointer())
        self.store(value, place, align=8)

    def spread(self, number: Any) -> Any:
        return self.shuffle_vector(self.insert_element(ZERO, number, _INDEX(0)), ZERO, _FIRST_LANE)

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        if not _FUSED:
            return self.fadd(self.fmul(x, y), z)
        name = f"llvm.fma.{f'v{LANES}' if x.type == VECTOR else ''}f64"
        if name not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(x.type, [x.type] * 3), name)
        return self.call(self.module.globals[name], [x, y, z])

    def size(self, x: Any) -> Any:
        """Return the absolute values of a vector."""
        name = f"llvm.fabs.v{LANES}f64"
        if name not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(VECTOR, [VECTOR]), name)
        return self.call(self.module.globals[name], [x])

    def larger(self, x: Any, y: Any) -> Any:
        """Return the larger number of each lane; ``y`` where one is NaN."""
        return self.select(self.fcmp_ordered(">", x, y), x, y)

    def least(self, count: Any, i: int) -> Any:
        """Return ``i``, or the last of ``count`` numbers from 0 on."""
        return self.select(self.icmp_signed("<", WORD(i), count), WORD(i), self.sub(count, WORD(1)))

    def totals(self, vectors: Values) -> Values:
        """Add the lanes of each vector, always in the same order: in halves, then quarters."""
        count, width = len(vectors), LANES
        while width > 1:
            lanes = range(0, 2 * LANES, width)
            low, high = (
                ir.Constant(
                    ir.VectorType(_INDEX, LANES),
                    [lane + half + i for lane in lanes for i in range(width // 2)],
                )
                for half in (0, width // 2)
            )
            vectors = [*vectors, *[ZERO] * (len(vectors) % 2)]
            vectors = [
                self.fadd(self.shuffle_vector(x, y, low), self.shuffle_vector(x, y, high))
                for x, y in zip(vectors[::2], vectors[1::2], strict=True)
            ]
            width //= 2
        return [self.extract_element(vectors[i // LANES], _INDEX(i % LANES)) for i in range(count)]

    def loop(
        self,
        begin: Any,
        end: Any,
        step: int,
        start: Values,
        body: Callable[[Code, Any, Values], Values],
    ) -> Values:
        """Repeat ``values = body(code, index, values)`` while index + step ≤ end.

        Returns the last index and values; this builder then goes on behind the loop.
        """
        before = self.block
        inside, after = self.append_basic_block(), self.append_basic_block()
        enter = self.icmp_signed("<=", self.add(begin, WORD(step)), end)
        self.cbranch(enter, inside, after)
        code = Code(inside)
        carried = [code.phi(value.type) for value in (begin, *start)]
        following = body(code, carried[0], carried[1:])
        following = [code.add(carried[0], WORD(step)), *following]
        again = code.icmp_signed("<=", code.add(following[0], WORD(step)), end)
        last_block = code.block
        code.cbranch(again, inside, after)
        self.position_at_end(after)
        results = [self.phi(value.type) for value in carried]
        for phi, result, first, last in zip(
            carried, results, (begin, *start), following, strict=True
        ):
            phi.add_incoming(first, before)
            phi.add_incoming(last, last_block)
            result.add_incoming(first, before)
            result.add_incoming(last, last_block)
        return results

    def where_given(
        self, address: Any, values: Values, change: Callable[[Values], Values]
    ) -> Values:
        """Return ``change(values)`` if the address is not 0, else the values."""
        before = self.block
        with self.if_then(self.icmp_signed("!=", address, WORD(0))):
            changed = change(values)
            inside = self.block
        results = [self.phi(value.type) for value in values]
        for result, value, other in zip(results, values, changed, strict=True):
            result.add_incoming(value, before)
            result.add_incoming(other, inside)
        return results


def kernel_of(name: str, count: int, write: Callable[..., None]) -> Any:
    """Return compiled code of a tuple of whole numbers, as ``write(code, *numbers)`` says."""

    def codegen(context: Any, builder: Any, _: Any, arguments: Sequence[Any]) -> Any:
        numbers = cgutils.unpack_tuple(builder, arguments[0], count)
        builder.call(_function(builder.module, name, count, write), numbers)
        return context.get_dummy_value()

    @intrinsic
    def kernel(typingctx: Any, arguments: Any) -> Any:
        return types.void(arguments), codegen

    return kernel


def kernel_by_rows(name: str, count: int, write: Callable[..., None]) -> Any:
    """Return compiled code of a number of rows up to `ROWS`, and of a tuple of whole numbers.

    It is written by ``write(rows, code, *numbers)``, once for each number of rows.
    """

    def codegen(context: Any, builder: Any, _: Any, arguments: Sequence[Any]) -> Any:
        numbers = cgutils.unpack_tuple(builder, arguments[1], count)
        after = builder.append_basic_block()
        choice = builder.switch(arguments[0], after)
        for rows in range(1, ROWS + 1):
            each = partial(write, rows)
            function = _function(builder.module, f"{name}_{rows}", count, each)
            block = builder.append_basic_block()
            choice.add_case(WORD(rows), block)
            builder.position_at_end(block)
            builder.call(function, numbers)
            builder.branch(after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    @intrinsic
    def kernel(typingctx: Any, rows: Any, arguments: Any) -> Any:
        return types.void(types.int64, arguments), codegen

    return kernel


def _function(module: Any, name: str, count: int, write: Callable[..., None]) -> Any:
    """Return the function of so many whole numbers that ``write`` writes, once in a module."""
    if name not in module.globals:
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), [WORD] * count), name)
        function.linkage = "internal"
        code = Code(function.append_basic_block())
        write(code, *function.args)
        code.ret_void()
    return module.globals[name]
