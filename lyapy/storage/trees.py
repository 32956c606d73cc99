"""Nested dicts as HDF5: numbers and text as attributes, arrays as datasets, dicts as groups."""

from typing import Any

import h5py
import numpy as np

from .hdf5 import Group


def write_tree(group: h5py.Group, tree: dict[str, Any]) -> None:
    """Write a nested dict of None, numbers, text, lists of them and arrays to a group."""
    for name, value in tree.items():
        if isinstance(value, dict):
            write_tree(group.create_group(name), value)
        elif isinstance(value, np.ndarray):
            group.create_dataset(name, data=value)
        else:
            group.attrs[name] = _encode(value)


def read_tree(group: Group) -> dict[str, Any]:
    """Return the dict that `write_tree` wrote."""
    tree: dict[str, Any] = {}
    for name, value in sorted(group.attrs.items()):
        tree[name] = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    for name, item in group.items():
        tree[name] = read_tree(item) if isinstance(item, Group) else item.read()[()]
    return tree


def legible(text: str) -> str:
    """Return text as UTF-8 without NUL, as HDF5 requires; file names may hold other bytes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", r"\0")


def _encode(value: Any) -> Any:
    if value is None:
        return h5py.Empty("f8")
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value):
        return np.array([legible(entry) for entry in value], dtype=h5py.string_dtype())
    return value
