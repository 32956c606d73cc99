"""How far an unfinished run is, running or not, and its spectrum so far."""

import os
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from ...arrays import Array
from ...spectra.spectrum import Spectrum
from ...storage import lock
from ...tangent.state import Carry
from ..block import BlockResult
from ..result import collect
from ..trajectory import TrajectoryResult, split_history
from .folder import Checkpoint, checkpoint_folder, newest_state, read_history


class Unfinished(NamedTuple):
    """An unfinished run at its last checkpoint."""

    # done and wanted, of all trajectories
    steps: int
    total: int
    # of the checkpoint; empty before the first one
    date: str
    # host and process that compute it now
    holder: str | None
    # over the counted steps that all trajectories begun have done; its status is "interrupted"
    spectrum: Spectrum | None


def read_unfinished(path: str | PathLike[str]) -> Unfinished | None:
    """Return how far the run is whose result is to go to ``path``; None if there is none.

    Any process may call it, at any time. Raises DamagedError if a segment is damaged.
    """
    folder = checkpoint_folder(path)
    if not folder.is_dir():
        return None
    try:
        holder, saved = lock.holder(folder), newest_state(folder)
        if saved is None:
            return Unfinished(0, 0, "", holder, None)
        layout = saved.layout
        # others are segments that are corrected
        first = {b: t for b, t in saved.trajectories.items() if b < layout.trajectories}
        steps = sum(int(found["position"]) for found in first.values())
        total = layout.trajectories * (layout.transient + int(layout.row_ends[-1]))
        return Unfinished(steps, total, saved.date, holder, _so_far(folder, saved))
    except FileNotFoundError:
        # the run has ended since
        if not os.path.exists(path):
            raise
        return None


def _so_far(folder: Path, saved: Checkpoint) -> Spectrum | None:
    known = sorted(read_history(folder, saved).items())
    history = {b: rows for b, rows in known if len(rows) and b < saved.layout.trajectories}
    if not history:
        return None
    rows = min(map(len, history.values()))
    results = [_result(saved, b, found[:rows]) for b, found in history.items()]
    layout = saved.layout._replace(row_ends=saved.layout.row_ends[:rows])
    return collect(results, layout, saved.settings | {"interrupted": True})


def _result(saved: Checkpoint, b: int, history: Array) -> TrajectoryResult:
    found = saved.trajectories[b]
    parts = [found["blocks"][str(i)] for i in range(len(found["blocks"]))]
    pieces = split_history(history, [len(part["carry"]["frame"]) for part in parts])
    results = []
    for part, growth in zip(parts, pieces, strict=True):
        carry = Carry.from_dict(part["carry"])
        results.append(BlockResult(growth, carry, part["determinants"]))
    return TrajectoryResult(found["state"], history[:, -1], results)
