"""Elements, shapes and chunks of the arrays in an HDF5 file."""

import struct
import zlib
from math import prod
from typing import Any, NamedTuple

import numpy as np

NEWER = "write it with h5py's default options"
# a text of any length, which is stored elsewhere
TEXT = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])
_RANK_LIMIT, _COUNT_LIMIT, _TEXT_LIMIT = 32, 1 << 48, 1 << 31
_DEFLATE, _SHUFFLE, _FLETCHER = 1, 2, 3
_CLASSES = ("integers", "reals", "times", "text", "bit fields", "opaque bytes", "records",
            "references", "enumerations", "lists", "arrays")  # fmt: skip
# of a real number by its size: precision, places and sizes of exponent and mantissa, bias
_REALS = {2: (16, 10, 5, 0, 10, 15), 4: (32, 23, 8, 0, 23, 127), 8: (64, 52, 11, 0, 52, 1023)}


class Hdf5Error(ValueError):
    """A finding in an HDF5 file, without the file's name, and perhaps a remedy."""

    def __init__(self, finding: str, remedy: str = "") -> None:
        self.finding, self.remedy = finding, remedy
        super().__init__(f"{finding}; {remedy}" if remedy else finding)


class Element(NamedTuple):
    """The type of an element: stored as ``dtype``, read as bool or text if it says so."""

    dtype: np.dtype[Any]
    is_text: bool = False
    is_bool: bool = False


def element_of(body: bytes, path: str) -> Element:
    """Return the type in a message; ``path`` is for errors."""
    head, bits, size = unpack("<BB2xI", body)
    kind, order = head & 15, ">" if bits & 1 else "<"
    if kind == 0 and unpack("<HH", body, 8) == (0, 8 * size) and size in (1, 2, 4, 8):
        return Element(np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"))
    if kind == 1 and not bits & 64 and unpack("<2xHBBBBI", body, 8) == _REALS.get(size):
        return Element(np.dtype(f"{order}f{size}"))
    if kind == 3 and 0 < size < _TEXT_LIMIT:
        return Element(np.dtype(f"S{size}"))
    if kind == 8 and len(body) > 8 and body[8] & 15 == 0:
        is_bool = size == 1 and b"FALSE\0" in body and b"TRUE\0" in body
        return element_of(body[8:], path)._replace(is_bool=is_bool)
    if kind == 9 and bits & 15 == 1 and size == TEXT.itemsize:
        return Element(TEXT, is_text=True)
    name = _CLASSES[kind] if kind < len(_CLASSES) else "an unknown type"
    remedy = "write plain arrays of numbers"
    raise Hdf5Error(f"holds {path!r} of {name}, an unsupported type", remedy)


def shape_of(body: bytes, path: str) -> tuple[int, ...] | None:
    """Return the shape in a message, None for an array without values."""
    version, rank, kind = unpack("<BBxB", body)
    if version not in (1, 2) or rank > _RANK_LIMIT:
        raise Hdf5Error(f"has a damaged shape for {path!r}")
    if version == 2 and kind == 2:
        return None
    found = unpack(f"<{rank}Q", body, 8 if version == 1 else 4)
    if prod(max(length, 1) for length in found) > _COUNT_LIMIT:
        raise Hdf5Error(f"declares {found} for {path!r}")
    return found


def filters_of(messages: list[bytes], path: str) -> list[int]:
    """Return the filters in a message, if there is one; each is known, and there once."""
    if not messages:
        return []
    body = messages[0]
    version, count = unpack("<BB", body)
    if version != 1:
        raise Hdf5Error(f"stores {path!r} with newer HDF5 filters", NEWER)
    found: list[int] = []
    at = 8
    for _ in range(count):
        number, length, values = unpack("<HH2xH", body, at)
        if number not in (_DEFLATE, _SHUFFLE, _FLETCHER):
            name = body[at + 8 : at + 8 + length].split(b"\0")[0].decode("ascii", "replace")
            finding = f"stores {path!r} with the filter {name or f'number {number}'}"
            raise Hdf5Error(f"{finding}, which is not read", "write it with gzip or uncompressed")
        if number in found:
            raise Hdf5Error(f"applies one filter twice to {path!r}")
        found.append(number)
        at += 8 + length + 4 * (values + values % 2)
    return found


def unpacked(
    data: bytearray, filters: list[int], skipped: int, size: int, width: int, path: str
) -> bytearray:
    """Return a chunk of ``size`` bytes; raise Hdf5Error if its checksum or size is wrong."""
    found: Any = data
    for place, number in reversed(list(enumerate(filters))):
        if skipped >> place & 1:
            continue
        if number == _DEFLATE:
            try:
                # a checksum may have been added before
                found = zlib.decompressobj().decompress(found, size + 5)
            except zlib.error:
                raise Hdf5Error(f"has a damaged chunk in {path!r}") from None
        elif number == _FLETCHER:
            found, given = found[:-4], found[-4:]
            if [int.from_bytes(given[i : i + 2], "little") for i in (0, 2)] != _fletcher(found):
                raise Hdf5Error(f"has a chunk with a wrong checksum in {path!r}")
        elif len(found) == size:
            found = np.frombuffer(found, "u1").reshape(width, -1).T.tobytes()
    if len(found) != size:
        raise Hdf5Error(f"has a chunk of {len(found)} bytes in {path!r}, and not of {size}")
    return bytearray(found)


def _fletcher(data: bytes) -> list[int]:
    """Return Fletcher's two sums of big-endian words, as HDF5 reduces them."""
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64) % np.uint64(0xFFFF)
    sums = int(words.sum()), int((words * weights).sum())
    return [(total % 0xFFFF) or (0xFFFF if total else 0) for total in sums]


def unpack(form: str, body: bytes, at: int = 0) -> tuple[Any, ...]:
    """Unpack a part of a message; raise Hdf5Error if that is too short."""
    if struct.calcsize(form) > len(body) - at:
        raise Hdf5Error("is damaged: a description of an object is cut short")
    return struct.unpack_from(form, body, at)
