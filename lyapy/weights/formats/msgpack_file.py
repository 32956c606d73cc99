"""Flax's msgpack files: nested dicts of arrays."""

from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .contents import DTYPES, Contents, decode, itemsize
from .refusal import CONVERT, NAME_LIMIT, RefusedError

_ARRAY, _SCALAR = 1, 3
_DEPTH_LIMIT = 64
# Flax writes lists as dicts
_LIST_LIMIT = 1000
_RANK_LIMIT = 64


def read(file: BinaryIO) -> Contents:
    """Read every array; the names of nested dicts are joined by dots."""
    try:
        import msgpack
    except ImportError:
        finding = "is a msgpack file and needs the package msgpack"
        raise RefusedError(finding, "pip install 'lyapy[flax]'") from None
    # a list is allocated before its items are read, and lists nest; a file can choose numbers as
    # keys that have one hash, and strict keys are texts
    tree = msgpack.unpackb(
        file.read(), ext_hook=_extension, strict_map_key=True, max_array_len=_LIST_LIMIT
    )
    arrays: dict[str, NDArray[Any]] = {}
    _gather(tree, "", arrays, 0)
    return Contents(arrays, {})


def _extension(code: int, data: bytes) -> Any:
    import msgpack

    if code not in (_ARRAY, _SCALAR):
        return None
    shape, dtype, raw = msgpack.unpackb(data, raw=False, max_array_len=_RANK_LIMIT)
    if dtype not in DTYPES:
        raise RefusedError(f"holds an array of unsupported dtype {dtype!r}", CONVERT)
    if min(shape, default=0) < 0 or prod(shape) * itemsize(dtype) != len(raw):
        raise RefusedError(f"declares {tuple(shape)} of {dtype} for {len(raw)} bytes")
    return decode(raw, dtype).reshape(shape)


def _gather(tree: Any, name: str, arrays: dict[str, NDArray[Any]], depth: int) -> None:
    if depth > _DEPTH_LIMIT:
        raise RefusedError("nests its dicts too deeply", CONVERT)
    if isinstance(tree, np.ndarray):
        arrays[name] = tree
    elif isinstance(tree, dict):
        if "__msgpack_chunked_array__" in tree:
            raise RefusedError(f"holds {name!r} in chunks, which are not read", CONVERT)
        for key, value in tree.items():
            if len(name) + len(key) > NAME_LIMIT:
                raise RefusedError("holds names that are too long", CONVERT)
            _gather(value, f"{name}.{key}" if name else str(key), arrays, depth + 1)
