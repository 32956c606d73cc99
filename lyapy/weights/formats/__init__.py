"""Reading the bytes of a weights file into named arrays, whatever wrote it."""

from __future__ import annotations

import os
import re
import stat
from typing import Any, BinaryIO, NamedTuple

from numpy.typing import NDArray

from lyapy.errors import WeightsError
from lyapy.weights.formats.refusal import ANEW, CONVERT, RefusedError

__all__ = ["Contents", "read_arrays", "read_contents"]

_SIZE_LIMIT = 16 << 30
# Layouts look for patterns in names.
_NAME_LIMIT = 1000

# What a file begins with, what it is then, and the remedy.
_FOREIGN = [
    (rb"lyapy-sealed ", "is a result of lyapy, not weights", "lyapy show prints it"),
    (rb"\s*<(!DOCTYPE|!doctype|html)", "is a web page, of a failed download perhaps", ANEW),
    (rb"version https://git-lfs", "is the pointer of a git-lfs file", "run git lfs pull"),
    (rb"\x80[\x02-\x05]", "is a pickle that torch.save did not write", CONVERT),
]
# A model's version of the format, then any other field.
_ONNX = rb"\x08[\x01-\x20][\x12\x1a\x22\x2a\x32\x3a\x42]"
# A map of one entry or more, whose first key is a text.
_MSGPACK = rb"([\x81-\x8f]|\xde..|\xdf....)[\xa1-\xbf\xd9]"
# A TensorFlow checkpoint is a text, a table (``.index``) by its last bytes, and raw data.
_TABLE_END = bytes.fromhex("57fb808b247547db")
_CHECKPOINT_DATA = r"\.data-\d{5}-of-\d{5}$"
_VARS = (
    "in Python: r = tf.train.load_checkpoint(path without .index); "
    "numpy.savez('a.npz', **{n: r.get_tensor(n) for n in r.get_variable_to_shape_map()})"
)
_SUFFIXES = "give a .pt, .pth, .safetensors, .npz, .h5 or .keras file"


class Contents(NamedTuple):
    """What a weights file holds.

    Attributes
    ----------
    arrays : dict
        The arrays by name; see `read_arrays`.
    metadata : dict
        What the file says of them, as texts: a Keras model's ``model_config`` and
        ``keras_version``, a torch module's ``nonlinearity`` under its name, and the like.
    """

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, str]


def read_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read every array of a weights file.

    The format is recognised by the file's content: PyTorch's (zip or older), safetensors,
    npz, HDF5 or Keras's archive.
    No code of the file is run, no other file opened, and no size believed before it is checked.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        The arrays by name, read-only and in native byte order, in the file's order. Names in
        nested dicts and lists are joined by dots; bfloat16 becomes float32; what is no array is
        left out. Arrays that share memory in a PyTorch file share it here.

    Raises
    ------
    lyapy.errors.WeightsError
        Whatever is wrong with the file.
    """
    return read_contents(path).arrays


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """Read every array of a weights file, and what it says of them; see `read_arrays`.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    lyapy.errors.WeightsError
        Whatever is wrong with the file.
    """
    try:
        _refuse_irregular(os.stat(path))
        with open(path, "rb") as file:
            contents = _read(file, os.fspath(path))
        if not contents.arrays:
            raise RefusedError("holds no arrays", _SUFFIXES)
        if not all(isinstance(name, str) for name in contents.arrays):
            raise RefusedError("holds a name that is no text", CONVERT)
        if max(map(len, contents.arrays)) > _NAME_LIMIT:
            raise RefusedError("holds too long names", "shorten the names of its arrays")
    except RefusedError as refusal:
        raise WeightsError(path, _line(refusal.what), refusal.remedy) from None
    except FileNotFoundError:
        raise WeightsError(path, "does not exist", "check the path") from None
    except PermissionError:
        raise WeightsError(path, "may not be read", "check the file's permissions") from None
    except Exception as error:  # a broken file can break its reader anywhere
        what = _line(f"is damaged ({type(error).__name__}: {error})")
        raise WeightsError(path, what, ANEW) from error
    for array in contents.arrays.values():
        array.flags.writeable = False
    return contents


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 300 else text[:300] + " ..."


def _refuse_irregular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise RefusedError("is a directory", "give the weights file in it")
    if not stat.S_ISREG(found.st_mode):
        raise RefusedError("is not a regular file", _SUFFIXES)
    if found.st_size == 0:
        raise RefusedError("is empty")
    if found.st_size > _SIZE_LIMIT:
        raise RefusedError(f"has {found.st_size} bytes, more than 16 GiB", "save the weights alone")


def _read(file: BinaryIO, path: str) -> Contents:
    head = file.read(64)
    file.seek(0)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _read_zip(file)
    # The magic number of torch's older files, pickled in any binary protocol.
    if head[:1] == b"\x80" and b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." in head:
        from lyapy.weights.formats import torch_legacy

        return Contents(*torch_legacy.read(file))
    if head[8:9] == b"{":
        from lyapy.weights.formats import safetensors_file

        return Contents(safetensors_file.read(file), {})
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        from lyapy.weights.formats import hdf5

        return Contents(*hdf5.read(file))
    if _is_checkpoint(file, head, path):
        raise RefusedError("is part of a TensorFlow checkpoint, not read here", _VARS)
    if re.match(_ONNX, head, re.DOTALL):
        from lyapy.weights.formats import onnx_file

        return Contents(*onnx_file.read(file))
    if head[:6] == b"\x93NUMPY":
        from lyapy.weights.formats import npy_sequence

        return Contents(npy_sequence.read(file), {})
    if re.match(_MSGPACK, head, re.DOTALL):
        from lyapy.weights.formats import msgpack_file

        return Contents(msgpack_file.read(file), {})
    raise _foreign(head, path)


def _is_checkpoint(file: BinaryIO, head: bytes, path: str) -> bool:
    if head.startswith(b"model_checkpoint_path:") or re.search(_CHECKPOINT_DATA, path):
        return True
    file.seek(-min(len(head), len(_TABLE_END)), os.SEEK_END)
    end = file.read()
    file.seek(0)
    return end == _TABLE_END


def _read_zip(file: BinaryIO) -> Contents:
    from lyapy.weights.formats import npz, torch_zip, zip_archive

    with zip_archive.open_archive(file) as archive:
        names = archive.namelist()
        if any(name.endswith("/data.pkl") for name in names):
            return Contents(*torch_zip.read(archive))
        if any(name.endswith(".npy") for name in names):
            return Contents(npz.read(archive), {})
        if "model.weights.h5" in names:
            from lyapy.weights.formats import bounds, keras_archive

            limit = bounds.unpacked_limit(os.fstat(file.fileno()).st_size)
            return Contents(*keras_archive.read(archive, limit))
    raise RefusedError("is a zip archive that neither torch.save nor numpy.savez wrote", CONVERT)


def _foreign(head: bytes, path: str) -> RefusedError:
    for magic, what, remedy in _FOREIGN:
        if re.match(magic, head):
            return RefusedError(what, remedy)
    hint = (
        " despite its name" if re.search(r"\.(pth?|safetensors|npz|h5|hdf5|keras)$", path) else ""
    )
    return RefusedError(f"is no weights file{hint}: it begins with {head[:12]!r}", _SUFFIXES)
