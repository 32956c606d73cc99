"""Sealed files: plain HDF5 after a line with its length and SHA-256.

The line stands in HDF5's user block, which HDF5 readers skip. After the HDF5 file comes the SHA-256
of each MiB of it, so that flipped bits in a part are found without reading the whole file; the line
has the digest of these too. HDF5 itself reports no flipped bits, and crashes on a
full disk; so it writes through `_Shield`, which keeps errors from it.
"""

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import h5py

from .atomic import placed_whole
from .hdf5 import SIGNATURE, Group, Hdf5Error, open_hdf5

USER_BLOCK = 512
BLOCK = 1 << 20
LINE = re.compile(rb"lyapy-sealed sha256 (\w{64}) bytes (\d+)( blocks \w{64})?\n\0*")


class DamagedError(ValueError):
    """A file that was truncated, or has flipped bits."""


def write_sealed(
    path: str | PathLike[str], fill: Callable[[h5py.File, Callable[[], None]], None], *,
    overwrite: bool, scratch: Path | None = None,
) -> str:  # fmt: skip
    """Write a sealed file as `placed_whole`, which also lists the errors, and return its digest.

    ``fill`` fills the HDF5 file, its first argument. Where there is much, it calls its second now
    and then, which raises OSError if something could not be written.
    """
    with placed_whole(path, overwrite=overwrite, scratch=scratch) as raw:
        shield = _Shield(raw)
        try:
            # `open_hdf5` reads the oldest structures only
            with h5py.File(shield, "w", userblock_size=USER_BLOCK, libver="earliest") as file:
                fill(file, shield.check)
        finally:
            shield.check()
        raw.flush()
        seal = _sealed(raw, raw.seek(0, os.SEEK_END) - USER_BLOCK)
        raw.write(b"".join(seal.blocks))
        raw.seek(0)
        raw.write(seal.line())
    return seal.digest


@contextmanager
def open_sealed(path: str | PathLike[str], *, check: bool = True) -> Iterator[Group]:
    """Open a sealed file; each MiB is compared with the seal before it is used.

    Raises DamagedError then, and when the file is no HDF5 that `open_hdf5` reads. Without ``check``
    the seal is ignored, as for a file that was edited.
    """
    with _opened(path) as raw:
        source: Any = raw
        size = raw.seek(0, os.SEEK_END)
        if check:
            seal = _read_seal(path, raw)
            source, size = _Checked(path, raw, seal), USER_BLOCK + seal.length
        try:
            yield open_hdf5(source, size)
        except Hdf5Error as error:
            raise DamagedError(f"{path}: {error}") from None


def check_seal(path: str | PathLike[str]) -> str:
    """Return the SHA-256 of the whole HDF5 file; raise DamagedError if the seal has another."""
    with _opened(path) as raw:
        seal = _read_seal(path, raw)
        if _sealed(raw, seal.length).digest != seal.digest:
            raise _damaged(path)
    return seal.digest


def _opened(path: str | PathLike[str]) -> BinaryIO:
    """Open a file; a pipe would have the reader wait for a writer."""
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise DamagedError(f"{path}: is not a regular file; give the file")
    return open(path, "rb")


class _Seal(NamedTuple):
    """SHA-256 and length of the HDF5 file, and the SHA-256 of each of its blocks."""

    digest: str
    length: int
    blocks: list[bytes]

    def line(self, *, with_blocks: bool = True) -> bytes:
        line = b"lyapy-sealed sha256 %s bytes %d" % (self.digest.encode(), self.length)
        if with_blocks:
            line += (
                b" blocks %s" % hashlib.sha256(line + b"".join(self.blocks)).hexdigest().encode()
            )
        return (line + b"\n").ljust(USER_BLOCK, b"\0")


def _sealed(raw: BinaryIO, length: int) -> _Seal:
    """Return the seal of an HDF5 file of a length, and leave the file at its end."""
    raw.seek(USER_BLOCK)
    whole, blocks, left = hashlib.sha256(), [], length
    while piece := raw.read(min(BLOCK, left)):
        whole.update(piece)
        blocks.append(hashlib.sha256(piece).digest())
        left -= len(piece)
    return _Seal(whole.hexdigest(), length - left, blocks)


def _read_seal(path: str | PathLike[str], raw: BinaryIO) -> _Seal:
    """Return the seal of a file, compared with the line at least; that of old files, with all."""
    size = raw.seek(0, os.SEEK_END)
    raw.seek(0)
    line = raw.read(USER_BLOCK)
    found = LINE.fullmatch(line)
    if found is None:
        raw.seek(0)
        head = raw.read(USER_BLOCK + len(SIGNATURE))
        if not head.startswith(SIGNATURE) and not head.endswith(SIGNATURE):
            raise DamagedError(f"{path}: is not an HDF5 file; give a file that lyapy wrote")
        finding = "is truncated or damaged, or has no seal"
        remedy = "give a file that lyapy wrote, or read it unchecked, check=False (--no-check)"
        raise DamagedError(f"{path}: {finding}; {remedy}")
    digest, length = found[1].decode(), int(found[2])
    if found[3] is None:
        seal = _sealed(raw, size - USER_BLOCK)
    else:
        raw.seek(min(USER_BLOCK + length, size))
        table = raw.read()
        seal = _Seal(digest, length, [table[i : i + 32] for i in range(0, len(table), 32)])
    count = -(-seal.length // BLOCK)
    if line != seal.line(with_blocks=found[3] is not None) or len(seal.blocks) != count:
        raise _damaged(path)
    return seal


def _damaged(path: str | PathLike[str]) -> DamagedError:
    return DamagedError(f"{path}: is truncated or has flipped bits: its seal has another SHA-256")


class _Checked:
    """The bytes of a sealed file, each block compared with the seal before its first use."""

    def __init__(self, path: str | PathLike[str], raw: BinaryIO, seal: _Seal) -> None:
        self.path, self.raw, self.seal = path, raw, seal
        self.place = 0
        self.checked: set[int] = set()

    def seek(self, place: int, /) -> int:
        self.place = place
        return place

    def readinto(self, buffer: bytearray, /) -> int:
        first = max(self.place - USER_BLOCK, 0) // BLOCK
        last = max(self.place + len(buffer) - USER_BLOCK - 1, 0) // BLOCK
        for number in {*range(first, last + 1)} - self.checked:
            self.raw.seek(USER_BLOCK + number * BLOCK)
            piece = self.raw.read(min(BLOCK, self.seal.length - number * BLOCK))
            if hashlib.sha256(piece).digest() != self.seal.blocks[number]:
                raise _damaged(self.path)
            self.checked.add(number)
        self.raw.seek(self.place)
        return self.raw.readinto(buffer)  # type: ignore[attr-defined,no-any-return]


class _Shield(io.RawIOBase):
    """A file that accepts every write, and reports the first error afterwards.

    An error while h5py closes a file would crash the process.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.error: OSError | None = None

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        view = memoryview(buffer).cast("B")
        found = self._tried(self.raw.readinto, view)  # type: ignore[attr-defined]
        if self.error is not None:
            view[:] = bytes(len(view))
        return found

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        size = memoryview(data).nbytes
        if self.error is None:
            self._tried(self.raw.write, data)
        if self.error is not None:
            self._tried(self.raw.seek, size, io.SEEK_CUR)
        return size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._tried(self.raw.seek, offset, whence)

    def tell(self) -> int:
        return self._tried(self.raw.tell)

    def truncate(self, size: int | None = None) -> int:
        return self._tried(self.raw.truncate, size)

    def flush(self) -> None:
        # Python calls it when it frees this object, after the file was closed
        if not self.raw.closed:
            self._tried(self.raw.flush)

    def _tried(self, do: Callable[..., int | None], *arguments: Any) -> int:
        try:
            return do(*arguments) or 0
        except OSError as error:
            self.error = self.error or error
            return 0
