"""The members of a sweep in one file, with what is told of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..errors import LockedError
from ..networks.network import Network
from ..storage import lock
from .gathering import row_of_run
from .merged_file import write_merged
from .names import run_file
from .result import Sweep

__all__ = ["merge_members", "runs_folder"]

SECONDS_BETWEEN_TRIES = 0.2


def runs_folder(checkpoint: str | PathLike[str]) -> Path:
    """Return the folder of the members' run files."""
    target = Path(os.path.realpath(checkpoint))
    return target.with_name(f"{target.name}.runs")


def merge_members(
    checkpoint: str | PathLike[str],
    members: Mapping[str, str | Network],
    metadata: Mapping[str, Mapping[str, Any]],
) -> Sweep:
    """Write the merged file of all members, computed or not, and return what it holds.

    Parameters
    ----------
    checkpoint : str or path
        The merged file, which is replaced.
    members : mapping
        Name to network or weights file.
    metadata : mapping
        Name to columns.
    """
    folder = runs_folder(checkpoint)
    # of several shards, the last to come here must see the runs of all
    with _held_in_turn(folder, fspath(checkpoint)):
        runs = {name: run_file(folder, name) for name in members}
        rows = []
        for name, network in members.items():
            weights = network if isinstance(network, str) else network.origin
            row = row_of_run(name, runs[name], weights)
            rows.append(row._replace(metadata=metadata[name]))
        finished = {row.name: runs[row.name] for row in rows if row.has_result}
        write_merged(rows, finished, checkpoint, overwrite=True)
    return Sweep.load(checkpoint)


@contextmanager
def _held_in_turn(folder: Path, shown: str) -> Iterator[None]:
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock.held(folder, shown))
                break
            except LockedError:
                time.sleep(SECONDS_BETWEEN_TRIES)
        yield
