"""The innermost loops: small tiles of matrix products, held in the processor's registers.

Written as LLVM's vector instructions, since neither Numba's loops nor BLAS calls come near
the processor's speed at the sizes of recurrent networks: a BLAS packs its operands at every
call, while here a weight is packed once for millions of steps.

Every number of a result is one chain of operations whose order depends on the inner
dimension alone. So a row does not depend on the rows that are computed beside it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["PANEL", "ROWS", "copy_tile", "dot_tile", "merge_tile", "product_tile"]

_FEATURES = llvmlite.binding.get_host_cpu_features()
_X86 = platform.machine() in ("x86_64", "AMD64")
_WIDE = bool(_FEATURES.get("avx512f"))
_FUSED = bool(_FEATURES.get("fma")) or not _X86
# numbers in a vector register
_LANES = 8 if _WIDE else 4 if _FEATURES.get("avx") else 2
_VECTORS = 2
# rows and columns of a product's tile: as many sums as the registers hold
ROWS = 8 if _WIDE or not _X86 else 6
PANEL = _VECTORS * _LANES

_NUMBER, _WORD, _INDEX = ir.DoubleType(), ir.IntType(64), ir.IntType(32)
_VECTOR = ir.VectorType(_NUMBER, _LANES)
_ZERO = ir.Constant(_VECTOR, [0.0] * _LANES)
_FIRST_LANE = ir.Constant(ir.VectorType(_INDEX, _LANES), [0] * _LANES)

Values = list[Any]


class _Code(ir.IRBuilder):
    """LLVM's builder, with addresses as whole numbers and offsets counted in numbers."""

    def at(self, address: Any, *offsets: Any) -> Any:
        for offset in offsets:
            address = self.add(address, self.mul(offset, _WORD(8)))
        return address

    def get(self, address: Any, offset: int = 0, kind: Any = _VECTOR) -> Any:
        place = self.inttoptr(self.at(address, _WORD(offset)), kind.as_pointer())
        return self.load(place, align=8)

    def put(self, value: Any, address: Any, offset: int = 0) -> None:
        place = self.inttoptr(self.at(address, _WORD(offset)), value.type.as_pointer())
        self.store(value, place, align=8)

    def spread(self, number: Any) -> Any:
        return self.shuffle_vector(
            self.insert_element(_ZERO, number, _INDEX(0)), _ZERO, _FIRST_LANE
        )

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        if not _FUSED:
            return self.fadd(self.fmul(x, y), z)
        name = f"llvm.fma.{f'v{_LANES}' if x.type == _VECTOR else ''}f64"
        if name not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(x.type, [x.type] * 3), name)
        return self.call(self.module.globals[name], [x, y, z])

    def total(self, vector: Any) -> Any:
        """Add the lanes, always in the same order."""
        numbers = [self.extract_element(vector, _INDEX(i)) for i in range(_LANES)]
        while len(numbers) > 1:
            half = len(numbers) // 2
            numbers = [self.fadd(numbers[i], numbers[half + i]) for i in range(half)]
        return numbers[0]

    def loop(
        self,
        begin: Any,
        end: Any,
        step: int,
        start: Values,
        body: Callable[[_Code, Any, Values], Values],
    ) -> Values:
        """Repeat ``values = body(code, index, values)`` while index + step ≤ end.

        Returns the last index and values; this builder then goes on behind the loop.
        """
        before = self.block
        inside, after = self.append_basic_block(), self.append_basic_block()
        enter = self.icmp_signed("<=", self.add(begin, _WORD(step)), end)
        self.cbranch(enter, inside, after)
        code = _Code(inside)
        carried = [code.phi(value.type) for value in (begin, *start)]
        following = body(code, carried[0], carried[1:])
        following = [code.add(carried[0], _WORD(step)), *following]
        again = code.icmp_signed("<=", code.add(following[0], _WORD(step)), end)
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
        with self.if_then(self.icmp_signed("!=", address, _WORD(0))):
            changed = change(values)
            inside = self.block
        results = [self.phi(value.type) for value in values]
        for result, value, other in zip(results, values, changed, strict=True):
            result.add_incoming(value, before)
            result.add_incoming(other, inside)
        return results


def _kernel(name: str, count: int, write: Callable[..., None]) -> Any:
    """Return compiled code of a tuple of whole numbers, as ``write(code, *numbers)`` says."""

    def codegen(context: Any, builder: Any, _: Any, arguments: Sequence[Any]) -> Any:
        module = builder.module
        if name not in module.globals:
            kind = ir.FunctionType(ir.VoidType(), [_WORD] * count)
            function = ir.Function(module, kind, name)
            function.linkage = "internal"
            code = _Code(function.append_basic_block())
            write(code, *function.args)
            code.ret_void()
        numbers = cgutils.unpack_tuple(builder, arguments[0], count)
        builder.call(module.globals[name], numbers)
        return context.get_dummy_value()

    @intrinsic
    def kernel(typingctx: Any, arguments: Any) -> Any:
        return types.void(arguments), codegen

    return kernel


def copy_tile() -> Any:
    """Return code that copies numbers: out[i, j] = a[i, j].

    Its arguments are a, a_stride, rows, columns, out and out_stride.
    """

    def write(
        code: _Code, a: Any, a_stride: Any, rows: Any, columns: Any, out: Any, out_stride: Any
    ) -> None:
        def row(code: _Code, i: Any, _: Values) -> Values:
            source, target = code.at(a, code.mul(i, a_stride)), code.at(out, code.mul(i, out_stride))

            def number(code: _Code, j: Any, _: Values) -> Values:
                code.put(code.get(code.at(source, j), 0, _NUMBER), code.at(target, j))
                return []

            code.loop(_WORD(0), columns, 1, [], number)
            return []

        code.loop(_WORD(0), rows, 1, [], row)

    return _kernel("lyapy_copy", 6, write)


def product_tile(rows: int) -> Any:
    """Return code for ``rows`` rows and `PANEL` columns of a product.

    Its arguments are a, a_stride, b, b_stride, inner, out, out_stride, add, scale, left, other
    and other_stride, and it computes

        out = (out if add) + scale ⊙ (a @ b) + left ⊙ other

    A scale, left or other at address 0 is absent.
    """

    def write(
        code: _Code, a: Any, a_stride: Any, b: Any, b_stride: Any, inner: Any, out: Any,
        out_stride: Any, add: Any, scale: Any, left: Any, other: Any, other_stride: Any,
    ) -> None:  # fmt: skip
        vectors = range(_VECTORS)

        def step(code: _Code, p: Any, sums: Values) -> Values:
            row = code.at(b, code.mul(p, b_stride))
            right = [code.get(row, _LANES * j) for j in vectors]
            following = []
            for i in range(rows):
                factor = code.spread(code.get(code.at(starts[i], p), 0, _NUMBER))
                for j in vectors:
                    following.append(code.multiply_add(factor, right[j], sums[len(following)]))
            return following

        starts = [code.at(a, code.mul(a_stride, _WORD(i))) for i in range(rows)]
        _, *sums = code.loop(_WORD(0), inner, 1, [_ZERO] * (rows * _VECTORS), step)

        def each(base: Any, stride: Any, change: Callable[[Any, Any, int], Any]) -> Any:
            def changed(values: Values) -> Values:
                found = []
                for i in range(rows):
                    row = code.at(base, code.mul(stride, _WORD(i)))
                    for j in vectors:
                        number = code.get(row, _LANES * j)
                        found.append(change(values[len(found)], number, j))
                return found

            return changed

        def scaled(values: Values) -> Values:
            factors = [code.get(scale, _LANES * j) for j in vectors]
            return [code.fmul(v, factors[i % _VECTORS]) for i, v in enumerate(values)]

        def with_left(values: Values) -> Values:
            factors = [code.get(left, _LANES * j) for j in vectors]
            return each(
                other, other_stride, lambda v, x, j: code.multiply_add(factors[j], x, v)
            )(values)

        plain = code.select(code.icmp_signed("==", left, _WORD(0)), other, _WORD(0))
        sums = code.where_given(scale, sums, scaled)
        sums = code.where_given(left, sums, with_left)
        sums = code.where_given(plain, sums, each(other, other_stride, lambda v, x, j: code.fadd(v, x)))
        sums = code.where_given(add, sums, each(out, out_stride, lambda v, x, j: code.fadd(x, v)))
        for i in range(rows):
            row = code.at(out, code.mul(out_stride, _WORD(i)))
            for j in vectors:
                code.put(sums[i * _VECTORS + j], row, _LANES * j)

    return _kernel(f"lyapy_product_{rows}", 12, write)


def dot_tile(rows: int, columns: int) -> Any:
    """Return code for the inner products of ``rows`` rows of a with ``columns`` rows of b.

    Its arguments are a, a_stride, b, b_stride, inner, out and out_stride, and it computes
    out = a @ b.T.
    """

    def write(
        code: _Code, a: Any, a_stride: Any, b: Any, b_stride: Any, inner: Any, out: Any,
        out_stride: Any,
    ) -> None:  # fmt: skip
        starts = [code.at(a, code.mul(a_stride, _WORD(i))) for i in range(rows)]
        others = [code.at(b, code.mul(b_stride, _WORD(j))) for j in range(columns)]

        def step(kind: Any) -> Callable[[_Code, Any, Values], Values]:
            def multiply(code: _Code, p: Any, sums: Values) -> Values:
                right = [code.get(code.at(start, p), 0, kind) for start in others]
                following = []
                for start in starts:
                    left = code.get(code.at(start, p), 0, kind)
                    for x in right:
                        following.append(code.multiply_add(left, x, sums[len(following)]))
                return following

            return multiply

        zeros = [_ZERO] * (rows * columns)
        done, *sums = code.loop(_WORD(0), inner, _LANES, zeros, step(_VECTOR))
        totals = [code.total(vector) for vector in sums]
        _, *totals = code.loop(done, inner, 1, totals, step(_NUMBER))
        for i in range(rows):
            row = code.at(out, code.mul(out_stride, _WORD(i)))
            for j in range(columns):
                code.put(totals[i * columns + j], row, j)

    return _kernel(f"lyapy_dot_{rows}_{columns}", 7, write)


def merge_tile(terms: int, right: bool) -> Any:
    """Return code for one panel of a sum of ``terms`` scaled weights.

    Its arguments are out, inner, add, and for each term the panels w (inner, `PANEL`), the
    factors left (`PANEL`) and, where ``right``, right (inner); it computes

        out = (out if add) + Σ left ⊙ w ⊙ right[:, None]
    """
    per_term = 3 if right else 2

    def write(code: _Code, out: Any, inner: Any, add: Any, *given: Any) -> None:
        vectors = range(_VECTORS)
        factors = [
            [code.get(given[per_term * t + 1], _LANES * j) for j in vectors] for t in range(terms)
        ]

        def step(code: _Code, p: Any, _: Values) -> Values:
            place = code.mul(p, _WORD(PANEL))
            target = code.at(out, place)
            sums = code.where_given(
                add, [_ZERO for _ in vectors], lambda _: [code.get(target, _LANES * j) for j in vectors]
            )
            for t in range(terms):
                row = code.at(given[per_term * t], place)
                for j in vectors:
                    weight = code.get(row, _LANES * j)
                    if right:
                        number = code.get(code.at(given[per_term * t + 2], p), 0, _NUMBER)
                        weight = code.fmul(weight, code.spread(number))
                    sums[j] = code.multiply_add(factors[t][j], weight, sums[j])
            for j in vectors:
                code.put(sums[j], target, _LANES * j)
            return []

        code.loop(_WORD(0), inner, 1, [], step)

    name = f"lyapy_merge_{terms}{'_right' if right else ''}"
    return _kernel(name, 3 + per_term * terms, write)
