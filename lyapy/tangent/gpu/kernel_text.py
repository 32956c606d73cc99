"""Text of kernels: expressions in C++, as CUDA compiles it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .trace import NotTraceableError, Tape

__all__ = ["BLOCK", "Place", "Written", "grid_for", "grid_kernel", "loops", "over_all"]

BLOCK = 128
MOST_BLOCKS = 4096

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


class Place(NamedTuple):
    """Where a vector of each trajectory lies: ``base[b * stride + j]``; 0 where all share one."""

    base: str
    stride: int

    def at(self, start: int, j: str = "j") -> str:
        row = f"b * {self.stride} + " if self.stride else ""
        return f"{self.base}[{row}{start} + {j}]" if start else f"{self.base}[{row}{j}]"


class Written(NamedTuple):
    """A result: where it goes, from which entry on, and the number of its expression."""

    place: Place
    start: int
    size: int
    number: int


def grid_for(entries: int) -> int:
    """Return the blocks for so many entries."""
    return min(-(-entries // BLOCK), MOST_BLOCKS)


def grid_kernel(name: str, parameters: Sequence[str], body: Sequence[str]) -> str:
    """Return a kernel in which each thread goes from ``first`` on in steps of ``step``.

    ``long long count`` is its last parameter, after those declared.
    """
    declared = ",\n    ".join([*parameters, "long long count"])
    lines = "\n".join(f"    {line}" for line in body)
    return f"""extern "C" __global__ void {name}(
    {declared})
{{
    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long step = (long long)gridDim.x * blockDim.x;
{lines}
}}
"""


def over_all(size: int) -> list[str]:
    """Return the beginning of a loop over entries j of each of ``count`` trajectories b."""
    return [
        f"for (long long i = first; i < count * {size}; i += step) {{",
        f"    const long long b = i / {size}, j = i % {size};",
    ]


def loops(
    tape: Tape,
    places: Mapping[str, Place],
    results: Sequence[Written],
    head: Callable[[int], list[str]],
) -> list[str]:
    """Return a loop for the results of each size; ``head`` begins it, and sets b and j."""
    by_size: dict[int, list[Written]] = {}
    for result in results:
        by_size.setdefault(result.size, []).append(result)
    lines: list[str] = []
    for size, some in sorted(by_size.items()):
        lines += _loop(head(size), some, tape, places)
    return lines


def _loop(
    head: list[str], results: Sequence[Written], tape: Tape, places: Mapping[str, Place]
) -> list[str]:
    needed, waiting = set[int](), [result.number for result in results]
    while waiting:
        number = waiting.pop()
        if number not in needed:
            needed.add(number)
            waiting += tape.arguments(number)
    lines, named = list(head), dict[int, str]()
    # an expression follows its arguments
    for number in sorted(needed):
        lines += _statement(number, tape, places, named)
    for result in results:
        lines.append(f"    {result.place.at(result.start)} = {named[result.number]};")
    return [*lines, "}"]


def _literal(value: float) -> str:
    if math.isnan(value):
        raise NotTraceableError("NaN")
    return repr(value) if math.isfinite(value) else f"{math.copysign(1.0, value)} / 0.0"


def _statement(
    number: int, tape: Tape, places: Mapping[str, Place], named: dict[int, str]
) -> list[str]:
    kind, *rest = tape.entries[number]
    if kind == "scalar":
        named[number] = f"(real)({_literal(rest[0])})"
        return []
    named[number] = f"v{number}"
    if kind == "read":
        value = places[rest[0]].at(rest[1])
    elif kind == "element":
        value = f"{places[rest[0]].base}[{rest[1]}]"
    elif kind in FUNCTIONS:
        value = FUNCTIONS[kind].format(*(named[argument] for argument in rest))
    else:
        raise NotTraceableError(kind)
    type_name = "bool" if kind in CONDITIONS else "real"
    return [f"    const {type_name} v{number} = {value};"]
