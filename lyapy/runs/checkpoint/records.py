"""The records of a run, copied from the segments into the run file."""

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import h5py

from ...arrays import Array
from ...storage.sealed import DamagedError
from ..result import Layout
from .folder import Checkpoint, open_segments

CHUNK_BYTES = 1 << 20


class Records(NamedTuple):
    """The records of a finished run, still in its segments; ``stop`` interrupts `write`."""

    folder: Path
    saved: Checkpoint
    layout: Layout
    stop: threading.Event

    def write(self, group: h5py.Group, check: Callable[[], None]) -> None:
        """Write the records into a group, some rows at a time, with ``check()`` between them."""
        B, rows = self.layout.trajectories, len(self.layout.record_steps)
        group.create_dataset("step", data=self.layout.record_steps, fletcher32=True)
        written = dict.fromkeys(self.layout.record_shapes, 0)
        for name, shape in self.layout.record_shapes.items():
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
            check()
            if self.stop.is_set():
                raise KeyboardInterrupt
        short = [name for name, count in written.items() if count != B * rows]
        if short:
            raise DamagedError(f"{self.folder}: rows of {', '.join(short)} are missing")

    def _pieces(self) -> Iterator[tuple[int, str, int, Array]]:
        """Yield trajectory, name, first row and rows of all records in the segments."""
        for segment in open_segments(self.folder, self.saved):
            for b in segment:
                for name in self.layout.record_shapes:
                    found = segment.get(f"{b}/records/{name}")
                    if found is not None:
                        yield int(b), name, int(found.attrs["first_row"]), found.read()
