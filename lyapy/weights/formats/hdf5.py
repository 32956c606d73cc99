"""HDF5 files such as Keras writes, read without following where they point."""

from __future__ import annotations

import os
import zlib
from math import prod
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from lyapy.weights.formats.bounds import unpacked_limit
from lyapy.weights.formats.hdf5_walks import refuse_walks
from lyapy.weights.formats.refusal import CONVERT, RefusedError

__all__ = ["read"]

_OBJECTS_LIMIT = 100_000
_DEPTH_LIMIT = 32
_TEXT_LIMIT = 16 << 20
_CHUNKS_LIMIT, _CHUNK_SHARE = 1000, 4096
# Others are loaded as plug-ins from the disk.
_DEFLATE = 1
_FILTERS = {_DEFLATE: "deflate", 2: "shuffle", 3: "fletcher32"}
# The attributes that layouts read: Keras's configuration and the names that its users gave.
_ATTRIBUTES = ("model_config", "keras_version", "backend", "name", "lyapy")


def read(
    file: BinaryIO, limit: int | None = None
) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read every dataset by its path, and the attributes that tell of networks.

    Parameters
    ----------
    file
        The file, open for reading.
    limit
        How many bytes of arrays it may unpack to, if its own size does not settle it.

    Returns
    -------
    arrays
        By path without the leading slash.
    metadata
        Texts by ``path@attribute``; those of the root by the attribute's name.
    """
    size = file.seek(0, os.SEEK_END)
    refuse_walks(file, size)
    file.seek(0)
    with h5py.File(file, "r") as opened:
        reader = _Reader(size, unpacked_limit(size) if limit is None else limit)
        reader.group(opened["/"], "", 0)
    return reader.arrays, reader.metadata


class _Reader:
    """Walks a file, counting what it has taken in."""

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        self.total = self.objects = 0
        self.seen: set[int] = set()
        self.datasets: dict[int, NDArray[Any]] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self.metadata: dict[str, str] = {}

    def group(self, group: Any, path: str, depth: int) -> None:
        if depth > _DEPTH_LIMIT:
            raise RefusedError(f"nests its groups too deep in {path!r}", CONVERT)
        self._attributes(group, path)
        for raw in group.id:
            self.objects += 1
            if self.objects > _OBJECTS_LIMIT:
                raise RefusedError(f"holds more than {_OBJECTS_LIMIT} objects", CONVERT)
            self._link(group, raw, path, depth)

    def _link(self, group: Any, raw: bytes, path: str, depth: int) -> None:
        name = raw.decode("utf-8", "backslashreplace")
        path = f"{path}/{name}" if path else name
        link = group.id.links.get_info(raw)
        if link.type != h5py.h5l.TYPE_HARD:
            raise RefusedError(f"has {path!r} as a link to elsewhere, not followed", CONVERT)
        found = h5py.h5o.open(group.id, raw)
        if isinstance(found, h5py.h5g.GroupID):
            # h5o.get_info would give the address too, and look at all that is in the group
            if link.u in self.seen:
                raise RefusedError(f"has the group {path!r} inside itself or twice", CONVERT)
            self.seen.add(link.u)
            self.group(h5py.Group(found), path, depth + 1)
        elif isinstance(found, h5py.h5d.DatasetID):
            if link.u not in self.datasets:
                self.datasets[link.u] = self._dataset(found, path)
            self.arrays[path] = self.datasets[link.u]
            self._attributes(h5py.Dataset(found), path)

    def _attributes(self, owner: Any, path: str) -> None:
        for name in _ATTRIBUTES:
            if not h5py.h5a.exists(owner.id, name.encode()):
                continue
            attribute = h5py.h5a.open(owner.id, name.encode())
            kind, size = attribute.get_type(), attribute.get_storage_size()
            if kind.get_class() != h5py.h5t.STRING or attribute.shape != ():
                continue
            if size > _TEXT_LIMIT:
                raise RefusedError(f"has an attribute {name!r} of {size} bytes", CONVERT)
            text = owner.attrs[name]
            text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            self.metadata[f"{path}@{name}" if path else name] = text

    def _dataset(self, dataset: Any, path: str) -> NDArray[Any]:
        _refuse_storage(dataset, path)
        kind = dataset.get_type()
        if kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING) or (
            kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()
        ):
            raise RefusedError(
                f"holds {path!r} of no plain type; objects and records are not read",
                "write plain arrays of numbers",
            )
        if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
            raise RefusedError(f"holds {path!r} without values", CONVERT)
        dtype = np.dtype(dataset.dtype)
        declared = int(np.prod([dtype.itemsize, *dataset.shape], dtype=object))
        self.total += declared
        if self.total > self.limit:
            raise RefusedError(f"of {self.size} bytes declares {dataset.shape} for {path!r}")
        self._refuse_chunks(dataset, path, dtype, declared)
        array = np.empty(dataset.shape, dtype)
        if declared:
            dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
        return array.astype(dtype.newbyteorder("="), copy=False)

    def _refuse_chunks(self, dataset: Any, path: str, dtype: Any, declared: int) -> None:
        properties = dataset.get_create_plist()
        stored = dataset.get_storage_size()
        if properties.get_layout() != h5py.h5d.CHUNKED:
            if stored != dataset.get_type().get_size() * (declared // dtype.itemsize):
                raise RefusedError(
                    f"declares {dataset.shape} for {path!r} and holds {stored} bytes"
                )
            return
        chunk = int(np.prod([dtype.itemsize, *properties.get_chunk()], dtype=object))
        # HDF5 holds a chunk packed and unpacked beside the array.
        if self.total + 2 * chunk > self.limit:
            raise RefusedError(f"of {self.size} bytes declares chunks of {chunk} for {path!r}")
        pairs = zip(dataset.shape, properties.get_chunk(), strict=True)
        count = prod(-(-length // step) for length, step in pairs)
        # HDF5 keeps about 4 KiB of each chunk, written or not.
        if count > max(_CHUNKS_LIMIT, declared // _CHUNK_SHARE):
            raise RefusedError(f"cuts {path!r} into {count} chunks", "write it in larger ones")
        if count != dataset.get_num_chunks():
            raise RefusedError(f"lacks some of the {count} chunks of {path!r}")
        if _DEFLATE in [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]:
            self._refuse_bombs(dataset, path, chunk)

    def _refuse_bombs(self, dataset: Any, path: str, chunk: int) -> None:
        """Inflate each chunk up to its size: HDF5 would go on as long as there is more."""
        found: list[Any] = []
        dataset.chunk_iter(found.append)
        for info in found:
            if info.size > self.size:
                raise RefusedError(f"of {self.size} bytes declares {info.size} for {path!r}")
            skipped, packed = dataset.read_direct_chunk(info.chunk_offset)
            # A checksum of four bytes may have been put before the packing.
            if not skipped and len(zlib.decompressobj().decompress(packed, chunk + 5)) > chunk + 4:
                raise RefusedError(f"packs more than a chunk of {chunk} bytes in {path!r}")


def _refuse_storage(dataset: Any, path: str) -> None:
    properties = dataset.get_create_plist()
    if properties.get_external_count():
        raise RefusedError(f"keeps {path!r} in another file, not opened", CONVERT)
    if properties.get_layout() == h5py.h5d.VIRTUAL:
        raise RefusedError(f"has {path!r} as a virtual dataset of other files", CONVERT)
    seen = set()
    for i in range(properties.get_nfilters()):
        number, _, _, name = properties.get_filter(i)
        if number in seen:
            raise RefusedError(f"packs {path!r} twice with one filter", CONVERT)
        seen.add(number)
        if number not in _FILTERS:
            shown = name.decode("ascii", "replace") or f"number {number}"
            raise RefusedError(
                f"packs {path!r} with the filter {shown}, which is not read",
                "write it with gzip or unpacked",
            )
