"""HDF5 files such as Keras writes, alone or in a ``.keras`` archive; no link is followed."""

import io
import os
import zipfile
from typing import Any

from numpy.typing import NDArray

from ...storage.hdf5 import Attributes, Dataset, Group, Hdf5Error, open_hdf5, unpacked_limit
from .contents import Contents
from .refusal import AGAIN, CONVERT, RefusedError
from .zip_archive import read_member

# parsed JSON takes a hundred times as much
_TEXT_LIMIT = 4 << 20
# the attributes that framework layouts read: Keras's configuration, and names given by its users
_ATTRIBUTES = ("model_config", "keras_version", "name", "lyapy")
_KERAS_TEXTS = {"config.json": "model_config", "metadata.json": "archive_metadata"}


def read(file: io.BufferedIOBase, limit: int | None = None) -> Contents:
    """Read every dataset by its path, and ``path@attribute``, the texts that describe networks.

    The arrays may take ``limit`` bytes, by default the `unpacked_limit` of the file.
    """
    found = _Gathered()
    try:
        found.group(open_hdf5(file, file.seek(0, os.SEEK_END), limit))
    except Hdf5Error as error:
        raise RefusedError(error.finding, error.remedy or AGAIN) from None
    return Contents(found.arrays, found.metadata)


def read_keras(archive: zipfile.ZipFile) -> Contents:
    """Read the weights and the configuration of an archive whose directory was checked."""
    size = os.fstat(archive.fp.fileno()).st_size  # type: ignore[union-attr]
    arrays, metadata = read(
        io.BytesIO(read_member(archive, "model.weights.h5")), unpacked_limit(size)
    )
    for member, name in _KERAS_TEXTS.items():
        if member not in archive.namelist():
            continue
        if archive.getinfo(member).file_size > _TEXT_LIMIT:
            raise RefusedError(f"holds {member!r} of more than {_TEXT_LIMIT >> 20} MiB")
        metadata[name] = read_member(archive, member).decode("utf-8")
    return Contents(arrays, metadata)


class _Gathered:
    """The arrays and texts of a file; an array under several names is read once."""

    def __init__(self) -> None:
        self.groups: set[int] = set()
        self.datasets: dict[int, NDArray[Any]] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self.metadata: dict[str, str] = {}

    def group(self, group: Group) -> None:
        if group.address in self.groups:
            raise RefusedError(f"has the group {group.path!r} inside itself or twice", CONVERT)
        self.groups.add(group.address)
        self._texts(group.attrs, group.path)
        for found in group.values():
            if isinstance(found, Group):
                self.group(found)
            else:
                self.arrays[found.path] = self._read(found)
                self._texts(found.attrs, found.path)

    def _read(self, dataset: Dataset) -> NDArray[Any]:
        if dataset.dtype.kind not in "iufS":
            finding = f"holds {dataset.path!r} of texts or truth values, an unsupported type"
            raise RefusedError(finding, "write plain arrays of numbers")
        if dataset.address not in self.datasets:
            self.datasets[dataset.address] = dataset.read()
        return self.datasets[dataset.address]

    def _texts(self, attrs: Attributes, path: str) -> None:
        for name in attrs.keys() & {*_ATTRIBUTES}:
            if isinstance(text := attrs[name], str):
                if len(text) > _TEXT_LIMIT:
                    finding = f"holds {name!r} of more than {_TEXT_LIMIT >> 20} MiB"
                    raise RefusedError(finding, CONVERT)
                self.metadata[f"{path}@{name}" if path else name] = text
