"""Files of covariant vectors: sealed HDF5, each array with its axes, units and description."""

from os import PathLike
from typing import Any

import h5py

from ..spectra.file import check_suffix, format_of
from ..spectra.quantities import Quantity
from ..storage.datasets import write_dataset
from ..storage.sealed import DamagedError, open_sealed, write_sealed
from ..storage.trees import read_tree, write_tree

FORMAT = "lyapy covariant vectors"
FORMAT_VERSION = 2


def write_vectors(
    values: dict[str, Any], described: dict[str, Quantity], settings: dict[str, Any],
    path: str | PathLike[str], *, overwrite: bool,
) -> None:  # fmt: skip
    """Write the arrays as they are described, and the settings."""
    check_suffix(path)

    def fill(file: h5py.File, check: Any) -> None:
        file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION)
        for name, array in values.items():
            axes, units, text = described[name][:3]
            write_dataset(file, name, array, axes, units, text)
        write_tree(file.create_group("settings"), settings)

    write_sealed(path, fill, overwrite=overwrite)


def read_vectors(path: str | PathLike[str], described: dict[str, Quantity]) -> dict[str, Any]:
    """Return the arrays and the settings; raise ValueError if it is another file."""
    with open_sealed(path) as file:
        if file.attrs.get("format") != FORMAT:
            remedy = "give a file of lyapy vectors or CovariantVectors.save"
            raise ValueError(f"{path}: has no covariant vectors; {remedy}")
        if file.attrs.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"{path}: has format version {file.attrs.get('format_version')}, this lyapy reads "
                f"{FORMAT_VERSION}; compute it again"
            )
        try:
            found = {name: file[name].read() for name in described}
            return found | {"settings": read_tree(file["settings"])}
        except (KeyError, AttributeError) as error:
            raise DamagedError(f"{path}: is damaged ({error}); compute it again") from None


def is_vectors(path: str | PathLike[str]) -> bool:
    """Return whether a file holds covariant vectors."""
    return bool(format_of(path) == FORMAT)
