"""How far an unfinished run is, running or not, and what it has found so far."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...arrays import Array
from ...spectra.spectrum import Spectrum
from ...storage import lock
from ...tangent.state import Carry
from ..block import BlockResult
from ..result import collect
from ..trajectory import TrajectoryResult
from .parts import Saved, check_segments, newest_state, parts_folder, read_history

__all__ = ["Unfinished", "read_unfinished"]


class Unfinished(NamedTuple):
    """An unfinished run at its last checkpoint.

    Attributes
    ----------
    steps, total : int
        Done and wanted, of all trajectories.
    date : str
        Of the checkpoint; empty before the first one.
    holder : str or None
        Host and process that compute it now.
    spectrum : Spectrum or None
        Over the counted steps that all trajectories begun have done; its status is
        "interrupted". None before there are such steps.
    """

    steps: int
    total: int
    date: str
    holder: str | None
    spectrum: Spectrum | None


def read_unfinished(path: str | PathLike[str]) -> Unfinished | None:
    """Return how far the run is whose result is to go to ``path``; None if there is none.

    Any process may ask, at any time.

    Raises
    ------
    DamagedError
        If a segment is not what was written.
    """
    folder = parts_folder(path)
    if not folder.is_dir():
        return None
    try:
        return _read(folder)
    except FileNotFoundError:
        # it has ended meanwhile
        if not os.path.exists(path):
            raise
        return None


def _read(folder: Path) -> Unfinished:
    holder, saved = lock.holder(folder), newest_state(folder)
    if saved is None:
        return Unfinished(0, 0, "", holder, None)
    layout = saved.layout
    steps = sum(int(found["position"]) for found in saved.trajectories.values())
    total = layout.trajectories * (layout.transient + int(layout.row_ends[-1]))
    return Unfinished(steps, total, saved.date, holder, _so_far(folder, saved))


def _so_far(folder: Path, saved: Saved) -> Spectrum | None:
    check_segments(folder, saved)
    history = read_history(folder, saved)
    rows = min((len(found) for found in history.values() if len(found)), default=0)
    if not rows:
        return None
    begun = [b for b in sorted(history) if len(history[b])]
    results = [_result(saved, b, history[b][:rows]) for b in begun]
    layout = saved.layout._replace(row_ends=saved.layout.row_ends[:rows])
    return collect(results, layout, saved.settings | {"interrupted": True})


def _result(saved: Saved, b: int, history: Array) -> TrajectoryResult:
    found = saved.trajectories[b]
    parts = [found["blocks"][str(i)] for i in range(len(saved.layout.starts))]
    widths = np.cumsum([len(part["carry"]["frame"]) for part in parts])[:-1]
    results = []
    for part, growth in zip(parts, np.split(history, widths, axis=1), strict=True):
        carry = Carry.from_dict(part["carry"])
        results.append(BlockResult(growth, carry, part["determinants"]))
    return TrajectoryResult(found["state"], results)
