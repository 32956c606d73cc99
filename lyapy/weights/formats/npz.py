"""NumPy's npz archives, read without numpy.load: no pickles, no header believed."""

from __future__ import annotations

import io
import zipfile
from math import prod
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lyapy.weights.formats.refusal import RefusedError

__all__ = ["read", "read_header"]

_KINDS = "biufcSU"
_HEADER_LIMIT = 1000


def read(archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
    """Read every member of an archive whose directory was checked.

    Parameters
    ----------
    archive
        The archive.
    """
    return {m.filename.removesuffix(".npy"): _member(archive, m) for m in archive.infolist()}


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    name = member.filename
    if not name.endswith(".npy"):
        raise RefusedError(f"holds {name!r}, which is no npy array", "write it with numpy.savez")
    with archive.open(member) as stream:
        shape, fortran, dtype = read_header(stream, name)
        size = prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or size != member.file_size - stream.tell():
            raise RefusedError(
                f"declares {shape} of {dtype} for {name!r}, which is not what it holds"
            )
        data = stream.read(size)
    array: NDArray[Any] = np.ndarray(shape, dtype, data, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def read_header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read and check an array's header; return shape, whether in Fortran order, and dtype."""
    # Version 3 is for structured arrays only.
    readers = {(1, 0): (2, npy.read_array_header_1_0), (2, 0): (4, npy.read_array_header_2_0)}
    version = npy.read_magic(stream)
    if version not in readers:
        raise RefusedError(f"holds {name!r} in an npy version that is not read")
    width, reader = readers[version]
    # numpy would read as much as the header claims
    size = stream.read(width)
    if int.from_bytes(size, "little") > _HEADER_LIMIT:
        raise RefusedError(f"holds {name!r} with too long a header", "write it with numpy.savez")
    header = io.BytesIO(size + stream.read(int.from_bytes(size, "little")))
    shape, fortran, dtype = reader(header, max_header_size=_HEADER_LIMIT)
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        what = f"holds {name!r} of dtype {dtype}; objects and records are not read"
        raise RefusedError(what, "write plain arrays of numbers")
    return shape, fortran, dtype
