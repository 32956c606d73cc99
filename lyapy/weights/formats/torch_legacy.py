"""What torch.save wrote before PyTorch 1.6: five pickles, then raw storages, little-endian."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from numpy.typing import NDArray

from lyapy.weights.formats.refusal import RefusedError
from lyapy.weights.formats.torch_globals import STATE_DICT
from lyapy.weights.formats.torch_pickle import load_pickle
from lyapy.weights.formats.torch_tensor import Storage, arrays_of

__all__ = ["read"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read(file: BinaryIO) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read every tensor, and what modules tell of their nonlinearities; see `arrays_of`.

    Parameters
    ----------
    file
        The file, open for reading.
    """
    data = memoryview(file.read())
    stream = io.BytesIO(data)
    magic, protocol, system = (load_pickle(stream) for _ in range(3))
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise RefusedError("is of an unknown version of torch.save", STATE_DICT)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise RefusedError("was written by a big-endian machine", STATE_DICT)
    declared: dict[str, Storage] = {}
    value = load_pickle(stream, declared)
    regions = _regions(data, stream, declared)

    def load(storage: Storage) -> memoryview:
        if storage.key not in regions:
            raise RefusedError("lacks its data")
        return regions[storage.key]

    return arrays_of(value, load)


def _regions(
    data: memoryview, stream: io.BytesIO, declared: dict[str, Storage]
) -> dict[str, memoryview]:
    keys = load_pickle(stream)
    regions: dict[str, memoryview] = {}
    start = stream.tell()
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in declared or key in regions:
            raise RefusedError("holds a storage that no tensor names", STATE_DICT)
        count = int.from_bytes(data[start : start + 8], "little")
        storage = declared[key]
        regions[key] = data[start + 8 : start + 8 + storage.nbytes]
        if count * storage.itemsize != storage.nbytes or len(regions[key]) != storage.nbytes:
            raise RefusedError("is cut short, or declares a storage in two sizes")
        start += 8 + storage.nbytes
    if start != len(data):
        raise RefusedError(f"has {len(data) - start} bytes after its last tensor", STATE_DICT)
    return regions
