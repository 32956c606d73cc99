"""The merged file: the spectra of many networks as plain HDF5, one row for each.

Root attributes: ``format``, ``format_version``. There is a dataset (network,) for each of
`COLUMNS` and one (network, exponent) for each of `SPECTRA`, where shorter rows end in NaN or
False. Rows are sorted by name. The group ``metadata``, if any, has a dataset (network,) for each
of the user's columns. The group ``runs`` has, for each row with a result, a group named by the
row's number with the contents of its run file.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import BinaryIO

import h5py
import numpy as np

from ..arrays import Array
from ..spectra.file import check_suffix, copy_run
from ..spectra.quantities import Quantity
from ..spectra.spectrum import Spectrum
from ..storage.datasets import read_dataset, write_dataset
from ..storage.sealed import write_sealed
from ..storage.trees import legible
from .columns import COLUMNS, OWN, SPECTRA, Row, as_table, column_of

FORMAT = "lyapy spectra"
FORMAT_VERSION = 2


def write_merged(
    rows: Sequence[Row], runs: Mapping[str, str | PathLike[str]], path: str | PathLike[str], *,
    overwrite: bool = False,
) -> None:  # fmt: skip
    """Write rows, and copies of run files by name, to one sealed file, whole or not at all.

    Its bytes do not depend on the order of the rows. Raises OSError as `write_sealed`, or if a run
    file cannot be read.
    """
    check_suffix(path)
    ordered = sorted(rows, key=lambda row: row.name)

    def fill(file: h5py.File, check: Callable[[], None]) -> None:
        file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION)
        _write_rows(file, ordered)
        copies = file.create_group("runs")
        for number, row in enumerate(ordered):
            if row.name in runs:
                copy_run(runs[row.name], copies, str(number))
                check()

    write_sealed(path, fill, overwrite=overwrite)


def read_rows(path: str | PathLike[str]) -> list[Row]:
    """Read the rows that `write_merged` wrote.

    Raises ValueError if the file is no merged file, is damaged, or has another format version.
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
    """Read the spectrum of one network; raise ValueError if there is none, or only its row."""
    rows = read_rows(path)
    number = next((number for number, row in enumerate(rows) if row.name == name), None)
    if number is None:
        raise ValueError(f"{path}: has no network {name!r}; lyapy show {path} lists them")
    if not rows[number].has_result:
        columns = rows[number].columns
        raise ValueError(f"{path}: {name} is {columns['status']}: {columns['advice']}")
    with open(path, "rb") as raw, h5py.File(raw, "r") as file:
        is_there = f"runs/{number}" in file
    if not is_there:
        raise ValueError(f"{path}: has only the row of {name}, without its run; give the run file")
    return Spectrum.load(path, group=f"runs/{number}")


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


def _rows_in(file: h5py.File, path: str | PathLike[str]) -> list[Row]:
    version = int(file.attrs["format_version"])
    if version != FORMAT_VERSION:
        remedy = "install a newer lyapy" if version > FORMAT_VERSION else "merge the runs again"
        finding = f"has format version {version}, this lyapy reads {FORMAT_VERSION}"
        raise ValueError(f"{path}: {finding}; {remedy}")

    def read(name: str, quantity: Quantity, like: str) -> Array:
        if name in OWN or name in file:
            return read_dataset(file[name])
        # the file is older than the quantity
        return np.full(file[like].shape, quantity.missing)

    columns = {name: read(name, q, "name").tolist() for name, q in COLUMNS.items()}
    spectra = {name: read(name, q, "exponents") for name, q in SPECTRA.items()}
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


def _write_rows(file: h5py.File, rows: Sequence[Row]) -> None:
    time = " or ".join(sorted({row.columns["time"] for row in rows if row.has_result})) or "step"
    for name, quantity in (COLUMNS | SPECTRA).items():
        if name in COLUMNS:
            values = np.array([row.columns[name] for row in rows], dtype=type(quantity.missing))
            if isinstance(quantity.missing, str):
                values = np.array([legible(row.columns[name]) for row in rows], dtype=object)
        else:
            values = as_table([row.spectra[name] for row in rows], quantity.missing)
        axes, units = ("network", *quantity.axes), quantity.units.format(time=time)
        write_dataset(file, name, values, axes, units, quantity.text)
    names = sorted(set().union(*(row.metadata for row in rows)))
    group = file.create_group("metadata") if names else file
    for name in names:
        values = column_of([row.metadata.get(name, math.nan) for row in rows])
        write_dataset(group, name, values, ("network",), "", "Given by the user", scales=file)
