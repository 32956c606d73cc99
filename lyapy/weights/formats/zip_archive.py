"""Zip archives whose directory declares no more than the file can hold."""

import os
import zipfile
from typing import BinaryIO

from ...storage.hdf5 import unpacked_limit
from .refusal import CONVERT, RefusedError

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_archive(file: BinaryIO, limit: int | None = None) -> zipfile.ZipFile:
    """Open an archive and check its directory against the file's size.

    The members may take ``limit`` bytes, by default the `unpacked_limit` of the file.
    """
    size = os.fstat(file.fileno()).st_size
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise RefusedError(f"is a truncated or damaged zip archive ({error})") from None
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise RefusedError("is a zip archive with two members of one name", CONVERT)
    if any(member.flag_bits & 1 for member in members):
        raise RefusedError("is an encrypted zip archive", "decrypt it")
    for member in members:
        if member.compress_type not in _METHODS:
            finding = f"compresses {member.filename!r} as neither numpy nor Keras does"
            raise RefusedError(finding, "write it with deflate or uncompressed")
    # the first sum also bars members that overlap, so that they are read many times
    packed = sum(member.compress_size for member in members)
    unpacked = sum(member.file_size for member in members)
    if packed > size or unpacked > (limit or unpacked_limit(size)):
        raise RefusedError(f"is a zip archive of {size} bytes that declares {unpacked} unpacked")
    return archive


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member; ``archive.read`` would unpack beyond the size that was declared."""
    with archive.open(name) as member:
        return member.read(archive.getinfo(name).file_size)
