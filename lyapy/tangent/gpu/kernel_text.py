"""Text of kernels: expressions in C++, as CUDA compiles it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .trace import NotTraceableError, Tape

__all__ = ["BLOCK", "Place", "Written", "elementwise_kernel", "grid_for", "loops"]

BLOCK = 128
MOST_BLOCKS = 4096

# of arguments a, b, c; `real` is the precision's type
FUNCTIONS = {
    "absolute": "fabs({0})",
    "add": "({0} + {1})",
    "copysign": "copysign((real){0}, (real){1})",
    "cos": "cos({0})",
    "divide": "({0} / {1})",
    "equal": "({0} == {1})",
    "exp": "exp({0})",
    "expm1": "expm1({0})",
    "greater": "({0} > {1})",
    "greater_equal": "({0} >= {1})",
    "less": "({0} < {1})",
    "less_equal": "({0} <= {1})",
    "log": "log({0})",
    "log1p": "log1p({0})",
    "logaddexp": "(fmax({0}, {1}) + log1p(exp(-fabs({0} - {1}))))",
    "logical_and": "({0} && {1})",
    "logical_not": "(!{0})",
    "logical_or": "({0} || {1})",
    # NaN goes on, as in NumPy
    "maximum": "(({0} > {1} || {0} != {0}) ? {0} : {1})",
    "minimum": "(({0} < {1} || {0} != {0}) ? {0} : {1})",
    "multiply": "({0} * {1})",
    "negative": "(-{0})",
    "not_equal": "({0} != {1})",
    "power": "pow((real){0}, (real){1})",
    "sin": "sin({0})",
    "sqrt": "sqrt({0})",
    "square": "({0} * {0})",
    "subtract": "({0} - {1})",
    "tanh": "tanh({0})",
    "true_divide": "({0} / {1})",
    "where": "({0} ? (real){1} : (real){2})",
}
CONDITIONS = {
    *("equal", "greater", "greater_equal", "less", "less_equal", "not_equal"),
    *("logical_and", "logical_not", "logical_or"),
}


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


def elementwise_kernel(
    name: str,
    parameters: Sequence[str],
    before: Sequence[str],
    tape: Tape,
    places: Mapping[str, Place],
    results: Sequence[Written],
) -> str:
    """Return a kernel that computes expressions of each entry of each of ``count`` trajectories.

    Parameters
    ----------
    parameters : sequence of str
        Declarations, in order; ``long long count`` is the last.
    before : sequence of str
        Statements that come first.
    places : mapping
        Of the sources that the expressions read.
    """
    body = [f"    {line}" for line in before]
    body += loops(tape, places, results, _over_all)
    declared = ",\n    ".join([*parameters, "long long count"])
    lines = [f'extern "C" __global__ void {name}(\n    {declared})', "{"]
    lines += ["    const long long first = (long long)blockIdx.x * blockDim.x + threadIdx.x;"]
    lines += ["    const long long step = (long long)gridDim.x * blockDim.x;", *body, "}"]
    return "\n".join(lines) + "\n"


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


def _over_all(size: int) -> list[str]:
    return [
        f"    for (long long i = first; i < count * {size}; i += step) {{",
        f"        const long long b = i / {size}, j = i % {size};",
    ]


def _loop(
    head: list[str], results: Sequence[Written], tape: Tape, places: Mapping[str, Place]
) -> list[str]:
    lines = list(head)
    named: dict[int, str] = {}
    for result in results:
        lines += _expression(result.number, tape, places, named)
    for result in results:
        lines.append(f"        {result.place.at(result.start)} = {named[result.number]};")
    return [*lines, "    }"]


def _expression(
    number: int, tape: Tape, places: Mapping[str, Place], named: dict[int, str]
) -> list[str]:
    """Return the statements that compute an expression, and note the names of their values."""
    lines: list[str] = []
    waiting = [number]
    while waiting:
        one = waiting[-1]
        missing = [a for a in tape.arguments(one) if a not in named]
        if missing and one not in named:
            waiting += reversed(missing)
            continue
        waiting.pop()
        if one not in named:
            lines += _statement(one, tape, places, named)
    return lines


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
    return [f"        const {type_name} v{number} = {value};"]
