"""HDF5 files such as Keras writes, alone or in a ``.keras`` archive; no link is followed."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from math import prod
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from .contents import Contents, unpacked_limit
from .hdf5_walks import refuse_walks
from .refusal import CONVERT, RefusedError

__all__ = ["read", "read_keras"]

_OBJECTS_LIMIT = 100_000
_DEPTH_LIMIT = 32
_TEXT_LIMIT = 16 << 20
_CHUNKS_LIMIT, _CHUNK_SHARE = 1000, 4096
# HDF5 loads others from the disk, as plug-ins
_DEFLATE = 1
_FILTERS = {_DEFLATE: "deflate", 2: "shuffle", 3: "fletcher32"}
# the attributes that framework layouts read: Keras's configuration, and names given by its users
_ATTRIBUTES = ("model_config", "keras_version", "name", "lyapy")
_KERAS_TEXTS = {"config.json": "model_config", "metadata.json": "archive_metadata"}


def read(file: BinaryIO, limit: int | None = None) -> Contents:
    """Read every dataset by its path, and ``path@attribute``, the texts that describe networks.

    The arrays may take ``limit`` bytes, by default the `unpacked_limit` of the file.
    """
    size = file.seek(0, os.SEEK_END)
    refuse_walks(file, size)
    file.seek(0)
    with h5py.File(file, "r") as opened:
        reader = _Reader(size, unpacked_limit(size) if limit is None else limit)
        reader.group(opened["/"], "", 0)
    return Contents(reader.arrays, reader.metadata)


def read_keras(archive: zipfile.ZipFile) -> Contents:
    """Read the weights and the configuration of an archive whose directory was checked."""
    size = os.fstat(archive.fp.fileno()).st_size  # type: ignore[union-attr]
    arrays, metadata = read(io.BytesIO(archive.read("model.weights.h5")), unpacked_limit(size))
    for member, name in _KERAS_TEXTS.items():
        if member not in archive.namelist():
            continue
        if archive.getinfo(member).file_size > _TEXT_LIMIT:
            raise RefusedError(f"holds {member!r} of more than 16 MiB")
        metadata[name] = archive.read(member).decode("utf-8")
    return Contents(arrays, metadata)


class _Reader:
    """Walks a file and counts the objects and bytes that it has read."""

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        self.total = self.objects = 0
        self.seen: set[int] = set()
        self.datasets: dict[int, NDArray[Any]] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self.metadata: dict[str, str] = {}

    def group(self, group: Any, path: str, depth: int) -> None:
        if depth > _DEPTH_LIMIT:
            raise RefusedError(f"nests its groups too deeply in {path!r}", CONVERT)
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
            raise RefusedError(f"holds {path!r} as a link to another place, not followed", CONVERT)
        found = h5py.h5o.open(group.id, raw)
        if isinstance(found, h5py.h5g.GroupID):
            # h5o.get_info would give the address too, and visit all that is in the group
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
            size = attribute.get_storage_size()
            if attribute.get_type().get_class() != h5py.h5t.STRING or attribute.shape != ():
                continue
            if size > _TEXT_LIMIT:
                raise RefusedError(f"has an attribute {name!r} of {size} bytes", CONVERT)
            text = owner.attrs[name]
            text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            self.metadata[f"{path}@{name}" if path else name] = text

    def _dataset(self, dataset: Any, path: str) -> NDArray[Any]:
        _refuse_unreadable(dataset, path)
        dtype = np.dtype(dataset.dtype)
        declared = int(np.prod([dtype.itemsize, *dataset.shape], dtype=object))
        self.total += declared
        if self.total > self.limit:
            raise RefusedError(f"has {self.size} bytes and declares {dataset.shape} for {path!r}")
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
                finding = f"declares {dataset.shape} for {path!r} and holds {stored} bytes"
                raise RefusedError(finding)
            return
        chunk = int(np.prod([dtype.itemsize, *properties.get_chunk()], dtype=object))
        # HDF5 holds a chunk compressed and inflated, next to the array
        if self.total + 2 * chunk > self.limit:
            raise RefusedError(f"has {self.size} bytes and declares chunks of {chunk} for {path!r}")
        pairs = zip(dataset.shape, properties.get_chunk(), strict=True)
        count = prod(-(-length // step) for length, step in pairs)
        # HDF5 keeps about 4 KiB of each chunk, written or not
        if count > max(_CHUNKS_LIMIT, declared // _CHUNK_SHARE):
            raise RefusedError(f"cuts {path!r} into {count} chunks", "write larger chunks")
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
                finding = f"has {self.size} bytes and declares a chunk of {info.size} for {path!r}"
                raise RefusedError(finding)
            skipped, packed = dataset.read_direct_chunk(info.chunk_offset)
            # a checksum of four bytes may have been added before the compression
            if not skipped and len(zlib.decompressobj().decompress(packed, chunk + 5)) > chunk + 4:
                raise RefusedError(f"inflates to more than a chunk of {chunk} bytes in {path!r}")


def _refuse_unreadable(dataset: Any, path: str) -> None:
    properties = dataset.get_create_plist()
    if properties.get_external_count():
        raise RefusedError(f"keeps {path!r} in another file, which is not opened", CONVERT)
    if properties.get_layout() == h5py.h5d.VIRTUAL:
        raise RefusedError(f"has {path!r} as a virtual dataset of other files", CONVERT)
    filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    if len({number for number, *_ in filters}) < len(filters):
        raise RefusedError(f"applies one filter twice to {path!r}", CONVERT)
    for number, *_, name in filters:
        if number not in _FILTERS:
            shown = name.decode("ascii", "replace") or f"number {number}"
            finding = f"stores {path!r} with the filter {shown}, which is not read"
            raise RefusedError(finding, "write it with gzip or uncompressed")
    kind = dataset.get_type()
    text = kind.get_class() == h5py.h5t.STRING and not kind.is_variable_str()
    if not text and kind.get_class() not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT):
        finding = f"holds {path!r} of an unsupported type; objects and records are not read"
        raise RefusedError(finding, "write plain arrays of numbers")
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        raise RefusedError(f"holds {path!r} without values", CONVERT)
