"""Files of the safetensors package, with the checks that it does not make."""

import json
from collections.abc import Callable
from typing import Any, BinaryIO

from numpy.typing import NDArray

from .contents import Contents, decode
from .refusal import CONVERT, RefusedError

_HEADER_LIMIT = 16 << 20
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "C64": "complex64",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8",
}  # fmt: skip


def read(file: BinaryIO) -> Contents:
    """Read every tensor, in the file's order, and the ``vocabulary`` of its metadata."""
    try:
        import safetensors
    except ImportError:
        raise RefusedError("needs the package safetensors", "pip install safetensors") from None
    data = file.read()
    names = _read_header(data)
    said = names.get("__metadata__")
    vocabulary = said.get("vocabulary") if isinstance(said, dict) else None
    deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = safetensors.deserialize
    try:
        # the package returns them in another order each time
        tensors = dict(deserialize(data))
    except safetensors.SafetensorError as error:
        raise RefusedError(f"is a damaged safetensors file ({error})") from None
    arrays: dict[str, NDArray[Any]] = {}
    for name in (name for name in names if name in tensors):
        dtype = tensors[name]["dtype"]
        if dtype not in _DTYPES:
            raise RefusedError(f"holds {name!r} of unsupported dtype {dtype}", "convert it to F32")
        flat = decode(tensors[name]["data"], _DTYPES[dtype])
        arrays[name] = flat.reshape(tensors[name]["shape"])
    return Contents(arrays, {"vocabulary": vocabulary} if isinstance(vocabulary, str) else {})


def _read_header(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    if length > min(_HEADER_LIMIT, len(data) - 8):
        finding = f"has {len(data)} bytes and claims a safetensors header of {length}"
        raise RefusedError(finding, CONVERT)
    header: dict[str, Any] = json.loads(data[8 : 8 + length], object_pairs_hook=_refuse_repeats)
    return header


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedError("names an entry of its safetensors header twice")
    return found
