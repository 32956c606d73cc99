"""The bytes of a weights file as named arrays, whichever framework wrote it."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...storage.hdf5 import unpacked_limit
from .contents import Contents
from .refusal import AGAIN, CONVERT, NAME_LIMIT, RefusedError, weights_errors

__all__ = ["Contents", "read_contents"]


class _Format(NamedTuple):
    """A function that reads a format, its suffixes, and how its files are recognised."""

    reader: str
    suffixes: str
    begins: bytes = b""
    # a member's name, in a zip archive
    member: str = ""


# the first that fits: strict patterns before loose ones
_FORMATS = (
    _Format("torch_file.read_zip", ".pt .pth", member=r"/data\.pkl\Z"),
    _Format("npy.read_archive", ".npz", member=r"\.npy\Z"),
    _Format("hdf5.read_keras", ".keras", member=r"\Amodel\.weights\.h5\Z"),
    # the magic number of torch's older files, pickled in any binary protocol
    _Format("torch_file.read_legacy", ".pt", rb"\x80.*\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\."),
    _Format("safetensors_file.read", ".safetensors", rb".{8}\{"),
    _Format("hdf5.read", ".h5 .hdf5", rb"\x89HDF\r\n\x1a\n"),
    _Format("npy.read_sequence", ".eqx", rb"\x93NUMPY"),
    _Format("mat_file.read", ".mat", rb"MATLAB 5\.0 MAT-file"),
    # a model's version of the format, then any other field
    _Format("onnx_file.read", ".onnx", rb"\x08[\x01-\x20][\x12\x1a\x22\x2a\x32\x3a\x42]"),
    # a map of one entry or more, whose first key is a text
    _Format("msgpack_file.read", ".msgpack", rb"([\x81-\x8f]|\xde..|\xdf....)[\xa1-\xbf\xd9]"),
)
_SUFFIXES = list(dict.fromkeys(" ".join(found.suffixes for found in _FORMATS).split()))
_GIVE = f"give a {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]} file"

# the beginning of other files, the finding and the remedy
_FOREIGN = [
    (rb"lyapy-sealed ", "is a result of lyapy, not weights", "show it with lyapy show"),
    (rb"\s*<(!DOCTYPE|!doctype|html)", "is a web page, perhaps of a failed download", AGAIN),
    (rb"version https://git-lfs", "is the pointer of a git-lfs file", "run git lfs pull"),
    (rb"MATLAB 7\.3 MAT", "is a MATLAB file of version 7.3", "save it with save(file, '-v7')"),
    (rb"\x80[\x02-\x05]", "is a pickle that torch.save did not write", CONVERT),
]
# a TensorFlow checkpoint is a text, a table (``.index``) known by its last bytes, and raw data
_TABLE_END = bytes.fromhex("57fb808b247547db")
_CHECKPOINT_PART = re.compile(r"(.*)(?:\.index|\.data-\d{5}-of-\d{5})", re.DOTALL)
_IS_CHECKPOINT = "is a TensorFlow checkpoint, not read here"
_VARIABLES = (
    "in Python: r = tf.train.load_checkpoint({!r}); "
    "numpy.savez('a.npz', **{{n: r.get_tensor(n) for n in r.get_variable_to_shape_map()}})"
)

_SIZE_LIMIT = 16 << 30


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """Read every array of a weights file by name, in the file's order, and its metadata.

    The content decides on the format, not the name. No code of the file is run, no other file is
    opened, and no size is believed before it is checked; raises WeightsError whatever is wrong.
    Arrays are read-only and in native byte order; names in nested dicts and lists are joined by
    dots; bfloat16 becomes float32. Arrays that share memory in a PyTorch file share it here.
    """
    with weights_errors(path, "is damaged"):
        contents = _open(path)
        if not contents.arrays:
            raise RefusedError("holds no arrays", _GIVE)
        if not all(isinstance(name, str) for name in contents.arrays):
            raise RefusedError("holds a name that is not text", CONVERT)
        if max(map(len, contents.arrays)) > NAME_LIMIT:
            raise RefusedError("holds names that are too long", "shorten the names of its arrays")
        _check_numbers(contents.arrays, os.path.getsize(path))
    for array in contents.arrays.values():
        array.flags.writeable = False
    return contents


def _check_numbers(arrays: Mapping[str, NDArray[Any]], size: int) -> None:
    """Refuse packed arrays that would be too large in float64, in which weights are computed."""
    shared = {id(array): array.size for array in arrays.values()}
    needed = sum(shared.values()) * np.dtype(np.float64).itemsize
    if needed > max(unpacked_limit(size), size * np.dtype(np.float64).itemsize):
        raise RefusedError(f"has {size} bytes and holds numbers that need {needed}", CONVERT)


def _open(path: str | os.PathLike[str]) -> Contents:
    # users give a checkpoint's prefix, which is no file, and a SavedModel's folder
    for prefix in (os.fspath(path), os.path.join(path, "variables", "variables")):
        if os.path.exists(f"{prefix}.index") and not os.path.isfile(path):
            raise RefusedError(_IS_CHECKPOINT, _VARIABLES.format(prefix))
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise RefusedError("is a directory", "give the weights file in it")
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError("is not a regular file", _GIVE)
        if found.st_size == 0:
            raise RefusedError("is empty")
        if found.st_size > _SIZE_LIMIT:
            finding = f"has {found.st_size} bytes, more than 16 GiB"
            raise RefusedError(finding, "save the weights alone")
        with open(path, "rb") as file:
            return _read(file, os.fspath(path))
    except FileNotFoundError:
        raise RefusedError("does not exist", "check the path") from None
    except PermissionError:
        raise RefusedError("may not be read", "check the file's permissions") from None


def _read(file: BinaryIO, path: str) -> Contents:
    head = file.read(64)
    if _is_checkpoint(file, head, path):
        part = _CHECKPOINT_PART.fullmatch(path)
        prefix = part[1] if part else os.path.dirname(path) or "."
        raise RefusedError(_IS_CHECKPOINT, _VARIABLES.format(prefix))
    file.seek(0)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        from .zip_archive import open_archive

        with open_archive(file) as archive:
            names = archive.namelist()
            for found in _FORMATS:
                if found.member and any(re.search(found.member, name) for name in names):
                    return _reader(found.reader)(archive)
        finding = "is a zip archive that neither torch.save nor numpy.savez wrote"
        raise RefusedError(finding, CONVERT)
    for found in _FORMATS:
        if found.begins and re.match(found.begins, head, re.DOTALL):
            return _reader(found.reader)(file)
    for begins, finding, remedy in _FOREIGN:
        if re.match(begins, head):
            raise RefusedError(finding, remedy)
    hint = " despite its name" if path.endswith(tuple(_SUFFIXES)) else ""
    raise RefusedError(f"is not a weights file{hint}: it begins with {head[:12]!r}", _GIVE)


def _reader(name: str) -> Callable[[Any], Contents]:
    """Import a reader only when it is needed."""
    module, function = name.split(".")
    reader: Callable[[Any], Contents] = getattr(import_module(f".{module}", __name__), function)
    return reader


def _is_checkpoint(file: BinaryIO, head: bytes, path: str) -> bool:
    if head.startswith(b"model_checkpoint_path:") or re.search(r"\.data-\d{5}-of-\d{5}\Z", path):
        return True
    file.seek(-min(len(head), len(_TABLE_END)), os.SEEK_END)
    return file.read() == _TABLE_END
