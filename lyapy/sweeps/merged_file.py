"""The merged file: the spectra of many networks as plain HDF5, one row for each.

Root attributes: ``format``, ``format_version``. There is a dataset (network,) for each of
`COLUMNS` and one (network, exponent) for each of `SPECTRA`, where shorter rows end in NaN or
False. Rows are sorted by name. The group ``metadata``, if any, has a dataset (network,) for each
of the user's columns. The group ``runs`` has, for each row with a result, a group named by the
row's number with the contents of its run file.
"""

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import h5py
import numpy as np

from ..arrays import Array
from ..spectra.file import check_suffix, copy_run, format_of
from ..spectra.quantities import Quantity
from ..spectra.spectrum import Spectrum
from ..storage.datasets import write_dataset
from ..storage.hdf5 import Dataset, Group, Hdf5Error
from ..storage.sealed import open_sealed, write_sealed
from ..storage.trees import legible
from .rows import COLUMNS, OWN, SPECTRA, Row, as_table, column_of

FORMAT = "lyapy spectra"
FORMAT_VERSION = 2
AGAIN = "merge the run files again"
# of a column, by the type of its missing values
KINDS: dict[type, str] = {str: "O", int: "iu", float: "f", bool: "b"}


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
                try:
                    copy_run(runs[row.name], copies, str(number))
                except ValueError as error:
                    del copies[str(number)]
                    warnings.warn(f"{error}; only its row is merged", RuntimeWarning, stacklevel=2)
                check()

    write_sealed(path, fill, overwrite=overwrite)


def read_rows(path: str | PathLike[str], *, check: bool = True) -> list[Row]:
    """Read the rows that `write_merged` wrote; without ``check`` the seal is ignored.

    Raises ValueError if the file is no merged file, is damaged, or has another format version.
    """
    if os.path.exists(path) and not is_merged(path):
        raise ValueError(f"{path}: is no merged file; give one that lyapy merge wrote")
    with open_sealed(path, check=check) as file:
        return _rows_in(file)


def read_network(path: str | PathLike[str], name: str, *, check: bool = True) -> Spectrum:
    """Read the spectrum of one network; raise ValueError if there is none, or only its row."""
    rows = read_rows(path, check=check)
    number = next((number for number, row in enumerate(rows) if row.name == name), None)
    if number is None:
        raise ValueError(f"{path}: has no network {name!r}; lyapy show {path} lists them")
    if not rows[number].has_result:
        columns = rows[number].columns
        raise ValueError(f"{path}: {name} is {columns['status']}: {columns['advice']}")
    with open_sealed(path, check=check) as file:
        is_there = f"runs/{number}" in file
    if not is_there:
        raise ValueError(f"{path}: has only the row of {name}, without its run; give the run file")
    return Spectrum.load(path, group=f"runs/{number}", check=check)


def is_merged(path: str | PathLike[str]) -> bool:
    """Return whether there is a file with the format of a merged one."""
    return bool(format_of(path) == FORMAT)


def _rows_in(file: Group) -> list[Row]:
    version = file.attrs.get("format_version")
    if version != FORMAT_VERSION:
        newer = isinstance(version, np.integer) and version > FORMAT_VERSION
        remedy = "install a newer lyapy" if newer else "merge the runs again"
        raise Hdf5Error(f"has format version {version}, this lyapy reads {FORMAT_VERSION}", remedy)
    N, width = _column(file, "exponents", "f", (None, None)).shape

    def read(name: str, quantity: Quantity, shape: tuple[int, ...]) -> Array:
        # a quantity may be younger than the file
        if name not in OWN and name not in file:
            return np.full(shape, quantity.missing)
        return _column(file, name, KINDS[type(quantity.missing)], shape)

    columns = {name: read(name, q, (N,)).tolist() for name, q in COLUMNS.items()}
    spectra = {name: read(name, q, (N, width)) for name, q in SPECTRA.items()}
    if not all(0 <= k <= width for k in columns["k"]):
        raise Hdf5Error("is damaged: the spectra are of other lengths than k", AGAIN)
    own = file.get("metadata")
    given = own if isinstance(own, Group) else {}
    metadata = {name: _column(given, name, "fiubO", (N,)).tolist() for name in given}
    return [
        Row(
            {name: values[number] for name, values in columns.items()},
            {name: values[number, :k] for name, values in spectra.items()},
            {name: values[number] for name, values in metadata.items()},
        )
        for number, k in enumerate(columns["k"])
    ]


def _column(
    group: Mapping[str, Any], name: str, kinds: str, shape: tuple[int | None, ...]
) -> Array:
    """Return an array of one of the kinds and of a shape, in which None stands for any length."""
    found = group.get(name)
    if not isinstance(found, Dataset) or found.dtype.kind not in kinds:
        raise Hdf5Error(f"is damaged: the column {name} is missing or of another type", AGAIN)
    pairs = zip(found.shape, shape, strict=False)
    if len(found.shape) != len(shape) or any(n not in (None, m) for m, n in pairs):
        raise Hdf5Error(f"is damaged: {name} has shape {found.shape}", AGAIN)
    return found.read()


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
