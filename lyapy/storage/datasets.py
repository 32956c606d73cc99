"""HDF5 datasets with named axes, units and a description."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from ..arrays import Array

COMPRESSED_BYTES = 16 * 1024
# netCDF's mark of an axis that has a name and no coordinates
DIMENSION = "This is a netCDF dimension but not a netCDF variable."


def write_dataset(
    group: h5py.Group, name: str, values: Array, axes: Sequence[str], units: str,
    description: str, *, scales: h5py.Group | None = None,
) -> None:  # fmt: skip
    """Write an array or number with its description and named axes, HDF5 dimension scales.

    The scales are in the group ``scales``, by default ``group``.
    """
    values = np.asarray(values)
    is_text = values.dtype.kind in "OU"
    if is_text:
        values = values.astype(h5py.string_dtype())
    options: dict[str, Any] = {}
    if values.size and values.ndim and not is_text:
        # without a checksum, HDF5 does not detect flipped bits; text of any length cannot have one
        options["fletcher32"] = True
        if values.nbytes > COMPRESSED_BYTES:
            options |= {"compression": "gzip", "shuffle": True}
    dataset = group.create_dataset(name, data=values, **options)
    dataset.attrs.update(units=units, description=description)
    name_axes(dataset, axes, group if scales is None else scales)


def name_axes(dataset: h5py.Dataset, axes: Sequence[str], scales: h5py.Group) -> None:
    """Attach the axes' dimension scales, which are made in a group where they are missing."""
    for number, (axis, size) in enumerate(zip(axes, dataset.shape, strict=True)):
        if axis not in scales:
            # the values are never written, and take no space
            scale = scales.create_dataset(axis, shape=(size,), dtype=">f4")
            scale.make_scale(f"{DIMENSION}{size:10d}")
        dataset.dims[number].attach_scale(scales[axis])
