"""Sparse products in compiled code: of one state, and of a whole frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from ...arrays import Array
from ...cells import sparse
from .jit import linked
from .plan import Plan
from .products import address
from .simd.tiles import PANEL, sparse_tile

__all__ = ["multiply_sparse"]

_ROW = sparse_tile()


@overload(sparse.product, strict=False)
def _overload_product(x: Any, matrix: Any) -> Any:
    if isinstance(matrix, types.Array):
        return lambda x, matrix: x @ matrix.T

    def sparse_product(x: Array, matrix: Any) -> Array:
        result = np.zeros(len(matrix.starts) - 1)
        for i in range(len(result)):
            total = 0.0
            for e in range(matrix.starts[i], matrix.starts[i + 1]):
                total += matrix.values[e] * x[matrix.columns[e]]
            result[i] = total
        return result

    return sparse_product


@linked
def multiply_sparse(
    plan: Plan,
    row: Array,
    coefficients: Array,
    source: Array,
    new: Array,
    vectors: int,
    panel: Array,
    sums: Array,
) -> None:
    """Compute target = (target if add) + scale ⊙ (M @ (first ⊙ source)), a panel at a time.

    A panel holds `PANEL` deviation vectors side by side, so that the numbers that one of M
    multiplies lie together.
    """
    n = row.columns
    for start in range(0, vectors, PANEL):
        count = min(PANEL, vectors - start)
        for v in range(count):
            z = source[start + v, row.source : row.source + n]
            if row.first >= 0:
                for c in range(n):
                    panel[c * PANEL + v] = z[c] * coefficients[row.first + c]
            else:
                for c in range(n):
                    panel[c * PANEL + v] = z[c]
        for i in range(row.rows):
            begin = plan.sparse_starts[row.matrix + i]
            numbers = plan.sparse_starts[row.matrix + i + 1] - begin
            values = address(plan.sparse_values, begin)
            columns = address(plan.sparse_columns, begin)
            _ROW((values, columns, numbers, address(panel, 0), address(sums, 0)))
            scale = coefficients[row.scale + i] if row.scale >= 0 else 1.0
            for v in range(count):
                before = new[start + v, row.target + i] if row.add != 0 else 0.0
                new[start + v, row.target + i] = before + scale * sums[v]
