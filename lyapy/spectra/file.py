"""The run file: a spectrum as plain HDF5.

Root attributes: ``format``, ``format_version``, ``status``, ``advice``. Each quantity of
`Exponents` is a dataset with named axes (dimension scales) and the attributes ``units`` and
``description``; the stored ones are all that reading needs. The group ``settings`` has the
arguments and the origin of the run, a nested group for each nested dict.
"""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from ..storage.atomic import check_output
from ..storage.datasets import write_dataset
from ..storage.hdf5 import Dataset, Group, Hdf5Error
from ..storage.sealed import open_sealed, write_sealed
from ..storage.trees import read_tree, write_tree
from .exponents import QUANTITIES, Exponents
from .status import status_of

FORMAT = "lyapy spectrum"
FORMAT_VERSION = 4
# suffixes of other formats, by which other programs would read the file
OTHERS = (".npz", ".npy", ".mat", ".csv", ".json", ".txt", ".pkl", ".pt", ".png", ".pdf", ".svg")
GIVE, AGAIN = "give a run file that lyapy wrote", "compute it again"
# types of settings on which results depend; those after the first five may be missing
SETTINGS: dict[str, Any] = {
    "k": int, "tolerance": float, "interval": int | str, "network": str, "network_sha256": str,
    "input_sequences": int, "dt": float | int | None, "seconds": float, "until": list,
    "network_origin": str | None, "assumptions": list, "repeated_tiles": int,
    "multiplicity": int,
}  # fmt: skip
NEEDED, POSITIVE = list(SETTINGS)[:5], ("k", "tolerance", "dt", "until", "multiplicity")
LONGEST = 1 << 62
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

    ``records`` fill the group of this name; ``scratch`` is the folder of the file until it is
    whole, on the same disk, by default that of ``path``. Raises OSError if the file exists and
    ``overwrite`` is False, or cannot be written.
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


def read_fields(
    path: str | PathLike[str], *, group: str = "/", check: bool = True
) -> dict[str, Any]:
    """Read the stored quantities and the settings from a run file, or a group with its contents.

    Raises ValueError if it is no run file, is damaged, or has another format version. Without
    ``check`` the seal is ignored, as for a file that was edited.
    """
    with open_sealed(path, check=check) as file:
        run = _run_in(file, group)
        settings = _settings(run)
        return _stored(run, settings) | {"settings": settings}


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
    check_output(path, overwrite=overwrite or bool(format_of(path) == FORMAT))
    check_suffix(path)


def format_of(path: str | PathLike[str]) -> Any:
    """Return the attribute ``format`` of an HDF5 file, None if it is none."""
    try:
        with open_sealed(path, check=False) as file:
            return file.attrs.get("format")
    except (OSError, ValueError):
        return None


def copy_run(path: str | PathLike[str], parent: h5py.Group, name: str) -> None:
    """Copy a run file into a group of another file; raise ValueError as `read_fields`."""
    with open_sealed(path) as run:
        copy = parent.create_group(name)
        copy.attrs.update(run.attrs)
        for n, quantity in ((n, q) for n, q in QUANTITIES.items() if n in run):
            texts = (run[n].attrs[key] for key in ("units", "description"))
            write_dataset(copy, n, run[n].read(), quantity.axes, *texts)
        write_tree(copy.create_group("settings"), read_tree(run["settings"]))
        if "records" in run:
            _copy_records(run["records"], copy.create_group("records"))


def _copy_records(records: Group, copy: h5py.Group) -> None:
    for name, values in records.items():
        options = {"compression": "gzip", "shuffle": True} if values.chunk else {}
        made = copy.create_dataset(
            name, values.shape, values.dtype, chunks=values.chunk, fletcher32=True, **options
        )
        for place, block in values.blocks():
            made[place] = block


def _run_in(file: Group, group: str) -> Group:
    run = file.get(group)
    if not isinstance(run, Group):
        raise Hdf5Error("does not hold this run", GIVE)
    found, version = run.attrs.get("format"), run.attrs.get("format_version")
    if found != FORMAT:
        known = ", ".join(list(run)[:8]) or "nothing"
        raise Hdf5Error(f"is an HDF5 file without format={FORMAT!r}, it holds {known}", GIVE)
    if version != FORMAT_VERSION:
        newer = isinstance(version, np.integer) and version > FORMAT_VERSION
        remedy = "install a newer lyapy" if newer else "compute it again"
        raise Hdf5Error(f"has format version {version}, this lyapy reads {FORMAT_VERSION}", remedy)
    return run


def _settings(run: Group) -> dict[str, Any]:
    """Return the settings of a run; those on which results depend have the right types."""
    found = run.get("settings")
    settings = read_tree(found) if isinstance(found, Group) else {}
    for name, kinds in SETTINGS.items():
        value = settings.get(name)
        if name not in settings and name not in NEEDED:
            continue
        wrong = not isinstance(value, kinds) or isinstance(value, bool)
        # the target of a run until it, and the most steps
        numbers: Any = value if name == "until" and not wrong else [value]
        if wrong or (name in POSITIVE and any(x is not None and not x > 0 for x in numbers)):
            raise Hdf5Error(f"is damaged: the setting {name} is {value!r}", AGAIN)
    return settings


def _stored(run: Group, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the stored quantities, whose axes agree with one another and with the settings."""
    found: dict[str, Any] = {}
    sizes: dict[str, tuple[int, str]] = {}
    for name, quantity in QUANTITIES.items():
        dataset = run.get(name)
        # a derived quantity may be younger than the file
        if dataset is None and not quantity.stored:
            continue
        if not isinstance(dataset, Dataset):
            raise Hdf5Error(f"is damaged: the dataset {name} is missing", AGAIN)
        shape, axes = dataset.shape, quantity.axes
        kinds = "iu" if type(quantity.missing) is int else "fiub"
        if len(shape) != len(axes) or dataset.dtype.kind not in kinds or not all(shape):
            finding = (
                f"is damaged: {name} has shape {shape} of {dataset.dtype}, its axes are {axes}"
            )
            raise Hdf5Error(finding, AGAIN)
        for axis, size in zip(axes, shape, strict=True):
            known, other = sizes.setdefault(axis, (size, name))
            if size != known:
                finding = f"axis {axis} has {size} entries in {name}, {known} in {other}"
                raise Hdf5Error(f"is damaged: {finding}", AGAIN)
        if quantity.stored:
            array = dataset.read()
            found[name] = array if axes else array.item()
    columns = settings.get("multiplicity", 1)
    declared = {"state": found["state_size"] // columns, "exponent": settings["k"], "term": 3}
    for axis in declared.keys() & sizes.keys():
        if declared[axis] != sizes[axis][0]:
            finding = f"axis {axis} has {sizes[axis][0]} entries instead of {declared[axis]}"
            raise Hdf5Error(f"is damaged: {finding}", AGAIN)
    increasing = np.all(np.diff(found["growth_steps"], prepend=0) > 0)
    if not increasing or not 0 <= found["transient"] < LONGEST:
        raise Hdf5Error("is damaged: growth_steps or transient count no steps", AGAIN)
    return found
