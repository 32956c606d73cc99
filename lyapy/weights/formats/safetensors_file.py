"""Files of the safetensors package, and the checks that it does not make."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, BinaryIO

from numpy.typing import NDArray

from lyapy.weights.formats.elements import BFLOAT16, decode
from lyapy.weights.formats.refusal import CONVERT, RefusedError

__all__ = ["read"]

_HEADER_LIMIT = 16 << 20
_CODES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": BFLOAT16, "BOOL": "?", "C64": "c8",
    "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
}  # fmt: skip


def read(file: BinaryIO) -> dict[str, NDArray[Any]]:
    """Read every tensor.

    Parameters
    ----------
    file
        The file, open for reading.
    """
    try:
        import safetensors
    except ImportError:
        raise RefusedError("needs the package safetensors", "pip install safetensors") from None
    data = file.read()
    names = _read_header(data)
    deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize
    try:
        tensors = deserialize(data)
    except safetensors.SafetensorError as error:
        raise RefusedError(f"is a damaged safetensors file ({error})") from None
    # the package gives them in another order each time
    found = dict(tensors)
    return {name: _array(name, **found[name]) for name in names if name in found}


def _array(name: str, shape: list[int], dtype: str, data: bytes) -> NDArray[Any]:
    if dtype not in _CODES:
        raise RefusedError(
            f"holds {name!r} of dtype {dtype}, which is not read", "convert it to F32"
        )
    return decode(data, _CODES[dtype]).reshape(shape)


def _read_header(data: bytes) -> dict[str, Any]:
    """Return what the header says, by the names of the tensors in the file's order."""
    length = int.from_bytes(data[:8], "little")
    if length > min(_HEADER_LIMIT, len(data) - 8):
        raise RefusedError(
            f"has {len(data)} bytes and claims a safetensors header of {length}", CONVERT
        )
    header: dict[str, Any] = json.loads(data[8 : 8 + length], object_pairs_hook=_refuse_repeats)
    return header


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedError("names an entry of its safetensors header twice")
    return found
