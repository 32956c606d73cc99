"""The merged file: the spectra of many networks as plain HDF5, one row for each.

Root attributes: ``format``, ``format_version``. There is a dataset (network,) for each of
`COLUMNS` and one (network, exponent) for each of `SPECTRA`, where shorter rows end in NaN or
False. Rows are sorted by name. The group ``metadata``, if any, has a dataset (network,) for each
of the user's columns. The group ``runs`` has, for each row with a result, a group named by the
row's number with the contents of its run file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, BinaryIO

import h5py
import numpy as np

from ..arrays import Array
from ..spectra.file import copy_run
from ..spectra.quantities import Quantity
from ..spectra.spectrum import Spectrum
from ..storage.datasets import read_dataset, write_dataset
from ..storage.sealed import write_sealed
from ..storage.trees import legible
from .columns import COLUMNS, SPECTRA, Row

__all__ = ["is_merged", "read_network", "read_rows", "write_merged"]

FORMAT = "lyapy spectra"
FORMAT_VERSION = 2


def write_merged(
    rows: Sequence[Row],
    runs: Mapping[str, str | PathLike[str]],
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
) -> None:
    """Write rows and run files to one sealed HDF5 file, put in place whole or not at all.

    Its bytes do not depend on the order of the rows.

    Parameters
    ----------
    rows : sequence of Row
        With names that differ.
    runs : mapping
        Names of networks to the run files to copy.
    path : str or path
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    OSError
        If it cannot be written, or a run file not be read.
    """
    ordered = sorted(rows, key=lambda row: row.name)

    def fill(file: h5py.File, check: Callable[[], None]) -> None:
        file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION)
        _write_columns(file, ordered)
        _write_metadata(file, [row.metadata for row in ordered])
        copies = file.create_group("runs")
        for number, row in enumerate(ordered):
            if row.name in runs:
                copy_run(runs[row.name], copies, str(number))
                check()

    write_sealed(path, fill, overwrite=overwrite)


def read_rows(path: str | PathLike[str]) -> list[Row]:
    """Read the rows that `write_merged` wrote.

    Raises
    ------
    ValueError
        If the file is no merged file, is damaged, or has another format version.
    OSError
        If the file cannot be opened.
    """
    with open(path, "rb") as raw:
        if not _has_format(raw):
            raise ValueError(f"{path}: is no merged file; give one that lyapy merge wrote")
        try:
            with h5py.File(raw, "r") as file:
                return _rows_in(file, path)
        except (OSError, RuntimeError, KeyError) as error:
            raise ValueError(f"{path}: is damaged ({error}); merge the run files again") from error


def read_network(path: str | PathLike[str], name: str) -> Spectrum:
    """Read the spectrum of one network.

    Raises
    ------
    ValueError
        If the file is no merged file, or has no result of this name, or only its row.
    OSError
        If the file cannot be opened.
    """
    for number, row in enumerate(read_rows(path)):
        if row.name == name and row.has_result:
            return _read_run(path, name, f"runs/{number}")
        if row.name == name:
            raise ValueError(f"{path}: {name} is {row.columns['status']}: {row.columns['advice']}")
    raise ValueError(f"{path}: has no network {name!r}; lyapy show {path} lists them")


def is_merged(path: str | PathLike[str]) -> bool:
    """Return whether there is a file with the format of a merged one."""
    try:
        with open(path, "rb") as raw:
            return _has_format(raw)
    except OSError:
        return False


def _has_format(raw: BinaryIO) -> bool:
    try:
        with h5py.File(raw, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except (OSError, RuntimeError):
        return False


def _read_run(path: str | PathLike[str], name: str, group: str) -> Spectrum:
    with open(path, "rb") as raw, h5py.File(raw, "r") as file:
        is_there = group in file
    if not is_there:
        raise ValueError(
            f"{path}: has only the row of {name}, without its run; give the file that it was saved "
            "from, or its run file"
        )
    return Spectrum.load(path, group=group)


def _rows_in(file: h5py.File, path: str | PathLike[str]) -> list[Row]:
    version = int(file.attrs["format_version"])
    if version != FORMAT_VERSION:
        remedy = "install a newer lyapy" if version > FORMAT_VERSION else "merge the runs again"
        raise ValueError(
            f"{path}: has format version {version}, this lyapy reads {FORMAT_VERSION}; {remedy}"
        )
    columns = {name: read_dataset(file[name]).tolist() for name in COLUMNS}
    spectra = {name: read_dataset(file[name]) for name in SPECTRA}
    own = file.get("metadata", {})
    metadata = {name: read_dataset(own[name]).tolist() for name in own}
    return [
        Row(
            {name: values[number] for name, values in columns.items()},
            {name: values[number, :k] for name, values in spectra.items()},
            {name: values[number] for name, values in metadata.items()},
        )
        for number, k in enumerate(columns["k"])
    ]


def _write_columns(file: h5py.File, rows: Sequence[Row]) -> None:
    time = " or ".join(sorted({row.columns["time"] for row in rows if row.has_result})) or "step"
    for name, quantity in COLUMNS.items():
        values = [row.columns[name] for row in rows]
        _write(file, name, _array(values, quantity), quantity, time)
    longest = max((row.columns["k"] for row in rows), default=0)
    for name, quantity in SPECTRA.items():
        table = np.full((len(rows), longest), quantity.missing)
        for line, row in zip(table, rows, strict=True):
            line[: len(row.spectra[name])] = row.spectra[name]
        _write(file, name, table, quantity, time)


def _write(file: h5py.File, name: str, values: Array, quantity: Quantity, time: str) -> None:
    axes = ("network", *quantity.axes)
    write_dataset(file, name, values, axes, quantity.units.format(time=time), quantity.text)


def _array(values: Sequence[Any], quantity: Quantity) -> Array:
    if isinstance(quantity.missing, str):
        return np.array([legible(text) for text in values], dtype=object)
    return np.array(values, dtype=type(quantity.missing))


def _write_metadata(file: h5py.File, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the users' columns, numbers where all are."""
    names = sorted(set().union(*rows))
    if not names:
        return
    group = file.create_group("metadata")
    for name in names:
        values: Any = np.array([row.get(name, math.nan) for row in rows], dtype=object)
        kinds = {type(value) for value in values}
        if all(issubclass(kind, (int, np.integer)) for kind in kinds):
            values = values.astype(np.int64)
        elif all(issubclass(kind, (int, float, np.number)) for kind in kinds):
            values = values.astype(np.float64)
        else:
            texts = ["" if value != value else legible(str(value)) for value in values]
            values = np.array(texts, dtype=object)
        write_dataset(group, name, values, ("network",), "", "Given by the user", scales=file)
