"""Checkpoints of covariant vectors: the frames kept, and the results of the way back so far.

``FILE.checkpoints/state.h5`` is replaced whole, with a lock next to it, and goes with the result.
"""

import os
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array, check_positive
from ..errors import Interrupted
from ..runs.checkpoint.identity import differing, is_place
from ..spectra.file import format_of
from ..storage import lock
from ..storage.atomic import check_output
from ..storage.sealed import open_sealed, write_sealed
from ..storage.trees import read_tree, write_tree
from .passes import Position
from .result import CovariantVectors, is_vectors

FORMAT = "lyapy checkpoint of covariant vectors"


class Resume(NamedTuple):
    """All that is needed to go on."""

    # at the beginnings of the pieces that are still to be gone back through
    kept: list[Position]
    # step that the way back has reached; None on the way forward
    left: int | None
    # coefficients (k, 3k) at that step
    before: Array
    # results, written row by row
    found: dict[str, Array]
    # sums of log R_ii (k,) from that step to the end
    total: Array
    # between the spans of two frames after the transient (k,)
    sines: Array


class Resumable:
    """Takes the states that a computation reaches; ``saved`` is the one to go on from."""

    saved: Resume | None = None

    def reached(self, state: Resume) -> None:
        """Take a state."""


class Checkpoints(Resumable):
    """Writes the states to a file, ``every`` so many seconds.

    The settings identify the computation.
    """

    def __init__(self, path: Path, settings: dict[str, Any], every: float) -> None:
        self.path = path
        self.settings = settings
        self.every = every
        self.last: Resume | None = None
        self.due = time.monotonic() + every

    def reached(self, state: Resume) -> None:
        """Take a state, and write it if it is time to."""
        self.last = state
        if time.monotonic() >= self.due:
            self.write()

    def write(self) -> None:
        """Write the last state."""
        if self.last is None:
            return
        kept, left, *rest = self.last
        tree = dict(zip(self.last._fields[2:], rest, strict=True))
        for name in Position._fields if kept else ():
            tree[f"kept_{name}"] = np.stack([np.asarray(getattr(each, name)) for each in kept])
        tree |= {"left": -1 if left is None else left, "settings": self.settings}

        def fill(file: Any, check: Any) -> None:
            file.attrs["format"] = FORMAT
            write_tree(file.create_group("state"), tree)

        write_sealed(self.path, fill, overwrite=True)
        self.last, self.due = None, time.monotonic() + self.every

    def read(self) -> dict[str, Any] | None:
        """Take the state of the file, if there is one, and return its settings."""
        if not self.path.exists():
            return None
        with open_sealed(self.path) as file:
            tree = read_tree(file["state"])
        columns = [tree.get(f"kept_{name}", np.zeros(0)) for name in Position._fields]
        kept = [
            Position(int(step), state.copy(), frame.copy(), float(rate))
            for step, state, frame, rate in zip(*columns, strict=True)
        ]
        left = None if tree["left"] < 0 else int(tree["left"])
        found = {name: np.array(array) for name, array in tree["found"].items()}
        arrays = (np.array(tree[name]) for name in ("before", "total", "sines"))
        before, total, sines = arrays
        self.saved = Resume(kept, left, before, found, total, sines)
        return dict(tree["settings"])


def state_file(path: str | PathLike[str]) -> Path:
    """Return the file of the checkpoint next to the file of a result."""
    return Path(f"{os.path.realpath(path)}.checkpoints") / "state.h5"


def is_state(path: str | PathLike[str]) -> bool:
    """Return whether a file is a checkpoint of covariant vectors."""
    return bool(format_of(path) == FORMAT)


def unfinished_vectors(path: str | PathLike[str]) -> str | None:
    """Return how far the vectors are that are to go to ``path``; None if there are none."""
    state = state_file(path)
    if not state.exists():
        return None
    checkpoints = Checkpoints(state, {}, 1.0)
    checkpoints.read()
    saved, holder = checkpoints.saved, lock.holder(state.parent)
    assert saved is not None
    way = f"back at step {saved.left}"
    if saved.left is None:
        way = f"forward at step {saved.kept[-1].step}"
    by = f"computed by {holder}" if holder else "computed by nobody; run its command again"
    return f"{path}: unfinished covariant vectors, on the way {way}; {by}"


def resumable(
    compute: Callable[[Resumable], CovariantVectors],
    output: str | PathLike[str],
    settings: dict[str, Any],
    every: float,
    *,
    overwrite: bool,
) -> CovariantVectors:
    """Compute into a file, or continue, or read it if it is finished.

    Raises ValueError for another computation's file, LockedError if another process is at work,
    and Interrupted.
    """
    check_positive("checkpoint_every", every, "a positive number of seconds")
    path, shown = Path(os.path.realpath(output)), os.fspath(output)
    check_output(output, overwrite=overwrite or is_vectors(path))
    if path.exists() and not overwrite:
        found = CovariantVectors.load(path)
        _refuse_others(shown, found.settings, settings)
        return found
    state = state_file(path)
    with lock.held(state.parent, shown):
        checkpoints = Checkpoints(state, settings, every)
        known = checkpoints.read()
        if known is not None and not overwrite:
            _refuse_others(shown, known, settings)
        elif known is not None and _different(known, settings):
            checkpoints.saved = None
        try:
            result = compute(checkpoints)
        except KeyboardInterrupt:
            checkpoints.write()
            raise Interrupted(
                f"{shown}: interrupted, and kept up to the last piece; run the same command again "
                "to continue"
            ) from None
        result.save(path, overwrite=True)
        checkpoints.path.unlink(missing_ok=True)
    return result


def _different(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [
        f"{key} is {both}" for key, both in differing(found, wanted).items() if not is_place(key)
    ]


def _refuse_others(shown: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    if different := _different(found, wanted):
        raise ValueError(
            f"{shown}: holds other vectors, {'; '.join(different)}; give another output, or "
            "replace it with overwrite=True (--overwrite)"
        )
