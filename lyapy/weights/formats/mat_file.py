"""MATLAB's files of version 5 to 7 (``save -v7``); scipy's reader crashes on damaged ones."""

import struct
import zlib
from collections.abc import Iterator
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...storage.hdf5 import unpacked_limit
from .contents import Contents
from .refusal import CONVERT, RefusedError

_HEADER, _MATRIX, _PACKED, _SPARSE = 128, 14, 15, 5
_COMPLEX = 0x08
# numbers as stored, and the classes of arrays
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
           13: "u8"}  # fmt: skip
_CLASSES = dict(enumerate(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"], 6))
_RANK_LIMIT = 32


def read(file: BinaryIO) -> Contents:
    """Read the arrays of numbers, full and sparse; text, structures and cells are left out."""
    data = file.read()
    limit = unpacked_limit(len(data))
    order = "<" if data[_HEADER - 2 : _HEADER] == b"IM" else ">"
    arrays: dict[str, NDArray[Any]] = {}
    for kind, content in _elements(memoryview(data)[_HEADER:], order):
        if kind == _PACKED:
            unpacked = zlib.decompressobj().decompress(content, limit + 1)
            limit -= len(unpacked)
            if limit < 0:
                raise RefusedError("unpacks to more than a file of its size may", CONVERT)
            kind, content = next(_elements(memoryview(unpacked), order), (0, content))
        if kind == _MATRIX:
            found = _matrix(_elements(content, order), order, limit)
            limit -= sum(array.nbytes for array in found.values())
            arrays |= found
    return Contents(arrays, {})


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        start = place + 8
        if kind >> 16:  # four bytes or fewer, in the tag itself
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if start + size > len(data) or (start == place + 4 and size > 4):
            raise RefusedError("is truncated or damaged")
        yield kind, data[start : start + size]
        place = start + size
        if kind != _PACKED:
            place += -place % 8


def _matrix(
    elements: Iterator[tuple[int, memoryview]], order: str, limit: int
) -> dict[str, NDArray[Any]]:
    """Return a variable by its name, a sparse one in the parts of a csr_array."""

    def numbers() -> NDArray[Any]:
        kind, content = next(elements, (0, memoryview(b"")))
        if kind not in _STORED:
            raise RefusedError("holds an array without numbers")
        stored = np.frombuffer(content, f"{order}{_STORED[kind]}")
        if stored.size * np.dtype(np.float64).itemsize > limit:
            raise RefusedError("unpacks to more than a file of its size may", CONVERT)
        return stored

    flags = numbers().tolist()
    found = flags[0] & 0xFF if flags else 0
    if found != _SPARSE and found not in _CLASSES:
        return {}
    shape = tuple(numbers().tolist())
    name = numbers().tobytes().decode("latin-1")
    if len(shape) > _RANK_LIMIT or min(shape, default=0) < 0:
        raise RefusedError(f"declares {shape} for {name!r}")
    places = [numbers().astype(np.int64) for _ in range(2)] if found == _SPARSE else []
    values = numbers().astype(_CLASSES.get(found, "f8"))
    if flags[0] >> 8 & _COMPLEX:
        values = values + 1j * numbers()
    if found == _SPARSE:
        from scipy.sparse import csc_array

        build: Any = csc_array
        rows, starts = places
        columns = build((values, rows[: values.size], starts), shape=shape)
        columns.check_format(full_check=True)
        matrix = columns.tocsr()
        arrays = {f"{name}.{part}": getattr(matrix, part) for part in ("data", "indices", "indptr")}
        return {**arrays, f"{name}.shape": np.asarray(shape)}
    if prod(shape) != values.size:
        raise RefusedError(f"declares {shape} for {name!r} and holds {values.size} numbers")
    return {name: values.reshape(shape, order="F")}
