"""Flax's msgpack files: nested dicts of arrays."""

from __future__ import annotations

from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lyapy.weights.formats.elements import BFLOAT16, decode, itemsize
from lyapy.weights.formats.refusal import CONVERT, RefusedError

__all__ = ["read"]

_ARRAY, _SCALAR = 1, 3
_DEPTH_LIMIT = 64
# Flax writes lists as dicts.
_LIST_LIMIT = 1000
_RANK_LIMIT = 64
_CODES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": BFLOAT16, "bool": "?",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1",
    "uint64": "u8", "uint32": "u4", "uint16": "u2", "uint8": "u1",
    "complex64": "c8", "complex128": "c16",
}  # fmt: skip


def read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read every array; names of nested dicts are joined by dots.

    Parameters
    ----------
    file
        The file, open for reading.
    """
    try:
        import msgpack
    except ImportError:
        raise RefusedError(
            "is a msgpack file and needs the package msgpack", "pip install 'lyapy[flax]'"
        ) from None
    # no length is believed beyond the bytes that are there; a list of that length would be
    # made before its items are looked at, and another in it
    tree = msgpack.unpackb(
        file.read(), ext_hook=_extension, strict_map_key=False, max_array_len=_LIST_LIMIT
    )
    arrays: dict[str, NDArray[Any]] = {}
    _gather(tree, "", arrays, 0)
    return arrays


def _extension(code: int, data: bytes) -> Any:
    import msgpack

    if code not in (_ARRAY, _SCALAR):
        return None
    shape, dtype, raw = msgpack.unpackb(data, raw=False, max_array_len=_RANK_LIMIT)
    if dtype not in _CODES:
        raise RefusedError(f"holds an array of dtype {dtype!r}, which is not read", CONVERT)
    if min(shape, default=0) < 0 or prod(shape) * itemsize(_CODES[dtype]) != len(raw):
        raise RefusedError(f"declares {tuple(shape)} of {dtype} for {len(raw)} bytes")
    return decode(raw, _CODES[dtype]).reshape(shape)


def _gather(tree: Any, name: str, arrays: dict[str, NDArray[Any]], depth: int) -> None:
    if depth > _DEPTH_LIMIT:
        raise RefusedError("nests its dicts too deep", CONVERT)
    if isinstance(tree, np.ndarray):
        arrays[name] = tree
    elif isinstance(tree, dict):
        if "__msgpack_chunked_array__" in tree:
            raise RefusedError(f"holds {name!r} in chunks, which are not read", CONVERT)
        for key, value in tree.items():
            _gather(value, f"{name}.{key}" if name else str(key), arrays, depth + 1)
