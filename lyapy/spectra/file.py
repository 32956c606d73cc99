"""The run file: a spectrum as plain HDF5.

Root attributes: ``format``, ``format_version``, ``status``, ``advice``. Each quantity of
`Exponents` is a dataset with named axes (dimension scales) and the attributes ``units`` and
``description``; the stored ones are all that reading needs. The group ``settings`` has the
arguments and the origin of the run, a nested group for each nested dict.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import h5py

from ..storage.atomic import check_output
from ..storage.datasets import name_axes, read_dataset, write_dataset
from ..storage.sealed import SIGNATURE, USER_BLOCK, write_sealed
from ..storage.trees import read_tree, write_tree
from .exponents import QUANTITIES, Exponents
from .status import status_of

__all__ = [
    "STORED",
    "check_run_output",
    "check_suffix",
    "copy_run",
    "read_fields",
    "write_spectrum",
]

FORMAT = "lyapy spectrum"
FORMAT_VERSION = 4
# suffixes of other formats, by which other programs would read the file
OTHERS = (".npz", ".npy", ".mat", ".csv", ".json", ".txt", ".pkl", ".pt", ".png", ".pdf", ".svg")
STORED = {name: q for name, q in QUANTITIES.items() if q.stored}


class Records(Protocol):
    """Records of a run, which can be written into a group."""

    def write(self, group: h5py.Group, check: Callable[[], None]) -> None: ...


def write_spectrum(
    spectrum: Exponents,
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
    records: Records | None = None,
    scratch: Path | None = None,
) -> None:
    """Write a spectrum to a sealed HDF5 file, put in place whole or not at all.

    Parameters
    ----------
    spectrum : Spectrum or Exponents
    path : str or path
    overwrite : bool
        Replace a file that exists.
    records : Records, optional
        For the group ``records``.
    scratch : Path, optional
        Folder for the file until it is whole, on the same disk; that of ``path`` by default.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is False, or cannot be written.
    """

    def fill(file: h5py.File, check: Callable[[], None]) -> None:
        _write_contents(spectrum, file)
        if records is not None:
            records.write(file.create_group("records"), check)

    write_sealed(path, fill, overwrite=overwrite, scratch=scratch)


def _write_contents(spectrum: Exponents, file: h5py.File) -> None:
    status = status_of(spectrum)
    file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION)
    file.attrs.update(status=status.code, advice=status.advice)
    for name, values in spectrum.report().items():
        axes, units, text = QUANTITIES[name][:3]
        write_dataset(file, name, values, axes, units.format(time=spectrum.time), text)
    write_tree(file.create_group("settings"), spectrum.settings)


def read_fields(path: str | PathLike[str], *, group: str = "/") -> dict[str, Any]:
    """Read the stored quantities and the settings from a run file, or a group with its contents.

    Raises ValueError if it is no run file, is damaged, or has another format version.
    """
    # through Python's file, as HDF5's own locks fail on many cluster file systems
    with open(path, "rb") as raw:
        try:
            with h5py.File(raw, "r") as file:
                run = file[group]
                _check_format(run)
                return _read_stored(run) | {"settings": read_tree(run["settings"])}
        except _RefusedError as error:
            raise ValueError(f"{path}: {error}") from None
        except (OSError, RuntimeError, KeyError, TypeError) as error:
            problem = "is not an HDF5 file" if not _is_hdf5(raw) else f"is damaged ({error})"
            raise ValueError(f"{path}: {problem}; give a run file that lyapy wrote") from error


def check_suffix(path: str | PathLike[str]) -> None:
    """Raise ValueError if the name of an HDF5 file is that of another format."""
    suffix = Path(path).suffix
    if suffix.lower() in OTHERS:
        remedy = f"give {Path(path).with_suffix('.h5')}"
        raise ValueError(f"{path}: would be HDF5, which the suffix {suffix} hides; {remedy}")


def check_run_output(path: str | PathLike[str], *, overwrite: bool) -> None:
    """Raise OSError unless a run file can be written, or is there already.

    FileExistsError if there is another file, and ``overwrite`` is False; else as
    `lyapy.storage.atomic.check_output`.
    """
    check_output(path, overwrite=overwrite or _is_run_file(path))
    check_suffix(path)


def _is_run_file(path: str | PathLike[str]) -> bool:
    try:
        with open(path, "rb") as raw, h5py.File(raw, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except OSError:
        return False


def copy_run(path: str | PathLike[str], parent: h5py.Group, name: str) -> None:
    """Copy a run file into a group of another file."""
    with open(path, "rb") as raw, h5py.File(raw, "r") as source:
        source.copy(source["/"], parent, name=name)
    copy = parent[name]
    # HDF5 copies the references between arrays and axes unchanged, which breaks them
    for axis in {axis for quantity in QUANTITIES.values() for axis in quantity.axes}:
        del copy[axis]
    for dataset, quantity in ((copy[n], q) for n, q in QUANTITIES.items() if q.axes):
        del dataset.attrs["DIMENSION_LIST"]
        name_axes(dataset, quantity.axes, copy)


class _RefusedError(Exception):
    """A file that is no readable run file, with the remedy."""


def _is_hdf5(raw: io.BufferedReader) -> bool:
    raw.seek(USER_BLOCK)
    return raw.read(len(SIGNATURE)) == SIGNATURE


def _check_format(file: h5py.Group) -> None:
    found = file.attrs.get("format")
    if found != FORMAT:
        known = ", ".join(list(file)[:8]) or "nothing"
        raise _RefusedError(
            f"is an HDF5 file without format={FORMAT!r}, it holds {known}; "
            "give a run file that lyapy wrote"
        )
    version = int(file.attrs["format_version"])
    if version != FORMAT_VERSION:
        remedy = "install a newer lyapy" if version > FORMAT_VERSION else "compute it again"
        raise _RefusedError(
            f"has format version {version}, this lyapy reads {FORMAT_VERSION}; {remedy}"
        )


def _read_stored(run: h5py.Group) -> dict[str, Any]:
    found: dict[str, Any] = {}
    sizes: dict[str, tuple[int, str]] = {}
    for name, described in STORED.items():
        if not isinstance(run.get(name), h5py.Dataset):
            raise _RefusedError(f"is damaged: the dataset {name} is missing; compute it again")
        array = read_dataset(run[name])
        if array.ndim != len(described.axes):
            raise _RefusedError(
                f"is damaged: {name} has shape {array.shape}, its axes are {described.axes}; "
                "compute it again"
            )
        for axis, size in zip(described.axes, array.shape, strict=True):
            known, other = sizes.setdefault(axis, (size, name))
            if size != known:
                raise _RefusedError(
                    f"is damaged: axis {axis} has {size} entries in {name}, {known} in {other}; "
                    "compute it again"
                )
        found[name] = array if described.axes else array.item()
    return found
