"""Sparse weights: a product takes one multiplication for each number that is not zero."""

from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from .base import as_matrix


class Sparse(NamedTuple):
    """A matrix in compressed sparse rows; ``starts`` (rows + 1,) also has the end of the last."""

    values: Array
    columns: Array
    starts: Array
    shape: Array


def as_weight(value: Any, name: str, shape: tuple[int, int]) -> Array | Sparse:
    """Return ``value``, checked, as a matrix of ``shape``, sparse if it is one of scipy.sparse."""
    from scipy.sparse import csr_array, issparse

    if not issparse(value):
        return as_matrix(value, name, shape)
    build: Any = csr_array
    rows = build(value).astype(np.float64)
    if rows.shape != shape:
        raise ValueError(f"{name} has shape {rows.shape}; it must be {shape}")
    as_matrix(rows.data[None], name, (1, None))
    return as_sparse(rows)


def as_sparse(matrix: Any) -> Sparse:
    """Return a sparse matrix of scipy's as a `Sparse`."""
    rows = matrix.tocsr()
    rows.sum_duplicates()
    columns, starts = (np.asarray(a, dtype=np.int64) for a in (rows.indices, rows.indptr))
    return Sparse(rows.data, columns, starts, np.array(rows.shape))


def product(x: Array, matrix: Any) -> Array:
    """Return ``x @ matrix.T`` for x (..., columns) and a dense or sparse matrix of its module."""
    rows = as_scipy(matrix) if isinstance(matrix, Sparse) else matrix
    # an attribute of sparse arrays alone, in every array module
    if not hasattr(rows, "nnz"):
        return x @ rows.T
    return (rows @ x.reshape(-1, rows.shape[1]).T).T.reshape(*x.shape[:-1], -1)


def as_scipy(matrix: Sparse) -> Any:
    """Return a `Sparse` as scipy's array."""
    from scipy.sparse import csr_array

    build: Any = csr_array
    values, columns, starts, shape = matrix
    return build((values, columns, starts), shape=tuple(map(int, shape)))
