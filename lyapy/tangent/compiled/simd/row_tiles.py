"""Innermost loops of a reorthonormalization, written as those of `tiles`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .vectors import (
    LANES,
    NUMBER,
    VECTOR,
    VECTORS,
    WORD,
    ZERO,
    Code,
    Values,
    kernel_by_rows,
    kernel_of,
)

__all__ = ["dot_tile", "solve_tile", "subtract_tile"]


def dot_tile(rows: int, columns: int) -> Any:
    """Return code for the inner products of ``rows`` rows of a with ``columns`` rows of b.

    Its arguments are a, a_stride, b, b_stride, inner, out and out_stride, and it computes
    out = a @ b.T.
    """

    def write(
        code: Code, a: Any, a_stride: Any, b: Any, b_stride: Any, inner: Any, out: Any,
        out_stride: Any,
    ) -> None:  # fmt: skip
        starts = [code.at(a, code.mul(a_stride, WORD(i))) for i in range(rows)]
        others = [code.at(b, code.mul(b_stride, WORD(j))) for j in range(columns)]

        def step(kind: Any) -> Callable[[Code, Any, Values], Values]:
            def multiply(code: Code, p: Any, sums: Values) -> Values:
                right = [code.get(code.at(start, p), 0, kind) for start in others]
                following: Values = []
                for start in starts:
                    left = code.get(code.at(start, p), 0, kind)
                    for x in right:
                        following.append(code.multiply_add(left, x, sums[len(following)]))
                return following

            return multiply

        zeros = [ZERO] * (rows * columns)
        done, *sums = code.loop(WORD(0), inner, LANES, zeros, step(VECTOR))
        totals = code.totals(sums)
        _, *totals = code.loop(done, inner, 1, totals, step(NUMBER))
        for i in range(rows):
            row = code.at(out, code.mul(out_stride, WORD(i)))
            for j in range(columns):
                code.put(totals[i * columns + j], row, j)

    return kernel_of(f"lyapy_dot_{rows}_{columns}", 7, write)


def subtract_tile(vectors: int = VECTORS) -> Any:
    """Return code for some rows and ``vectors`` times `LANES` columns of a product, subtracted.

    Its arguments are the number of rows, and a, a_stride, b, b_stride, inner, out and out_stride,
    and it computes out −= a @ b.
    """

    def write(
        rows: int, code: Code, a: Any, a_stride: Any, b: Any, b_stride: Any, inner: Any, out: Any,
        out_stride: Any,
    ) -> None:  # fmt: skip
        starts = [code.at(a, code.mul(a_stride, WORD(i))) for i in range(rows)]
        targets = [code.at(out, code.mul(out_stride, WORD(i))) for i in range(rows)]

        def step(code: Code, p: Any, sums: Values) -> Values:
            row = code.at(b, code.mul(p, b_stride))
            right = [code.get(row, LANES * j) for j in range(vectors)]
            following: Values = []
            for start in starts:
                factor = code.fneg(code.spread(code.get(code.at(start, p), 0, NUMBER)))
                for x in right:
                    following.append(code.multiply_add(factor, x, sums[len(following)]))
            return following

        found = [code.get(row, LANES * j) for row in targets for j in range(vectors)]
        _, *found = code.loop(WORD(0), inner, 1, found, step)
        for i, row in enumerate(targets):
            for j in range(vectors):
                code.put(found[i * vectors + j], row, LANES * j)

    return kernel_by_rows(f"lyapy_subtract_{vectors}", 7, write)


def solve_tile(rows: int) -> Any:
    """Return code that solves a triangular system in place, L z′ = z for ``rows`` rows z.

    Its arguments are z, z_stride, columns, a multiple of the lanes, and factors (rows, rows): L
    with the inverse of its diagonal.
    """

    def write(code: Code, z: Any, z_stride: Any, columns: Any, factors: Any) -> None:
        starts = [code.at(z, code.mul(z_stride, WORD(i))) for i in range(rows)]

        def step(code: Code, c: Any, _: Values) -> Values:
            def factor(i: int, j: int) -> Any:
                return code.spread(code.get(factors, i * rows + j, NUMBER))

            places = [code.at(start, c) for start in starts]
            solved: Values = []
            for i, place in enumerate(places):
                row = code.get(place)
                for j, other in enumerate(solved):
                    row = code.multiply_add(code.fneg(factor(i, j)), other, row)
                solved.append(code.fmul(row, factor(i, i)))
            for row, place in zip(solved, places, strict=True):
                code.put(row, place)
            return []

        code.loop(WORD(0), columns, LANES, [], step)

    return kernel_of(f"lyapy_solve_{rows}", 4, write)
