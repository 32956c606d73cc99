"""The records of a run, from the segments into the run file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from ..network import Part
from ..recording import Recording
from ..sealed import DamagedError, check_seal
from ..types import Array
from .parts import Saved

__all__ = ["Layout", "Records", "layout_of", "records_of"]

CHUNK_BYTES = 1 << 20


class Layout(NamedTuple):
    """Shapes of the records.

    Attributes
    ----------
    trajectories : int
        B.
    steps : array (rows,)
        Counted steps at which the rows end.
    shapes : dict
        Name to the shape of one row.
    """

    trajectories: int
    steps: Array
    shapes: dict[str, tuple[int, ...]]

    @property
    def nbytes(self) -> int:
        """Bytes of all records, as segments and once more in the run file."""
        per_row = sum(math.prod(shape) for shape in self.shapes.values())
        return 2 * 8 * per_row * len(self.steps) * self.trajectories


class Records(NamedTuple):
    """The records of a finished run, still in its segments."""

    folder: Path
    saved: Saved
    layout: Layout

    def write(self, group: h5py.Group) -> None:
        """Write the records into a group, some rows at a time.

        Raises
        ------
        DamagedError
            If a segment is not what was written, or rows are missing.
        """
        B, rows = self.layout.trajectories, len(self.layout.steps)
        group.create_dataset("step", data=self.layout.steps, fletcher32=True)
        written = dict.fromkeys(self.layout.shapes, 0)
        for name, shape in self.layout.shapes.items():
            along = max(1, min(rows, CHUNK_BYTES // (8 * max(math.prod(shape), 1))))
            group.create_dataset(
                name,
                (B, rows, *shape),
                "f8",
                chunks=(1, along, *shape),
                compression="gzip",
                shuffle=True,
                fletcher32=True,
            )
        for b, name, first, array in self._pieces():
            group[name][b, first : first + len(array)] = array
            written[name] += len(array)
        short = [name for name, count in written.items() if count != B * rows]
        if short:
            raise DamagedError(f"{self.folder}: rows of {', '.join(short)} are missing")

    def _pieces(self) -> Iterator[tuple[int, str, int, Array]]:
        """Yield trajectory, name, first row and rows of all records in the segments."""
        for segment, digest in self.saved.segments.items():
            path = self.folder / segment
            if check_seal(path) != digest:
                raise DamagedError(f"{path}: is not the segment that the state names")
            with open(path, "rb") as raw, h5py.File(raw, "r") as file:
                for b in file:
                    for name in self.layout.shapes:
                        found = file.get(f"{b}/records/{name}")
                        if found is not None:
                            yield int(b), name, int(found.attrs["first_row"]), np.asarray(found)


def layout_of(
    recording: Recording, trajectories: int, steps: int, parts: Sequence[Part], k: int
) -> Layout:
    """Return the shapes of what ``recording`` asks for, of frames with up to k rows."""
    sizes = [part.program.state_size for part in parts]
    vectors = [min(k, D) for D in sizes]
    shapes: dict[str, tuple[int, ...]] = {}
    if "growth" in recording.kinds:
        shapes["growth"] = (sum(vectors),)
    if "states" in recording.kinds:
        shapes["states"] = (sum(sizes),)
    for i, (rows, D) in enumerate(zip(vectors, sizes, strict=True)):
        if "frames" in recording.kinds:
            shapes[f"frames/{i}"] = (rows, D)
        if "factors" in recording.kinds:
            shapes[f"factors/{i}"] = (rows, rows)
    return Layout(trajectories, recording.row_ends(steps), shapes)


def records_of(folder: Path, saved: Saved, layout: Layout) -> Records | None:
    """Return the records of a finished run, None where there are none."""
    return Records(folder, saved, layout) if layout.shapes else None
