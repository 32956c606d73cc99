"""The run file: a spectrum as plain HDF5.

Root attributes: ``format``, ``format_version``, ``state_size``, ``transient``. The datasets are
those of `STORED` and `DERIVED`, each with the attributes ``units``, ``axes`` and
``description``; `STORED` is all that reading needs. The group ``measures`` has the numbers of
`MEASURES` as attributes, the group ``settings`` the arguments and the origin of the run, a
nested group for each nested dict.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import NamedTuple, Protocol

import h5py
import numpy as np

from ..arrays import Array
from ..storage.atomic import check_output
from ..storage.sealed import SIGNATURE, USER_BLOCK, write_sealed
from ..storage.trees import read_tree, write_tree
from .spectrum import Spectrum

__all__ = ["check_run_output", "read_spectrum", "write_spectrum"]

FORMAT = "lyapy spectrum"
FORMAT_VERSION = 2
COMPRESSED_BYTES = 16 * 1024


class Records(Protocol):
    """What was recorded on the way, and can be written into a group."""

    def write(self, group: h5py.Group, check: Callable[[], None]) -> None: ...


class Field(NamedTuple):
    """What a dataset tells about itself."""

    axes: tuple[str, ...]
    units: str
    description: str


ROWS = ("B", "rows", "K")
PARTS = ("B", "parts")

STORED = {
    "growth": Field(ROWS, "nats", "sum of log R_ii over the counted steps since the last row"),
    "growth_steps": Field(("rows",), "steps", "counted step at which each row of growth ends"),
    "final_state": Field(("B", "D"), "1", "state after the last step"),
    "final_frame": Field(("B", "K", "D"), "1", "orthonormal deviation vectors after the last step"),
    "intervals": Field(PARTS, "1", "accepted intervals of the leading frame"),
    "trailing_intervals": Field(PARTS, "1", "accepted intervals of the trailing frame, if any"),
    "rejections": Field(PARTS, "1", "intervals thrown away and repeated shorter"),
    "largest_spread": Field(PARTS, "nats", "largest max - min of log R_ii in one interval"),
    "split": Field(PARTS, "1", "rows of the leading frame; the others were followed backwards"),
    "numerical_error": Field(("B", "K"), "nats per step", "estimated rounding error of growth"),
    "determinants": Field(
        (*PARTS, "3"),
        "nats, nats, steps",
        "sums of log|det J| and of growth over the steps compared, and the number of these",
    ),
    "norm_excess": Field(PARTS, "nats per step", "growth above its bounds by norms, at most"),
    "frame_error": Field(PARTS, "1", "largest entry of |Q Q^T - 1| of the frame after the run"),
}
DERIVED = {
    "exponents": Field(("k",), "nats per step", "mean over trajectories, descending; -inf is dead"),
    "standard_error": Field(("k",), "nats per step", "standard error of exponents"),
    "degrees_of_freedom": Field(("k",), "1", "of Student's t, for confidence intervals"),
    "per_trajectory": Field(("B", "k"), "nats per step", "exponents of each trajectory"),
    "resolved": Field(("k",), "1", "false where rounding costs more than the tolerance"),
}
# what files of version 1 do not have: not known
ADDED = ("norm_excess", "frame_error")
MEASURES = ("largest", "mean", "kaplan_yorke_dimension", "entropy_rate", "sum_rule_residual")
MEASURES_TEXT = (
    "in {units}, but for kaplan_yorke_dimension, a number, and sum_rule_residual, in nats per "
    "step; NaN where the exponents do not reach it or the rule does not apply; *_error is the "
    "standard error; status and advice are those of the run"
)


def write_spectrum(
    spectrum: Spectrum,
    path: str | PathLike[str],
    *,
    overwrite: bool = False,
    records: Records | None = None,
    scratch: Path | None = None,
) -> None:
    """Write a spectrum to a sealed HDF5 file, put in place whole or not at all.

    Parameters
    ----------
    spectrum : Spectrum
    path : str or path
    overwrite : bool
        Whether a file that exists is replaced.
    records : Records, optional
        What was recorded on the way, for the group ``records``.
    scratch : Path, optional
        Folder for the file until it is whole, on the same disk; that of ``path`` by default.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    OSError
        If the file cannot be written.
    """

    def fill(file: h5py.File, check: Callable[[], None]) -> None:
        _write_contents(spectrum, file)
        if records is not None:
            records.write(file.create_group("records"), check)

    write_sealed(path, fill, overwrite=overwrite, scratch=scratch)


def _write_contents(spectrum: Spectrum, file: h5py.File) -> None:
    file.attrs.update(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        state_size=spectrum.state_size,
        transient=spectrum.transient,
    )
    for name, field in (DERIVED | STORED).items():
        # what is derived is divided by dt where that was given
        units = field.units
        if name in DERIVED and units == "nats per step":
            units = spectrum.units
        _write_array(file, name, np.asarray(getattr(spectrum, name)), field, units)
    measures = file.create_group("measures")
    measures.attrs["description"] = MEASURES_TEXT.format(units=spectrum.units)
    for name in MEASURES:
        measures.attrs[name] = getattr(spectrum, name)
    for name, found in spectrum.measures().items():
        measures.attrs[f"{name}_error"] = found.standard_error
    measures.attrs.update(status=spectrum.status.code, advice=spectrum.status.advice)
    write_tree(file.create_group("settings"), spectrum.settings)


def read_spectrum(path: str | PathLike[str], *, group: str = "/") -> Spectrum:
    """Read a spectrum that `write_spectrum` wrote.

    Parameters
    ----------
    path : str or path
    group : str
        Where it lies in the file, if it was copied into one of several.

    Raises
    ------
    ValueError
        If the file is not one, is damaged, or was written by a newer lyapy.
    OSError
        If the file cannot be opened.
    """
    # through Python's file, as HDF5's own locks fail on many cluster file systems
    with open(path, "rb") as raw:
        try:
            with h5py.File(raw, "r") as file:
                run = file[group]
                _check_format(run)
                arrays = {name: _read_array(run, name) for name in _stored_names(run)}
                parts = arrays["intervals"].shape
                arrays |= {n: np.full(parts, np.nan) for n in ADDED if n not in arrays}
                _check_axes(arrays)
                return Spectrum(
                    **arrays,
                    state_size=int(run.attrs["state_size"]),
                    transient=int(run.attrs["transient"]),
                    settings=read_tree(run["settings"]),
                )
        except _RefusedError as error:
            raise ValueError(f"{path}: {error}") from None
        except (OSError, RuntimeError, KeyError, TypeError) as error:
            what = "is not an HDF5 file" if not _is_hdf5(raw) else f"is damaged ({error})"
            raise ValueError(f"{path}: {what}; give a run file that lyapy wrote") from error


def check_run_output(path: str | PathLike[str], *, overwrite: bool) -> None:
    """Raise an error unless a run file can be written, or is there already.

    Raises
    ------
    FileExistsError
        If there is a file which is no run file, and ``overwrite`` is False.
    OSError
        As `lyapy.storage.atomic.check_output`.
    """
    check_output(path, overwrite=overwrite or _is_run_file(path))


def _is_run_file(path: str | PathLike[str]) -> bool:
    try:
        with open(path, "rb") as raw, h5py.File(raw, "r") as file:
            return bool(file.attrs.get("format") == FORMAT)
    except OSError:
        return False


class _RefusedError(Exception):
    """What was found in place of a spectrum, and the remedy."""


def _is_hdf5(raw: io.BufferedReader) -> bool:
    # behind the seal, or at the beginning of a file of version 1
    return any(raw.seek(start) == start and raw.read(8) == SIGNATURE for start in (USER_BLOCK, 0))


def _check_format(file: h5py.Group) -> None:
    found = file.attrs.get("format")
    if found != FORMAT:
        known = ", ".join(list(file)[:8]) or "nothing"
        raise _RefusedError(
            f"is an HDF5 file without format={FORMAT!r}, it holds {known}; "
            "give a run file that lyapy wrote"
        )
    version = int(file.attrs["format_version"])
    if version > FORMAT_VERSION:
        raise _RefusedError(
            f"has format version {version}, this lyapy reads up to {FORMAT_VERSION}; "
            "install a newer lyapy"
        )


def _stored_names(run: h5py.Group) -> list[str]:
    old = int(run.attrs["format_version"]) < 2
    return [name for name in STORED if not (old and name in ADDED)]


def _check_axes(arrays: dict[str, Array]) -> None:
    sizes: dict[str, tuple[int, str]] = {"3": (3, "determinants")}
    for name, array in arrays.items():
        axes = STORED[name].axes
        if array.ndim != len(axes):
            raise _RefusedError(f"is damaged: {name} has shape {array.shape}, not {axes}")
        for axis, size in zip(axes, array.shape, strict=True):
            known, other = sizes.setdefault(axis, (size, name))
            if size != known:
                raise _RefusedError(
                    f"is damaged: axis {axis} has {size} entries in {name}, {known} in {other}; "
                    "compute it anew"
                )


def _write_array(file: h5py.File, name: str, array: Array, field: Field, units: str) -> None:
    packed = array.nbytes > COMPRESSED_BYTES
    options = {"compression": "gzip", "shuffle": True} if packed else {}
    # without a checksum, HDF5 tells nobody of flipped bits
    dataset = file.create_dataset(name, data=array, fletcher32=True, **options)
    dataset.attrs["units"] = units
    dataset.attrs["axes"] = ", ".join(field.axes)
    dataset.attrs["description"] = field.description


def _read_array(file: h5py.Group, name: str) -> Array:
    if not isinstance(file.get(name), h5py.Dataset):
        raise _RefusedError(f"is damaged: the dataset {name} is missing; compute it anew")
    return file[name][()]
