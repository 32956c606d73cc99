"""Sealed files: plain HDF5 after a line with its length and SHA-256.

The line stands in HDF5's user block, which HDF5 readers skip. HDF5 itself reports no flipped bits,
and crashes on a full disk; so it writes through `_Shield`, which keeps errors from it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from .atomic import placed_whole

__all__ = [
    "SIGNATURE", "USER_BLOCK", "DamagedError", "check_seal", "read_sealed", "write_sealed"
]  # fmt: skip

USER_BLOCK = 512
FIRST_WORD = b"lyapy-sealed "
SIGNATURE = b"\x89HDF\r\n\x1a\n"
PIECE = 1 << 22


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
            with h5py.File(shield, "w", userblock_size=USER_BLOCK) as file:
                fill(file, shield.check)
        finally:
            shield.check()
        raw.flush()
        digest, length = _digest(raw)
        raw.seek(0)
        raw.write(_line(digest, length))
    return digest


def read_sealed(path: str | PathLike[str]) -> tuple[io.BytesIO, str]:
    """Return a sealed file whole, for h5py to open, and its digest; raises as `check_seal`."""
    with open(path, "rb") as raw:
        content = io.BytesIO(raw.read())
    return content, _check(path, content)


def check_seal(path: str | PathLike[str]) -> str:
    """Return the SHA-256 of all after the seal; raise DamagedError if the seal has another."""
    with open(path, "rb") as raw:
        return _check(path, raw)


def _check(path: str | PathLike[str], raw: BinaryIO | io.BytesIO) -> str:
    raw.seek(0)
    line = raw.read(USER_BLOCK)
    digest, length = _digest(raw)
    if line != _line(digest, length):
        finding = "is truncated or has flipped bits" if line[:1] == b"l" else "has no seal"
        raise DamagedError(f"{path}: {finding}: its first line has another length or SHA-256")
    return digest


def _line(digest: str, length: int) -> bytes:
    return (FIRST_WORD + f"sha256 {digest} bytes {length}\n".encode()).ljust(USER_BLOCK, b"\0")


def _digest(raw: BinaryIO | io.BytesIO) -> tuple[str, int]:
    """Return SHA-256 and length of all after the user block."""
    raw.seek(USER_BLOCK)
    hasher = hashlib.sha256()
    while piece := raw.read(PIECE):
        hasher.update(piece)
    return hasher.hexdigest(), raw.tell() - USER_BLOCK


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
        self._tried(self.raw.flush)

    def _tried(self, do: Callable[..., int | None], *arguments: Any) -> int:
        try:
            return do(*arguments) or 0
        except OSError as error:
            self.error = self.error or error
            return 0
