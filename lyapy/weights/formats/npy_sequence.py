"""npy arrays one after the other without names, as Equinox writes the leaves of a tree."""

from __future__ import annotations

import os
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lyapy.weights.formats.npz import read_header
from lyapy.weights.formats.refusal import RefusedError

__all__ = ["read"]

_COUNT_LIMIT = 100_000


def read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read every array; their names are their places, from ``"0"`` on.

    Parameters
    ----------
    file
        The file, open for reading.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    arrays: dict[str, NDArray[Any]] = {}
    while file.tell() < end:
        name = str(len(arrays))
        if len(arrays) > _COUNT_LIMIT:
            raise RefusedError(f"holds more than {_COUNT_LIMIT} arrays")
        shape, fortran, dtype = read_header(file, name)
        size = prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size > end - file.tell():
            raise RefusedError(f"declares {shape} of {dtype} for array {name}, more than it holds")
        array: NDArray[Any] = np.ndarray(
            shape, dtype, file.read(size), order="F" if fortran else "C"
        )
        arrays[name] = array.astype(dtype.newbyteorder("="), copy=False)
    if len(arrays) == 1:
        raise RefusedError("is a single npy array without a name", "write it with numpy.savez")
    return arrays
