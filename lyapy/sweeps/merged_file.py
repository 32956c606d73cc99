"""The merged file: the spectra of many networks as plain HDF5, one row for each.

Root attributes: ``format``, ``format_version``. The group ``index`` has a dataset (members,) for
each of `lyapy.sweeps.columns.COLUMNS`; next to them stand those of
`lyapy.sweeps.columns.SPECTRA`, of shape
(members, k), where rows with fewer exponents end in NaN. Rows are sorted by name. The group
``metadata``, if there is any, has a dataset (members,) for each of the user's own columns. The
group ``runs`` has, for each row with a result, a group named after the row's number with all that
its run file holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, BinaryIO

import h5py
import numpy as np

from ..arrays import Array
from ..spectra.spectrum import Spectrum
from ..storage.sealed import write_sealed
from ..storage.trees import legible
from .columns import COLUMNS, SPECTRA, Column, Row
from .metadata import read_metadata, write_metadata

__all__ = ["is_merged", "read_member", "read_rows", "write_merged"]

FORMAT = "lyapy spectra"
FORMAT_VERSION = 1


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
        Name of a member to its run file, which is copied; members may be left out.
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
        _write_index(file, ordered)
        write_metadata(file, [row.metadata for row in ordered])
        copies = file.create_group("runs")
        for number, row in enumerate(ordered):
            if row.name in runs:
                _copy(runs[row.name], copies, str(number))
                check()

    write_sealed(path, fill, overwrite=overwrite)


def read_rows(path: str | PathLike[str]) -> list[Row]:
    """Read the rows that `write_merged` wrote.

    Raises
    ------
    ValueError
        If the file is not one, or was written by a newer lyapy.
    OSError
        If the file cannot be opened.
    """
    with open(path, "rb") as raw:
        if not _tells_so(raw):
            raise ValueError(f"{path}: is no merged file; give one that lyapy merge wrote")
        try:
            with h5py.File(raw, "r") as file:
                return _rows_in(file, path)
        except (OSError, RuntimeError, KeyError) as error:
            raise ValueError(f"{path}: is damaged ({error}); merge the run files anew") from error


def read_member(path: str | PathLike[str], name: str) -> Spectrum:
    """Read the spectrum of one member.

    Raises
    ------
    ValueError
        If the file is not one that `write_merged` wrote, or has no result of this name, or
        only its row.
    OSError
        If the file cannot be opened.
    """
    for number, row in enumerate(read_rows(path)):
        if row.name == name and row.has_result:
            return _read_run(path, name, f"runs/{number}")
        if row.name == name:
            raise ValueError(f"{path}: {name} is {row.columns['status']}: {row.columns['advice']}")
    raise ValueError(f"{path}: has no member {name!r}; lyapy show {path} lists them")


def _read_run(path: str | PathLike[str], name: str, group: str) -> Spectrum:
    with open(path, "rb") as raw, h5py.File(raw, "r") as file:
        is_there = group in file
    if not is_there:
        raise ValueError(
            f"{path}: has only the row of {name}, without its run; give the file that it was saved "
            "from, or its run file"
        )
    return Spectrum.load(path, group=group)


def is_merged(path: str | PathLike[str]) -> bool:
    """Return whether a file is there and tells that it is a merged one."""
    try:
        with open(path, "rb") as raw:
            return _tells_so(raw)
    except OSError:
        return False


def _tells_so(raw: BinaryIO) -> bool:
    try:
        with h5py.File(raw, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except (OSError, RuntimeError):
        return False


def _rows_in(file: h5py.File, path: str | PathLike[str]) -> list[Row]:
    version = int(file.attrs["format_version"])
    if version > FORMAT_VERSION:
        raise ValueError(
            f"{path}: has format version {version}, this lyapy reads up to {FORMAT_VERSION}; "
            "install a newer lyapy"
        )
    columns = {name: _read(file["index"][name]) for name in COLUMNS}
    spectra = {name: file[name][()] for name in SPECTRA}
    metadata = read_metadata(file, len(columns["k"]))
    return [
        Row(
            {name: values[number] for name, values in columns.items()},
            {name: values[number, :k] for name, values in spectra.items()},
            metadata[number],
        )
        for number, k in enumerate(columns["k"])
    ]


def _write_index(file: h5py.File, rows: list[Row]) -> None:
    times = sorted({str(row.columns["time"]) for row in rows if row.has_result})
    index = file.create_group("index")
    for name, column in COLUMNS.items():
        values = _column([row.columns[name] for row in rows], column)
        _write(index, name, values, column, times, "members")
    for name, column in SPECTRA.items():
        _write(file, name, _padded(rows, name), column, times, "members, k")


def _column(values: list[Any], column: Column) -> Array:
    if isinstance(column.missing, str):
        return np.array([legible(text) for text in values], dtype=h5py.string_dtype())
    return np.array(values, dtype=type(column.missing))


def _padded(rows: list[Row], name: str) -> Array:
    longest = max((len(row.spectra[name]) for row in rows), default=0)
    table = np.full((len(rows), longest), SPECTRA[name].missing)
    for line, row in zip(table, rows, strict=True):
        line[: len(row.spectra[name])] = row.spectra[name]
    return table


def _write(
    group: h5py.Group, name: str, values: Array, column: Column, times: list[str], axes: str
) -> None:
    # text of any length cannot have a checksum
    options = {} if isinstance(column.missing, str) or not values.size else {"fletcher32": True}
    dataset = group.create_dataset(name, data=values, **options)
    dataset.attrs["units"] = column.units.format(time=" or ".join(times) or "step")
    dataset.attrs["axes"] = axes
    dataset.attrs["description"] = column.description


def _read(dataset: h5py.Dataset) -> list[Any]:
    found = dataset.asstr() if h5py.check_string_dtype(dataset.dtype) else dataset
    values: list[Any] = found[()].tolist()
    return values


def _copy(run: str | PathLike[str], group: h5py.Group, name: str) -> None:
    with open(run, "rb") as raw, h5py.File(raw, "r") as source:
        source.copy(source["/"], group, name=name)
