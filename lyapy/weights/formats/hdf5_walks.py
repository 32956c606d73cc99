"""Structures that HDF5's library would walk without end, refused before it opens the file.

HDF5 2.0 never leaves a free space of size 0 in a global heap (``GCOL``, texts of any length), a
cycle of free blocks in a local heap (``HEAP``, names), or a tree (``TREE``, links or chunks) below
itself. Whatever looks like one of these is checked, wherever it stands; HDF5 itself refuses the
rest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from .refusal import CONVERT, RefusedError

__all__ = ["refuse_walks"]

_TEXTS, _NAMES, _TREE = b"GCOL\x01", b"HEAP\0", b"TREE"
_HEADER = 16
_BLOCK = 1 << 20
_HEAPS_LIMIT = 1000
_NO_BLOCK = 1
_VIRTUAL = 0x0304
_REFERENCE = struct.Struct("<IQI")
_NODE = struct.Struct("<4xBBH16x")
_CHILDREN_LIMIT = 64


def refuse_walks(file: BinaryIO, size: int) -> None:
    """Refuse a file of ``size`` bytes in which HDF5 would walk without end."""
    file.seek(0)
    head = file.read(32)
    old = head[8] < 2
    sizes, base = (head[13:15], head[24:32]) if old else (head[9:11], head[12:20])
    if head[8] not in (0, 2, 3) or sizes != b"\x08\x08" or base != bytes(8):
        raise RefusedError("is a damaged HDF5 file, or has offsets of other than 8 bytes", CONVERT)
    _refuse_texts(file, size)
    for start in list(_places(file, _NAMES)):
        _refuse_names(file, start, size)
    _refuse_trees(file, list(_places(file, _TREE)))


def _refuse_texts(file: BinaryIO, size: int) -> None:
    starts = list(_places(file, _TEXTS))
    if len(starts) > _HEAPS_LIMIT:
        raise RefusedError(f"has more than {_HEAPS_LIMIT} heaps of texts", CONVERT)
    done = 0
    for start in starts:
        file.seek(start + 8)
        end = start + int.from_bytes(file.read(8), "little")
        # heaps inside others would be walked over and over
        if start < done or not start + _HEADER <= end <= size:
            raise RefusedError("has a damaged heap of texts", CONVERT)
        texts = _texts_of(file.read(end - start - _HEADER))
        # a reference to a text has the length before the heap's place, and the text's number
        # after it; HDF5 believes the length
        for place in list(_places(file, struct.pack("<Q", start))):
            file.seek(max(place - 4, 0))
            length, _, number = _REFERENCE.unpack(file.read(_REFERENCE.size).ljust(16, b"\0"))
            # a virtual dataset refers to a heap too, after the bytes 4 and 3
            if length > size and length >> 16 != _VIRTUAL and number in texts - {0}:
                raise RefusedError("has a text longer than the file", CONVERT)
        done = end


def _texts_of(heap: bytes) -> set[int]:
    at, texts = 0, set()
    while len(heap) - at >= _HEADER:
        index, _, length = struct.unpack_from("<HH4xQ", heap, at)
        texts.add(index)
        at += _HEADER + (length + 7) // 8 * 8 if index else length
        if at > len(heap) or (not index and length < _HEADER):
            raise RefusedError("has a damaged heap of texts", CONVERT)
    return texts


def _refuse_names(file: BinaryIO, start: int, size: int) -> None:
    file.seek(start + 8)
    found = file.read(24)
    if len(found) < 24:
        return
    length, block, data = struct.unpack("<QQQ", found)
    seen: set[int] = set()
    while block != _NO_BLOCK and block < length and data + block + 8 <= size:
        if block in seen:
            raise RefusedError("has a damaged heap of names", CONVERT)
        seen.add(block)
        file.seek(data + block)
        block = int.from_bytes(file.read(8), "little")


def _refuse_trees(file: BinaryIO, places: list[int]) -> None:
    nodes = {}
    for place in places:
        file.seek(place)
        found = file.read(_NODE.size)
        if len(found) == _NODE.size:
            kind, level, count = _NODE.unpack(found)
            if kind < 2 and count <= _CHILDREN_LIMIT:
                nodes[place] = kind, level, count
    below: set[int] = set()
    for place, (kind, level, count) in nodes.items():
        if not level:
            continue
        if kind:
            raise RefusedError("cuts an array into more than 64 chunks", "write larger chunks")
        file.seek(place + _NODE.size)
        numbers = file.read(_HEADER * count)
        for (child,) in struct.iter_unpack("<8xQ", numbers[: len(numbers) // 16 * 16]):
            if child in below or child not in nodes or nodes[child][1] != level - 1:
                raise RefusedError("has a damaged tree of links", CONVERT)
            below.add(child)


def _places(file: BinaryIO, signature: bytes) -> Iterator[int]:
    file.seek(0)
    start, kept = 0, b""
    while block := file.read(_BLOCK):
        block = kept + block
        at = block.find(signature)
        while at >= 0:
            yield start + at
            at = block.find(signature, at + 1)
        kept = block[-len(signature) + 1 :]
        start += len(block) - len(kept)
