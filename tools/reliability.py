"""Where the figures of the reliability commands go."""

import platform
from importlib.metadata import version
from pathlib import Path

import h5py

DOCS = Path(__file__).parents[1] / "docs" / "reliability.md"


def replace_table(name, table):
    """Put a table between its marks in the docs."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = DOCS.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"{DOCS.name}: has no marks {begin} and {end}")
    DOCS.write_text(f"{before}{begin}\n{table}\n{end}{after}")


def versions():
    """Return the versions that a figure holds for."""
    names = ("lyapy", "numpy", "numba", "h5py")
    found = ", ".join(f"{name} {version(name)}" for name in names)
    system = f"{platform.system()} {platform.release()}"
    return (
        f"Python {platform.python_version()}, {found}, HDF5 {h5py.version.hdf5_version}, {system}"
    )
