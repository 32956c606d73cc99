"""MATLAB's files up to version 7 (``save -v7``), read by scipy."""

from __future__ import annotations

import os
import struct
import zlib
from math import prod
from typing import Any, BinaryIO

import numpy as np

from .contents import Contents, unpacked_limit
from .refusal import RefusedError

__all__ = ["read"]

# of the classes of arrays, with the bytes of an element at most
_NUMBERS = ("double", "single", "logical", "sparse", *(f"{u}int{n}" for u in ("", "u") for n in
            (8, 16, 32, 64)))  # fmt: skip
_WIDEST = 16
_HEADER, _PACKED = 128, 15
_PARTS = ("data", "indices", "indptr", "shape")


def read(file: BinaryIO) -> Contents:
    """Read the arrays of numbers; structures and cells are left out."""
    from scipy import io

    limit, total = unpacked_limit(os.fstat(file.fileno()).st_size), 0
    _refuse_bombs(file, limit)
    file.seek(0)
    names = []
    scipy_io: Any = io  # whose types know paths only
    for name, shape, kind in scipy_io.whosmat(file):
        if kind in _NUMBERS:
            total += prod(shape) * _WIDEST * (kind != "sparse")
            names.append(name)
    if total > limit:
        raise RefusedError(f"declares arrays of {total} bytes", "save the weights alone")
    file.seek(0)
    arrays: dict[str, Any] = {}
    for name, array in scipy_io.loadmat(file, variable_names=names).items() if names else ():
        if hasattr(array, "tocsr"):
            rows = array.tocsr()
            arrays |= {f"{name}.{part}": np.asarray(getattr(rows, part)) for part in _PARTS}
        elif name in names:
            arrays[name] = array
    return Contents(arrays, {})


def _refuse_bombs(file: BinaryIO, limit: int) -> None:
    """Inflate each packed variable up to a limit: scipy would go on as long as there is more."""
    file.seek(_HEADER - 2)
    order = "<" if file.read(2) == b"IM" else ">"
    while len(tag := file.read(8)) == 8:
        kind, size = struct.unpack(f"{order}II", tag)
        content = file.read(size)
        if kind == _PACKED:
            limit -= len(zlib.decompressobj().decompress(content, limit + 1))
        if limit < 0:
            raise RefusedError("unpacks to more than a file of its size may")
