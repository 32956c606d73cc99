"""The innermost loops: small tiles of matrix products, held in the processor's registers.

Written as LLVM's vector instructions, since neither Numba's loops nor BLAS calls come near
the processor's speed at the sizes of recurrent networks: a BLAS packs its operands at every
call, while here a weight is packed once for millions of steps.

Every number of a result is one chain of operations whose order depends on the inner
dimension alone. So a row does not depend on the rows that are computed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .vectors import (
    LANES,
    NUMBER,
    PANEL,
    ROWS,
    VECTORS,
    WORD,
    ZERO,
    Code,
    Values,
    kernel_by_rows,
    kernel_of,
)

__all__ = [
    "PANEL",
    "ROWS",
    "copy_tile",
    "merge_tile",
    "product_tile",
    "sparse_tile",
]


def copy_tile() -> Any:
    """Return code that copies numbers: out[i, j] = a[i, j].

    Its arguments are a, a_stride, rows, columns, out and out_stride.
    """

    def write(
        code: Code, a: Any, a_stride: Any, rows: Any, columns: Any, out: Any, out_stride: Any
    ) -> None:
        def row(code: Code, i: Any, _: Values) -> Values:
            source, target = (
                code.at(a, code.mul(i, a_stride)),
                code.at(out, code.mul(i, out_stride)),
            )

            def number(code: Code, j: Any, _: Values) -> Values:
                code.put(code.get(code.at(source, j), 0, NUMBER), code.at(target, j))
                return []

            code.loop(WORD(0), columns, 1, [], number)
            return []

        code.loop(WORD(0), rows, 1, [], row)

    return kernel_of("lyapy_copy", 6, write)


def product_tile() -> Any:
    """Return code for some rows and `PANEL` columns of a product.

    Its arguments are the number of rows, and a, a_stride, b, b_stride, inner, out, out_stride,
    add, scale, left, other and other_stride, and it computes

        out = (out if add) + scale ⊙ (a @ b) + left ⊙ other

    A scale, left or other at address 0 is absent.
    """

    def write(
        rows: int, code: Code, a: Any, a_stride: Any, b: Any, b_stride: Any, inner: Any, out: Any,
        out_stride: Any, add: Any, scale: Any, left: Any, other: Any, other_stride: Any,
    ) -> None:  # fmt: skip
        vectors = range(VECTORS)

        def step(code: Code, p: Any, sums: Values) -> Values:
            row = code.at(b, code.mul(p, b_stride))
            right = [code.get(row, LANES * j) for j in vectors]
            following: Values = []
            for i in range(rows):
                factor = code.spread(code.get(code.at(starts[i], p), 0, NUMBER))
                for j in vectors:
                    following.append(code.multiply_add(factor, right[j], sums[len(following)]))
            return following

        starts = [code.at(a, code.mul(a_stride, WORD(i))) for i in range(rows)]
        _, *sums = code.loop(WORD(0), inner, 1, [ZERO] * (rows * VECTORS), step)

        def each(base: Any, stride: Any, change: Callable[[Any, Any, int], Any]) -> Any:
            def changed(values: Values) -> Values:
                found: Values = []
                for i in range(rows):
                    row = code.at(base, code.mul(stride, WORD(i)))
                    for j in vectors:
                        number = code.get(row, LANES * j)
                        found.append(change(values[len(found)], number, j))
                return found

            return changed

        def scaled(values: Values) -> Values:
            factors = [code.get(scale, LANES * j) for j in vectors]
            return [code.fmul(v, factors[i % VECTORS]) for i, v in enumerate(values)]

        def with_left(values: Values) -> Values:
            factors = [code.get(left, LANES * j) for j in vectors]
            add_other = each(
                other, other_stride, lambda v, x, j: code.multiply_add(factors[j], x, v)
            )
            return list(add_other(values))

        plain = code.select(code.icmp_signed("==", left, WORD(0)), other, WORD(0))
        sums = code.where_given(scale, sums, scaled)
        sums = code.where_given(left, sums, with_left)
        sums = code.where_given(
            plain, sums, each(other, other_stride, lambda v, x, j: code.fadd(v, x))
        )
        sums = code.where_given(add, sums, each(out, out_stride, lambda v, x, j: code.fadd(x, v)))
        for i in range(rows):
            row = code.at(out, code.mul(out_stride, WORD(i)))
            for j in vectors:
                code.put(sums[i * VECTORS + j], row, LANES * j)

    return kernel_by_rows("lyapy_product", 12, write)


def merge_tile(terms: int, right: bool) -> Any:
    """Return code for one panel of a sum of ``terms`` scaled weights.

    Its arguments are out, inner, add, and for each term the panels w (inner, `PANEL`), the
    factors left (`PANEL`) and, where ``right``, right (inner); it computes

        out = (out if add) + Σ left ⊙ w ⊙ right[:, None]
    """
    per_term = 3 if right else 2

    def write(code: Code, out: Any, inner: Any, add: Any, *given: Any) -> None:
        vectors = range(VECTORS)
        factors = [
            [code.get(given[per_term * t + 1], LANES * j) for j in vectors] for t in range(terms)
        ]

        def step(code: Code, p: Any, _: Values) -> Values:
            place = code.mul(p, WORD(PANEL))
            target = code.at(out, place)
            sums = code.where_given(
                add,
                [ZERO for _ in vectors],
                lambda _: [code.get(target, LANES * j) for j in vectors],
            )
            for t in range(terms):
                row = code.at(given[per_term * t], place)
                for j in vectors:
                    weight = code.get(row, LANES * j)
                    if right:
                        number = code.get(code.at(given[per_term * t + 2], p), 0, NUMBER)
                        weight = code.fmul(weight, code.spread(number))
                    sums[j] = code.multiply_add(factors[t][j], weight, sums[j])
            for j in vectors:
                code.put(sums[j], target, LANES * j)
            return []

        code.loop(WORD(0), inner, 1, [], step)

    name = f"lyapy_merge_{terms}{'_right' if right else ''}"
    return kernel_of(name, 3 + per_term * terms, write)


def sparse_tile() -> Any:
    """Return code for one row of a sparse matrix times `PANEL` vectors.

    Its arguments are values, columns, numbers, panel and out, and with a panel (columns,
    `PANEL`) it computes

        out = Σ values[e] panel[columns[e]]
    """

    def write(code: Code, values: Any, columns: Any, numbers: Any, panel: Any, out: Any) -> None:
        vectors = range(VECTORS)

        def step(code: Code, e: Any, sums: Values) -> Values:
            column = code.get(code.at(columns, e), 0, WORD)
            row = code.at(panel, code.mul(column, WORD(PANEL)))
            factor = code.spread(code.get(code.at(values, e), 0, NUMBER))
            return [code.multiply_add(factor, code.get(row, LANES * j), sums[j]) for j in vectors]

        _, *sums = code.loop(WORD(0), numbers, 1, [ZERO for _ in vectors], step)
        for j in vectors:
            code.put(sums[j], out, LANES * j)

    return kernel_of("lyapy_sparse", 5, write)
