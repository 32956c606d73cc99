"""The forward pass of a layer over a chunk of time in one launch: a block for each trajectory.

Each block reads the weights by itself, which pays where launches are what is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .kernel_text import Place, Written, loops
from .trace import Tape

__all__ = ["THREADS", "whole_forward"]

THREADS = 256


def whole_forward(
    tape: Tape,
    places: Mapping[str, Place],
    stages: Sequence[tuple[Sequence[Written], Sequence[int]]],
    declared: Sequence[str],
    before: Sequence[str],
    vectors: Mapping[int, tuple[str, int]],
) -> str:
    """Return the kernel ``pass``.

    Parameters
    ----------
    stages : sequence of (list of Written, list of int)
        What is computed of single entries, and the products that can be taken then.
    declared : sequence of str
        Parameters; the matrix of product j is added as ``w{j}`` (size, rows).
    before : sequence of str
        Statements that begin a step t.
    vectors : mapping
        For each product its vector of the trajectory b, and that vector's size.
    """
    lines = []
    for results, products in stages:
        if results:
            lines += [*loops(tape, places, results, _over_block), "    __syncthreads();"]
        for j in products:
            lines += _product(j, *vectors[j], places[f"p{j}"].stride)
        if products:
            lines.append("    __syncthreads();")
    parameters = [*declared, *(f"const real* w{j}" for j in sorted(vectors)), "long long steps"]
    head = ",\n    ".join([*parameters, "long long count"])
    body = "\n".join(f"    {line}" for line in [*(f"    {one}" for one in before), *lines])
    return f"""extern "C" __global__ void pass(
    {head})
{{
    const int thread = threadIdx.x, threads = blockDim.x;
    const long long b = blockIdx.x;
    for (long long t = 0; t < steps; t++) {{
{body}
    }}
}}
"""


def _over_block(size: int) -> list[str]:
    return [f"    for (long long j = thread; j < {size}; j += threads) {{"]


def _product(j: int, vector: str, size: int, rows: int) -> list[str]:
    return [
        f"    for (long long r = thread; r < {rows}; r += threads) {{",
        f"        const real* vector = {vector};",
        "        real sum = 0;",
        f"        for (long long c = 0; c < {size}; c++)",
        f"            sum += vector[c] * w{j}[c * {rows} + r];",
        f"        p{j}[b * {rows} + r] = sum;",
        "    }",
    ]
