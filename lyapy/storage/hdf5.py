"""Strict reader of HDF5, for files from others.

HDF5's own library crashes, hangs or takes all memory on damaged files, and opens others that they
name. This reader knows the structures that h5py, Keras and MATLAB write (superblock 0, object
headers of version 1), and refuses all else. It reads only inside the file, never more than a
multiple of it, and allocates no array before its size is checked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod
from typing import Any, NoReturn, Protocol

import numpy as np

from ..arrays import Array
from .hdf5_arrays import (
    NEWER,
    Element,
    Hdf5Error,
    element_of,
    filters_of,
    shape_of,
    unpack,
    unpacked,
)

__all__ = ["SIGNATURE", "Dataset", "Group", "Hdf5Error", "open_hdf5", "unpacked_limit"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# bytes that may be read, for each of the file and at least; a read costs as much as these
_READ_RATIO, _READ_FLOOR, _READ_COST = 8, 4 << 20, 256
# bytes of arrays, likewise: weights hardly compress; zeros do, so a small file may hold 128 MiB
_FLOOR, _RATIO, _TOTAL = 128 << 20, 32, 16 << 30
_DEPTH_LIMIT, _LEVEL_LIMIT, _PATH_LIMIT = 32, 8, 1000
_SPACE, _TYPE, _EXTERNAL, _LAYOUT, _FILTERS, _ATTRIBUTE, _CONTINUATION, _TABLE = (
    1, 3, 7, 8, 11, 12, 16, 17,
)  # fmt: skip
_KNOWN = {0, _SPACE, _TYPE, 4, 5, _LAYOUT, 10, _FILTERS, _ATTRIBUTE, 13, 14, _CONTINUATION, _TABLE,
          18, 22}  # fmt: skip
_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2
_LINK, _NOWHERE = -1, (1 << 64) - 1
# of a text, on top of its bytes
_TEXT_COST = 128


class Source(Protocol):
    """A file that is open for reading bytes."""

    def seek(self, place: int, /) -> int: ...
    def readinto(self, buffer: bytearray, /) -> int | None: ...


def unpacked_limit(size: int) -> int:
    """Return how many bytes of arrays a file of ``size`` bytes may unpack to."""
    return min(max(_FLOOR, _RATIO * size), _TOTAL)


def open_hdf5(source: Source, size: int, limit: int | None = None) -> Group:
    """Return the root of an open file of ``size`` bytes; raise Hdf5Error if it is not HDF5.

    All arrays read from it may take ``limit`` bytes, by default the `unpacked_limit`.
    """
    file = _File(source, size, unpacked_limit(size) if limit is None else limit)
    place = 0
    while place + 8 > size or file.take(place, 8) != SIGNATURE:
        place = 2 * place or 512
        if place > size:
            raise Hdf5Error("is not an HDF5 file")
    version, offsets, lengths = struct.unpack("<B4xBB", file.take(place + 8, 7))
    if version > 1:
        raise Hdf5Error(f"has the newer HDF5 structures of superblock {version}", NEWER)
    if (offsets, lengths) != (8, 8):
        raise Hdf5Error("is damaged, or has offsets of other than 8 bytes")
    base, _, end = struct.unpack("<QQQ", file.take(place + 24 + 4 * version, 24))
    root = int.from_bytes(file.take(place + 64 + 4 * version, 8), "little")
    if base != place or end > size:
        raise Hdf5Error("is truncated or damaged")
    file.base = base
    found = file.open(root, "", 0)
    if isinstance(found, Dataset):
        raise Hdf5Error("is damaged: its root is an array")
    return found


class _File:
    """The bytes of a file, and budgets for reading them and for arrays."""

    def __init__(self, source: Source, size: int, limit: int) -> None:
        self.source, self.size, self.base = source, size, 0
        self.limit = self.unpacked = limit
        self.left = _READ_FLOOR + _READ_RATIO * size
        self.heaps: dict[int, dict[int, bytes]] = {}

    def take(self, place: int, count: int) -> bytearray:
        """Return bytes of the file; raise Hdf5Error beyond its end, or if too many were read."""
        place += self.base
        if place + count > self.size:
            raise Hdf5Error("is truncated or damaged")
        self.spend(count + _READ_COST)
        found = bytearray(count)
        self.source.seek(place)
        if self.source.readinto(found) != count:
            raise Hdf5Error("is truncated or damaged")
        return found

    def spend(self, count: int) -> None:
        """Refuse to read or copy more bytes than the budget."""
        self.left -= count
        if self.left < 0:
            raise Hdf5Error("is damaged: it refers to the same bytes over and over")

    def allow(self, count: int, path: str) -> None:
        """Refuse arrays and texts of more bytes than the limit."""
        self.unpacked -= count
        if self.unpacked < 0:
            finding = f"has {self.size} bytes and declares more than {self.limit}"
            raise Hdf5Error(f"{finding} with {path!r}")

    def open(self, address: int, path: str, depth: int) -> Group | Dataset:
        if address == _LINK:
            raise Hdf5Error(f"holds {path!r} as a link to another place, not followed")
        if depth > _DEPTH_LIMIT:
            raise Hdf5Error(f"nests its groups too deeply in {path!r}")
        messages = self._messages(address)
        if _EXTERNAL in messages:
            raise Hdf5Error(f"keeps {path!r} in another file, which is not opened")
        if not messages.keys() <= _KNOWN:
            raise Hdf5Error(f"has newer HDF5 structures in {path!r}", NEWER)
        kind = Group if _TABLE in messages else Dataset
        return kind(self, messages, address, path, depth)

    def _messages(self, address: int) -> dict[int, list[bytes]]:
        """Return the messages of an object by type."""
        head = self.take(address, 16)
        version, count, size = struct.unpack_from("<BxH4xI", head)
        if version != 1:
            raise Hdf5Error("is damaged, or has newer HDF5 structures", NEWER)
        found: dict[int, list[bytes]] = {}
        blocks = [(address + 16, size)]
        for place, length in blocks:
            block = bytes(self.take(place, length))
            at = 0
            while at + 8 <= length and count:
                kind, size, flags = struct.unpack_from("<HHB", block, at)
                body = block[at + 8 : at + 8 + size]
                if flags & 2 and kind in (_SPACE, _TYPE, _LAYOUT, _FILTERS):
                    raise Hdf5Error("shares a type or shape among arrays, which is not read", NEWER)
                if kind == _CONTINUATION:
                    blocks.append(unpack("<QQ", body))
                found.setdefault(kind, []).append(body)
                at, count = at + 8 + size, count - 1
        return found

    def children(
        self, address: int, kind: int, key: int, level: int | None = None
    ) -> Iterator[tuple[bytes, int]]:
        """Yield keys and addresses of the leaves of a tree."""
        signature, found, depth, count = struct.unpack("<4sBBH16x", self.take(address, 24))
        known = level is None or depth == level
        if signature != b"TREE" or found != kind or not known or depth > _LEVEL_LIMIT:
            raise Hdf5Error("is damaged: a tree has a wrong node")
        entries = self.take(address + 24, count * (key + 8))
        for at in range(0, len(entries), key + 8):
            child = int.from_bytes(entries[at + key : at + key + 8], "little")
            if depth:
                yield from self.children(child, kind, key, depth - 1)
            else:
                yield bytes(entries[at : at + key]), child

    def array(self, data: Any, element: Element, shape: tuple[int, ...], path: str) -> Array:
        """Return stored elements in native byte order, text of any length as `str`."""
        found: Array = np.ndarray(shape, element.dtype, data)
        if element.is_bool:
            return found.astype(bool)
        if not element.is_text:
            return found.astype(found.dtype.newbyteorder("="), copy=False)
        self.allow(_TEXT_COST * found.size, path)
        texts = np.empty(found.size, object)
        texts[:] = [self._text(place, path) for place in found.ravel().tolist()]
        return texts.reshape(shape)

    def _text(self, place: tuple[int, int, int], path: str) -> str:
        length, heap, index = place
        if not length and not index:
            return ""
        if heap not in self.heaps:
            self.heaps[heap] = self._heap(heap)
        found = self.heaps[heap].get(index, b"")
        if len(found) < length:
            raise Hdf5Error(f"has a text in {path!r} longer than its heap")
        self.allow(length, path)
        return found[:length].decode("utf-8", "backslashreplace")

    def _heap(self, address: int) -> dict[int, bytes]:
        signature, size = struct.unpack("<5s3xQ", self.take(address, 16))
        if signature != b"GCOL\x01" or size < 16:
            raise Hdf5Error("has a damaged heap of texts")
        heap = bytes(self.take(address + 16, size - 16))
        at, found = 0, {}
        while at + 16 <= len(heap):
            index, length = struct.unpack_from("<H6xQ", heap, at)
            # the object 0 is the free space, the last
            if index == 0:
                break
            found[index] = heap[at + 16 : at + 16 + length]
            at += 16 + (length + 7) // 8 * 8
        return found


class _Object:
    """A group or array; ``path`` is for errors, ``address`` identifies it."""

    def __init__(
        self, file: _File, messages: dict[int, list[bytes]], address: int, path: str, depth: int
    ) -> None:
        self._file, self._messages, self._depth = file, messages, depth
        self.address, self.path = address, path

    @cached_property
    def attrs(self) -> Attributes:
        """Texts, numbers and arrays of them; None for those without a value."""
        return Attributes(self._file, self._messages.get(_ATTRIBUTE, []), self.path)


class Group(_Object, Mapping[str, Any]):
    """A group: its groups and arrays by name, or by path."""

    @cached_property
    def _opened(self) -> dict[str, Group | Dataset]:
        return {}

    @cached_property
    def _entries(self) -> dict[str, int]:
        file = self._file
        tree, heap = unpack("<QQ", self._messages[_TABLE][0])
        signature, size, data = struct.unpack("<4s4xQ8xQ", file.take(heap, 32))
        if signature != b"HEAP":
            raise Hdf5Error("has a damaged heap of names")
        names = bytes(file.take(data, size))
        found: dict[str, int] = {}
        for _, node in file.children(tree, 0, 8):
            signature, count = struct.unpack("<4s2xH", file.take(node, 8))
            if signature != b"SNOD":
                raise Hdf5Error(f"has a damaged list of names in {self.path!r}")
            for entry in struct.iter_unpack("<QQI20x", file.take(node + 8, 40 * count)):
                start, address, kind = entry
                end = names.find(b"\0", start)
                file.spend(max(end - start, 0))
                name = names[start:end].decode("utf-8", "backslashreplace")
                if end < 0 or not name or "/" in name or name in found:
                    raise Hdf5Error(f"has a damaged list of names in {self.path!r}")
                found[name] = _LINK if kind == 2 else address
        return found

    def __getitem__(self, path: str) -> Any:
        found: Any = self
        for name in filter(None, path.split("/")):
            if not isinstance(found, Group) or name not in found._entries:
                raise KeyError(path)
            found = found._child(name)
        return found

    def _child(self, name: str) -> Group | Dataset:
        if name not in self._opened:
            if len(self.path) + len(name) > _PATH_LIMIT:
                raise Hdf5Error("holds names that are too long", "shorten the names of its arrays")
            path = f"{self.path}/{name}" if self.path else name
            self._opened[name] = self._file.open(self._entries[name], path, self._depth + 1)
        return self._opened[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Attributes(Mapping[str, Any]):
    """The attributes of an object by name, each decoded when it is asked for."""

    def __init__(self, file: _File, messages: list[bytes], path: str) -> None:
        self._file, self._path = file, path
        self._found: dict[str, tuple[bytes, bytes, bytes]] = {}
        for body in messages:
            version, flags, *sizes = unpack("<BBHHH", body)
            if version not in (1, 2, 3) or (version > 1 and flags):
                raise Hdf5Error(f"has newer HDF5 attributes in {path!r}", NEWER)
            at, parts = 8 + (version == 3), []
            for size in sizes:
                parts.append(body[at : at + size])
                at += (size + 7) // 8 * 8 if version == 1 else size
            name = parts[0].split(b"\0")[0].decode("utf-8", "backslashreplace")
            self._found[name] = parts[1], parts[2], body[at:]

    def __getitem__(self, name: str) -> Any:
        kind, space, data = self._found[name]
        path = f"{self._path}@{name}"
        shape = shape_of(space, path)
        if shape is None:
            return None
        element = element_of(kind, path)
        size = element.dtype.itemsize * prod(shape)
        if len(data) < size:
            raise Hdf5Error(f"has less in {path!r} than it declares")
        found = self._file.array(bytearray(data), element, shape, path)
        if shape == () and found.dtype.kind == "S":
            return bytes(found[()]).decode("utf-8", "backslashreplace")
        return found[()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Dataset(_Object):
    """An array: numbers, or text, as `str` where it has any length."""

    @cached_property
    def _element(self) -> Element:
        return element_of(self._message(_TYPE), self.path)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        found = shape_of(self._message(_SPACE), self.path)
        if found is None:
            raise Hdf5Error(f"holds {self.path!r} without values")
        return found

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the elements; that of objects for text of any length."""
        element = self._element
        if element.is_text or element.is_bool:
            return np.dtype(object if element.is_text else bool)
        return element.dtype.newbyteorder("=")

    def read(self) -> Array:
        """Return the array, in native byte order; raise Hdf5Error if a part is missing."""
        self._file.allow(prod(self.shape) * self._element.dtype.itemsize, self.path)
        if self.chunk is None:
            return next(block for _, block in self.blocks())
        found = np.empty(self.shape, self.dtype)
        for place, block in self.blocks():
            found[place] = block
        return found

    @cached_property
    def chunk(self) -> tuple[int, ...] | None:
        """Shape of the chunks in which the array is stored, None if it is stored whole."""
        layout, rank = self._layout, len(self.shape)
        if layout[1] != _CHUNKED:
            return None
        *chunk, width = unpack(f"<{rank + 1}I", layout, 11)
        if layout[2] != rank + 1 or width != self._element.dtype.itemsize or not all(chunk):
            self._refuse("other chunks")
        # both the stored and the unpacked chunk are held
        size = 2 * width * prod(chunk)
        self._file.allow(size, self.path)
        self._file.unpacked += size
        return tuple(chunk)

    def blocks(self) -> Iterator[tuple[tuple[slice, ...], Array]]:
        """Yield the place and the elements of each chunk, or of the whole array."""
        file, shape, element, chunk = self._file, self.shape, self._element, self.chunk
        size = prod(chunk or shape) * element.dtype.itemsize
        if chunk is None:
            yield tuple(map(slice, shape)), file.array(self._whole(size), element, shape, self.path)
            return
        starts = [range(0, length, step) for length, step in zip(shape, chunk, strict=True)]
        filters = filters_of(self._messages.get(_FILTERS, []), self.path)
        done: set[tuple[int, ...]] = set()
        tree = unpack("<Q", self._layout, 3)[0]
        key = 8 * (len(shape) + 2)
        for entry, place in file.children(tree, 1, key) if prod(shape) else ():
            stored, skipped, *start = struct.unpack(f"<II{len(shape)}Q", entry[:-8])
            pairs = zip(start, starts, strict=True)
            if tuple(start) in done or any(at not in places for at, places in pairs):
                raise Hdf5Error(f"has a chunk in the wrong place in {self.path!r}")
            done.add(tuple(start))
            ends = zip(start, chunk, shape, strict=True)
            inside = tuple(slice(at, min(at + step, end)) for at, step, end in ends)
            packed = file.take(place, stored)
            raw = unpacked(packed, filters, skipped, size, element.dtype.itemsize, self.path)
            block = file.array(raw, element, chunk, self.path)
            yield inside, block[tuple(slice(part.stop - part.start) for part in inside)]
        if len(done) < prod(map(len, starts)):
            self._refuse(f"holds {len(done)} of its chunks")

    @cached_property
    def _layout(self) -> bytes:
        found = self._message(_LAYOUT)
        version, kind = unpack("<BB", found)
        if version != 3 or kind > _CHUNKED:
            finding = f"holds {self.path!r} as a virtual dataset or in a newer layout"
            raise Hdf5Error(finding, NEWER)
        return found

    def _whole(self, size: int) -> bytearray:
        if self._layout[1] == _COMPACT:
            data = bytearray(self._layout[4:])
            stored = unpack("<H", self._layout, 2)[0]
        else:
            place, stored = unpack("<QQ", self._layout, 2)
            if size and place == _NOWHERE:
                self._refuse("holds 0 bytes")
            data = self._file.take(place, size) if size == stored and size else bytearray()
        if size != stored or len(data) < size:
            self._refuse(f"holds {stored} bytes")
        return data

    def _message(self, kind: int) -> bytes:
        found = self._messages.get(kind, [])
        if len(found) != 1:
            raise Hdf5Error(f"is damaged: {self.path!r} is neither a group nor an array")
        return found[0]

    def _refuse(self, finding: str) -> NoReturn:
        raise Hdf5Error(f"declares {self.shape} for {self.path!r} and {finding}")
