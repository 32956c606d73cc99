"""Innermost loops of an elimination, written as those of `tiles`."""

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir

from .vectors import (
    LANES,
    NUMBER,
    PANEL,
    VECTOR,
    VECTORS,
    WORD,
    ZERO,
    Code,
    Values,
    kernel_by_rows,
    kernel_of,
)

__all__ = [
    "exchange_tile",
    "largest_tile",
    "restore_tile",
    "sizes_tile",
    "terms_tile",
    "transpose_tile",
    "vector_tile",
]

_WORDS = ir.VectorType(WORD, LANES)
_COUNT = ir.Constant(_WORDS, list(range(LANES)))
_ONE = ir.Constant(VECTOR, [1.0] * LANES)


def _spread_word(code: Code, word: Any) -> Any:
    first = code.insert_element(ir.Constant(_WORDS, [0] * LANES), word, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return code.shuffle_vector(first, first, zeros)


def _first_largest(code: Code, tops: Any, places: Any) -> Any:
    """Return the place of the largest of the lanes' numbers, the first of those that are equal."""
    top, place = (code.extract_element(x, ir.IntType(32)(0)) for x in (tops, places))
    for lane in range(1, LANES):
        other, there = (code.extract_element(x, ir.IntType(32)(lane)) for x in (tops, places))
        before = code.and_(code.fcmp_ordered("==", other, top), code.icmp_signed("<", there, place))
        taken = code.or_(code.fcmp_ordered(">", other, top), before)
        top, place = code.select(taken, other, top), code.select(taken, there, place)
    return place


def vector_tile() -> Any:
    """Return code that eliminates a coordinate of a vector from the vectors after it.

    Its arguments are the number of vectors, the address of the first one, the vectors' stride, the
    number of the coordinate, which is less than `LANES`, and of coordinates, the address of the
    inverse of the vector's number there, and that of a whole number: it becomes the place of the
    largest |number| of the next vector, among the coordinates after it.
    """

    def write(
        count: int, code: Code, z: Any, stride: Any, pivot: Any, columns: Any, inverse: Any,
        found: Any,
    ) -> None:  # fmt: skip
        starts = [code.at(z, code.mul(stride, WORD(j))) for j in range(count)]
        scale = code.spread(code.get(inverse, 0, NUMBER))
        shares = [code.fneg(code.spread(code.get(code.at(x, pivot), 0, NUMBER))) for x in starts]
        after = code.icmp_signed(">", _COUNT, _spread_word(code, pivot))

        def change(code: Code, d: Any, values: Values, first: bool) -> Values:
            tops, places = values
            old = code.get(code.at(z, d))
            row = code.fmul(old, scale)
            code.put(code.select(after, row, old) if first else row, code.at(z, d))
            if first:
                row = code.select(after, row, ZERO)
            for j, (share, start) in enumerate(zip(shares[1:], starts[1:], strict=True)):
                place = code.at(start, d)
                changed = code.multiply_add(share, row, code.get(place))
                code.put(changed, place)
                if j == 0:
                    size = code.size(code.select(after, changed, ZERO) if first else changed)
                    larger = code.fcmp_ordered(">", size, tops)
                    here = code.add(_spread_word(code, d), _COUNT)
                    tops = code.select(larger, size, tops)
                    places = code.select(larger, here, places)
            return [tops, places]

        # the last numbers are computed in whole registers, too: zeros lie behind them
        begun = change(code, WORD(0), [ZERO, _COUNT], True)
        end = code.add(columns, WORD(LANES - 1))
        rest = partial(change, first=False)
        _, *reached = code.loop(WORD(LANES), end, LANES, begun, rest)
        code.put(_first_largest(code, *reached), found)

    return kernel_by_rows("lyapy_vector", 6, write)


def exchange_tile() -> Any:
    """Return code that exchanges two rows, whose arguments they are, and their whole panels."""

    def write(code: Code, one: Any, other: Any, columns: Any) -> None:
        def step(code: Code, d: Any, _: Values) -> Values:
            places = [
                code.at(start, d, WORD(LANES * j)) for start in (one, other) for j in range(VECTORS)
            ]
            numbers = [code.get(place) for place in places]
            for place, number in zip(places, numbers[VECTORS:] + numbers[:VECTORS], strict=True):
                code.put(number, place)
            return []

        code.loop(WORD(0), columns, PANEL, [], step)

    return kernel_of("lyapy_exchange", 3, write)


def largest_tile() -> Any:
    """Return code for the place of the largest |number| of a vector.

    Its arguments are the vector, the number of coordinates, with zeros behind, and the address of
    the place.
    """

    def write(code: Code, z: Any, columns: Any, found: Any) -> None:
        def step(code: Code, d: Any, values: Values) -> Values:
            tops, places = values
            size = code.size(code.get(code.at(z, d)))
            larger = code.fcmp_ordered(">", size, tops)
            here = code.add(_spread_word(code, d), _COUNT)
            return [code.select(larger, size, tops), code.select(larger, here, places)]

        end = code.add(columns, WORD(LANES - 1))
        _, tops, places = code.loop(WORD(0), end, LANES, [ZERO, _COUNT], step)
        code.put(_first_largest(code, tops, places), found)

    return kernel_of("lyapy_largest", 3, write)


def terms_tile() -> Any:
    """Return code for the inner products of the sizes of `LANES` rows and as many columns.

    Its arguments are the rows a and the columns b, of one stride, the numbers of each, and out:
    out[i] = Σ_p |a[i, p]| |b[p, i]|.
    """

    def write(code: Code, a: Any, b: Any, stride: Any, inner: Any, out: Any) -> None:
        starts = [code.at(a, code.mul(stride, WORD(i))) for i in range(LANES)]

        def step(code: Code, p: Any, sums: Values) -> Values:
            column = code.size(code.get(code.at(b, code.mul(p, stride))))
            rows = [code.spread(code.get(code.at(each, p), 0, NUMBER)) for each in starts]
            pairs = zip(rows, sums, strict=True)
            return [code.multiply_add(code.size(row), column, each) for row, each in pairs]

        _, *sums = code.loop(WORD(0), inner, 1, [ZERO] * LANES, step)
        for i, each in enumerate(sums):
            code.put(code.extract_element(each, ir.IntType(32)(i)), out, i)

    return kernel_of("lyapy_terms", 5, write)


def _transposed(code: Code, rows: Values) -> Values:
    """Return the transpose of `LANES` vectors."""
    rows, half = list(rows), 1
    while half < LANES:
        lanes = range(LANES)
        low = [c + LANES - half if c & half else c for c in lanes]
        high = [c + LANES if c & half else c + half for c in lanes]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), LANES), m) for m in (low, high)]
        for i in lanes:
            if not i & half:
                pair = rows[i], rows[i + half]
                rows[i], rows[i + half] = (code.shuffle_vector(*pair, m) for m in masks)
        half *= 2
    return rows


def transpose_tile() -> Any:
    """Return code that writes the transpose of `LANES` rows: out[d, i] = a[i, d].

    Its arguments are a, a_stride, the number of rows, beyond which the last one is taken again,
    of columns, in whole `LANES`, out, and out_stride.
    """

    def write(
        code: Code, a: Any, a_stride: Any, rows: Any, columns: Any, out: Any, out_stride: Any
    ) -> None:
        starts = [code.at(a, code.mul(a_stride, code.least(rows, i))) for i in range(LANES)]

        def step(code: Code, d: Any, _: Values) -> Values:
            across = _transposed(code, [code.get(code.at(start, d)) for start in starts])
            for i, row in enumerate(across):
                code.put(row, code.at(out, code.mul(code.add(d, WORD(i)), out_stride)))
            return []

        code.loop(WORD(0), columns, LANES, [], step)

    return kernel_of("lyapy_transpose", 6, write)


def restore_tile() -> Any:
    """Return code that writes `LANES` vectors of an elimination back into a frame.

    Its arguments are the vectors' columns z of the eliminated rows, z_stride, the rows in which
    the coordinates are, the number of the first vector, of coordinates, in whole `LANES`, the
    address of the first vector in the frame, its stride, and the number of vectors from it on.
    """

    def write(
        code: Code, z: Any, z_stride: Any, places: Any, first: Any, columns: Any, out: Any,
        out_stride: Any, rows: Any,
    ) -> None:  # fmt: skip
        ends = [code.at(out, code.mul(out_stride, code.least(rows, i))) for i in range(LANES)]

        def step(code: Code, d: Any, _: Values) -> Values:
            found: Values = []
            for i in range(LANES):
                place = code.get(code.at(places, code.add(d, WORD(i))), 0, WORD)
                row = code.get(code.at(z, code.mul(place, z_stride)))
                own = _spread_word(code, code.sub(place, first))
                at = code.icmp_signed("==", _COUNT, own)
                row = code.select(code.icmp_signed(">", own, _COUNT), row, ZERO)
                found.append(code.select(at, _ONE, row))
            # from the last one on, so that the last vector is written after those beyond it
            for end, row in [*zip(ends, _transposed(code, found), strict=True)][::-1]:
                code.put(row, code.at(end, d))
            return []

        code.loop(WORD(0), columns, LANES, [], step)

    return kernel_of("lyapy_restore", 8, write)


def sizes_tile() -> Any:
    """Return code for the largest and the least |number| of each coordinate, zeros apart.

    Its arguments are a, a_stride, the numbers of rows, of which each one has whole panels, and of
    columns, and the addresses of the largest, NaN where one is, and of the least, ∞ without any.
    """
    infinite = ir.Constant(VECTOR, [float("inf")] * LANES)

    def write(
        code: Code, a: Any, a_stride: Any, rows: Any, columns: Any, largest: Any, least: Any
    ) -> None:
        def panel(code: Code, d: Any, _: Values) -> Values:
            def row(code: Code, i: Any, found: Values) -> Values:
                place = code.at(a, d, code.mul(i, a_stride))
                tops, bottoms = [], []
                for j, (top, bottom) in enumerate(zip(found[::2], found[1::2], strict=True)):
                    size = code.size(code.get(place, LANES * j))
                    lost = code.fcmp_unordered("uno", size, size)
                    tops.append(code.select(lost, size, code.larger(size, top)))
                    smaller = code.select(code.fcmp_ordered("<", size, bottom), size, bottom)
                    known = code.fcmp_ordered(">", size, ZERO)
                    bottoms.append(code.select(known, smaller, bottom))
                return [x for pair in zip(tops, bottoms, strict=True) for x in pair]

            _, *found = code.loop(WORD(0), rows, 1, [ZERO, infinite] * VECTORS, row)
            for j in range(VECTORS):
                code.put(found[2 * j], code.at(largest, d), LANES * j)
                code.put(found[2 * j + 1], code.at(least, d), LANES * j)
            return []

        code.loop(WORD(0), columns, PANEL, [], panel)

    return kernel_of("lyapy_sizes", 6, write)
