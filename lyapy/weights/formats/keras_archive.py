"""Keras's ``.keras`` archives: a zip of the configuration and an HDF5 file of the weights."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from numpy.typing import NDArray

from lyapy.weights.formats import hdf5
from lyapy.weights.formats.refusal import RefusedError

__all__ = ["read"]

_TEXT_LIMIT = 16 << 20
_TEXTS = {"config.json": "model_config", "metadata.json": "archive_metadata"}


def read(archive: zipfile.ZipFile, limit: int) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Read the weights and the configuration; see `lyapy.weights.formats.hdf5.read`.

    Parameters
    ----------
    archive
        The archive, whose directory was checked.
    limit
        How many bytes of arrays it may unpack to.
    """
    arrays, metadata = hdf5.read(io.BytesIO(archive.read("model.weights.h5")), limit)
    for member, name in _TEXTS.items():
        if member not in archive.namelist():
            continue
        if archive.getinfo(member).file_size > _TEXT_LIMIT:
            raise RefusedError(f"has {member!r} of more than 16 MiB")
        metadata[name] = archive.read(member).decode("utf-8")
    return arrays, metadata
