"""NumPy's arrays: npz archives, and npy arrays one after the other, as Equinox writes them.

``numpy.load`` would allocate as much as a header declares before it looks for the data.
"""

import io
import os
import zipfile
from math import prod
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from .contents import Contents
from .refusal import RefusedError

_KINDS = "biufcSU"
_HEADER_LIMIT = 1000
_COUNT_LIMIT = 100_000
_SAVEZ = "write it with numpy.savez"
# bytes of the header's length, and the reader; version 3 is for structured arrays only
_VERSIONS = {(1, 0): (2, npy.read_array_header_1_0), (2, 0): (4, npy.read_array_header_2_0)}


def read_archive(archive: zipfile.ZipFile) -> Contents:
    """Read every member of an archive whose directory was checked."""
    arrays: dict[str, NDArray[Any]] = {}
    for member in archive.infolist():
        name = member.filename
        if not name.endswith(".npy"):
            raise RefusedError(f"holds {name!r}, which is not an npy array", _SAVEZ)
        with archive.open(member) as stream:
            arrays[name.removesuffix(".npy")] = read_array(stream, repr(name), member.file_size)
            if stream.tell() != member.file_size:
                raise RefusedError(f"holds more in {name!r} than the array that it declares")
    return Contents(arrays, {})


def read_sequence(file: BinaryIO) -> Contents:
    """Read arrays without names; they are named by their places, from ``"0"`` on."""
    end = os.fstat(file.fileno()).st_size
    arrays: dict[str, NDArray[Any]] = {}
    while file.tell() < end:
        if len(arrays) > _COUNT_LIMIT:
            raise RefusedError(f"holds more than {_COUNT_LIMIT} arrays")
        arrays[str(len(arrays))] = read_array(file, f"array {len(arrays)}", end)
    if len(arrays) == 1:
        raise RefusedError("is a single npy array without a name", _SAVEZ)
    return Contents(arrays, {})


def read_array(stream: IO[bytes], name: str, end: int) -> NDArray[Any]:
    """Read an array from a stream that holds ``end`` bytes."""
    version = npy.read_magic(stream)
    if version not in _VERSIONS:
        raise RefusedError(f"holds {name} in an unsupported npy version", _SAVEZ)
    width, reader = _VERSIONS[version]
    # numpy would read as much as the header claims
    length = stream.read(width)
    if int.from_bytes(length, "little") > _HEADER_LIMIT:
        raise RefusedError(f"holds {name} with a header that is too long", _SAVEZ)
    header = io.BytesIO(length + stream.read(int.from_bytes(length, "little")))
    shape, fortran, dtype = reader(header, max_header_size=_HEADER_LIMIT)
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        finding = f"holds {name} of dtype {dtype}; objects and records are not read"
        raise RefusedError(finding, "write plain arrays of numbers")
    size = prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size > end - stream.tell():
        raise RefusedError(f"declares {shape} of {dtype} for {name}, more than it holds")
    data = stream.read(size)
    array: NDArray[Any] = np.ndarray(shape, dtype, data, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)
