"""The one structure of HDF5 that its library walks without end where a file lies.

Texts of any length are kept in global heaps: ``GCOL``, a version, the size of the heap, then
objects, each with an index, a count, and a size. HDF5 2.0 walks from one object to the next by
its size, and stays where it is for ever at a free space (index 0) of size 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from lyapy.formats.refusal import CONVERT, RefusedError

__all__ = ["refuse_heaps"]

_SIGNATURE = b"GCOL\x01\0\0\0"
_HEADER = 16
_BLOCK = 1 << 20


def refuse_heaps(file: BinaryIO, size: int) -> None:
    """Refuse a file with a global heap whose objects do not follow one another.

    Parameters
    ----------
    file
        The file, open for reading.
    size
        Its bytes.
    """
    file.seek(0)
    head = file.read(16)
    if head[13:15] != b"\x08\x08" if head[8] < 2 else head[9:11] != b"\x08\x08":
        raise RefusedError("is a damaged HDF5 file, or has offsets of other than 8 bytes", CONVERT)
    done = 0
    for start in list(_heaps(file)):
        file.seek(start + len(_SIGNATURE))
        end = start + int.from_bytes(file.read(8), "little")
        # Heaps inside others would be walked over and over.
        if start < done or not start + _HEADER <= end <= size:
            raise RefusedError("has a damaged heap of texts", CONVERT)
        _walk(file.read(end - start - _HEADER))
        done = end


def _walk(heap: bytes) -> None:
    at = 0
    while len(heap) - at >= _HEADER:
        index, _, length = struct.unpack_from("<HH4xQ", heap, at)
        at += _HEADER + (length + 7) // 8 * 8 if index else length
        if at > len(heap) or (not index and length < _HEADER):
            raise RefusedError("has a damaged heap of texts", CONVERT)


def _heaps(file: BinaryIO) -> Iterator[int]:
    """Yield where a heap may begin."""
    file.seek(0)
    start, kept = 0, b""
    while block := file.read(_BLOCK):
        block = kept + block
        at = block.find(_SIGNATURE)
        while at >= 0:
            yield start + at
            at = block.find(_SIGNATURE, at + 1)
        kept = block[-len(_SIGNATURE) + 1 :]
        start += len(block) - len(kept)
