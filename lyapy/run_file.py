"""The run file: a spectrum as plain HDF5.

Root attributes: ``format``, ``format_version``, ``state_size``, ``transient``. The datasets are
those of `STORED` and `DERIVED`, each with the attributes ``units``, ``axes`` and
``description``; `STORED` is all that reading needs. The group ``measures`` has the numbers of
`MEASURES` as attributes, the group ``settings`` the arguments and the origin of the run, a
nested group for each nested dict.
"""

from __future__ import annotations

import io
from os import PathLike
from typing import Any, NamedTuple

import h5py
import numpy as np

from .output import write_whole
from .spectrum import Spectrum
from .types import Array

__all__ = ["read_spectrum", "write_spectrum"]

FORMAT = "lyapy spectrum"
FORMAT_VERSION = 1
COMPRESSED_BYTES = 16 * 1024


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
}
DERIVED = {
    "exponents": Field(("k",), "nats per step", "mean over trajectories, descending; -inf is dead"),
    "standard_error": Field(("k",), "nats per step", "standard error of exponents"),
    "degrees_of_freedom": Field(("k",), "1", "of Student's t, for confidence intervals"),
    "per_trajectory": Field(("B", "k"), "nats per step", "exponents of each trajectory"),
    "resolved": Field(("k",), "1", "false where the exponent is an upper bound only"),
}
MEASURES = ("largest", "mean", "kaplan_yorke_dimension", "entropy_rate", "sum_rule_residual")
MEASURES_TEXT = (
    "in {units}, but for kaplan_yorke_dimension, a number, and sum_rule_residual, in nats per "
    "step; NaN where the exponents do not reach it or the rule does not apply; *_error is the "
    "standard error; status and advice are those of the run"
)


def write_spectrum(
    spectrum: Spectrum, path: str | PathLike[str], *, overwrite: bool = False
) -> None:
    """Write a spectrum to an HDF5 file, put in place whole or not at all.

    Parameters
    ----------
    spectrum : Spectrum
    path : str or path
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    FileExistsError
        If the file exists and ``overwrite`` is False.
    OSError
        If the file cannot be written.
    """
    # HDF5 itself crashes on a full disk; Python raises
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
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
        _write_settings(file.create_group("settings"), spectrum.settings)
    write_whole(path, memory.getbuffer(), overwrite=overwrite)


def read_spectrum(path: str | PathLike[str]) -> Spectrum:
    """Read a spectrum that `write_spectrum` wrote.

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
                _check_format(file)
                arrays = {name: _read_array(file, name) for name in STORED}
                _check_axes(arrays)
                return Spectrum(
                    **arrays,
                    state_size=int(file.attrs["state_size"]),
                    transient=int(file.attrs["transient"]),
                    settings=_read_settings(file["settings"]),
                )
        except _RefusedError as error:
            raise ValueError(f"{path}: {error}") from None
        except (OSError, RuntimeError, KeyError, TypeError) as error:
            what = "is not an HDF5 file" if not _is_hdf5(raw) else f"is damaged ({error})"
            raise ValueError(f"{path}: {what}; give a run file that lyapy wrote") from error


class _RefusedError(Exception):
    """What was found in place of a spectrum, and the remedy."""


def _is_hdf5(raw: io.BufferedReader) -> bool:
    raw.seek(0)
    return raw.read(8) == b"\x89HDF\r\n\x1a\n"


def _check_format(file: h5py.File) -> None:
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


def _read_array(file: h5py.File, name: str) -> Array:
    if not isinstance(file.get(name), h5py.Dataset):
        raise _RefusedError(f"is damaged: the dataset {name} is missing; compute it anew")
    return file[name][()]


def _write_settings(group: h5py.Group, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if isinstance(value, dict):
            _write_settings(group.create_group(name), value)
        else:
            group.attrs[name] = _encode(value)


def _encode(value: Any) -> Any:
    if value is None:
        return h5py.Empty("f8")
    if isinstance(value, str):
        return _legible(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value):
        return np.array([_legible(entry) for entry in value], dtype=h5py.string_dtype())
    return value


def _legible(text: str) -> str:
    # file names in a command need not be UTF-8, HDF5's text must
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _read_settings(group: h5py.Group) -> dict[str, Any]:
    settings = {name: _decode(value) for name, value in group.attrs.items()}
    return settings | {name: _read_settings(nested) for name, nested in group.items()}


def _decode(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
