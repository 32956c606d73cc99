"""The folder of an unfinished run: write-once segments, and a state that is replaced.

``RUN.checkpoints/`` holds ``segment-N.h5``, the rows of the history and the records that became
complete between checkpoints N - 1 and N; ``state-N.h5``, everything else that the run needs to
continue, with the digests of all segments so far; and ``lock``. Every file is sealed, and put in
place whole. The last two states are kept: if the newest is damaged, the one before it is used.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from ...arrays import Array
from ...storage.hdf5 import Group
from ...storage.sealed import DamagedError, check_seal, open_sealed, write_sealed
from ...storage.trees import read_tree, write_tree
from ..result import Layout

FORMAT = "lyapy checkpoint"
FORMAT_VERSION = 6
STATES_KEPT = 2
NAME = re.compile(r"(state|segment)-(\d{6,})\.h5")


class Segment(NamedTuple):
    """Rows of one trajectory in a segment: of the history, and of each record by name."""

    first: int
    history: Array
    records: dict[str, tuple[int, Array]]


class Checkpoint(NamedTuple):
    """A checkpoint."""

    number: int
    date: str
    # of the run, with the seconds spent on it
    settings: dict[str, Any]
    layout: Layout
    # number to the dict that Trajectory.save returned
    trajectories: dict[int, dict[str, Any]]
    # file name to digest, in order
    segments: dict[str, str]


def checkpoint_folder(path: str | PathLike[str]) -> Path:
    """Return the folder of the unfinished run whose result goes to ``path``."""
    return Path(f"{Path(path)}.checkpoints")


def write_checkpoint(folder: Path, saved: Checkpoint, rows: dict[int, Segment]) -> Checkpoint:
    """Write a checkpoint: first the segment, if there are new rows, then the state.

    Returns it with the digest of the segment. After an OSError the checkpoint before is whole.
    """
    filled = {b: s for b, s in rows.items() if len(s.history) or s.records}
    if filled:
        name = f"segment-{saved.number:06}.h5"
        digest = write_sealed(folder / name, lambda f, _: _fill_segment(f, filled), overwrite=True)
        saved = saved._replace(segments={**saved.segments, name: digest})
    state = _state(folder, saved.number)
    write_sealed(state, lambda file, _: _fill_state(file, saved), overwrite=True)
    for number in _states(folder)[STATES_KEPT:]:
        _state(folder, number).unlink(missing_ok=True)
    return saved


def _fill_segment(file: h5py.File, rows: dict[int, Segment]) -> None:
    file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION)
    for b, (first, history, records) in rows.items():
        group = file.create_group(str(b))
        group.create_dataset("history", data=history).attrs["first_row"] = first
        for name, (row, array) in records.items():
            group.create_dataset(f"records/{name}", data=array).attrs["first_row"] = row


def _fill_state(file: h5py.File, saved: Checkpoint) -> None:
    file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION)
    file.attrs.update(number=saved.number, date=saved.date)
    write_tree(file.create_group("settings"), saved.settings)
    write_tree(file.create_group("layout"), saved.layout._asdict())
    # datasets, as an HDF5 header has no room for thousands of attributes
    text = h5py.string_dtype()
    file.create_dataset("segments/names", data=np.array(list(saved.segments), dtype=text))
    file.create_dataset("segments/sha256", data=np.array(list(saved.segments.values()), dtype=text))
    trajectories = {str(b): state for b, state in saved.trajectories.items()}
    write_tree(file.create_group("trajectories"), trajectories)


def _read_state(path: Path) -> Checkpoint:
    """Return the checkpoint of a state; raise ValueError if it is damaged or of another format."""
    with open_sealed(path) as file:
        found, version = (file.attrs.get(name) for name in ("format", "format_version"))
        if found != FORMAT or version != FORMAT_VERSION:
            raise ValueError(
                f"{path}: has format {found!r}, version {version}; this lyapy continues "
                f"{FORMAT!r}, version {FORMAT_VERSION}: finish the run with the lyapy that began "
                "it, or start again with overwrite=True (--overwrite)"
            )
        try:
            names, digests = (file[f"segments/{n}"].read() for n in ("names", "sha256"))
            return Checkpoint(
                number=int(file.attrs["number"]),
                date=str(file.attrs["date"]),
                settings=read_tree(file["settings"]),
                layout=Layout(**read_tree(file["layout"])),
                trajectories={int(b): t for b, t in read_tree(file["trajectories"]).items()},
                segments=dict(zip(names.tolist(), digests.tolist(), strict=True)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DamagedError(f"{path}: is damaged ({error})") from None


def read_checkpoint(folder: Path) -> tuple[Checkpoint | None, dict[int, Array], list[str]]:
    """Return the newest checkpoint that is whole, its history, and the damage found.

    Raises DamagedError if there are states, and none can be used.
    """
    damaged: list[str] = []
    for number in _states(folder):
        try:
            saved = _read_state(_state(folder, number))
            return saved, read_history(folder, saved), damaged
        except FileNotFoundError as error:
            damaged.append(f"{error.filename}: is missing")
        except DamagedError as error:
            damaged.append(str(error))
    if damaged:
        raise DamagedError(
            f"{'; '.join(damaged)}; no checkpoint is whole: start again with overwrite=True "
            "(--overwrite)"
        )
    return None, {}, damaged


def newest_state(folder: Path) -> Checkpoint | None:
    """Return the newest state that is whole, its segments unread; None if there is none."""
    for number in _states(folder):
        with suppress(OSError, DamagedError):
            return _read_state(_state(folder, number))
    return None


def open_segments(folder: Path, saved: Checkpoint) -> Iterator[Group]:
    """Yield each segment of a checkpoint, open for reading, or raise DamagedError."""
    for name, digest in saved.segments.items():
        if not NAME.fullmatch(name) or check_seal(folder / name) != digest:
            raise DamagedError(f"{folder / name}: is not the segment that the state names")
        with open_sealed(folder / name, check=False) as segment:
            yield segment


def read_history(folder: Path, saved: Checkpoint) -> dict[int, Array]:
    """Return the complete rows of the history (rows, K) of each trajectory."""
    rows: dict[int, list[Array]] = {}
    for segment in open_segments(folder, saved):
        for b, group in segment.items():
            rows.setdefault(int(b), []).append(group["history"].read())
    return {b: np.concatenate(found) for b, found in rows.items()}


def verify(folder: Path) -> dict[str, str]:
    """Return the damage to each state and segment by name, empty if it is whole."""
    found = {}
    for path in sorted(p for p in folder.iterdir() if NAME.fullmatch(p.name)):
        found[path.name] = ""
        try:
            check_seal(path)
        except (OSError, DamagedError) as error:
            found[path.name] = str(error)
    saved = newest_state(folder)
    missing = saved.segments.keys() - found.keys() if saved else ()
    return found | {name: f"{folder / name}: is missing" for name in missing}


def remove(folder: Path, keep: Checkpoint | None = None) -> None:
    """Remove the files in ``folder``, except those that ``keep`` needs."""
    needed = set()
    if keep is not None:
        states = (_state(folder, keep.number - i).name for i in range(STATES_KEPT))
        needed = {*keep.segments, *states}
    for path in folder.iterdir() if folder.exists() else ():
        ours = NAME.fullmatch(path.name) or path.name.startswith(".lyapy-")
        if ours and path.name not in needed:
            path.unlink()


def _state(folder: Path, number: int) -> Path:
    return folder / f"state-{number:06}.h5"


def _states(folder: Path) -> list[int]:
    """Return the numbers of the states in a folder, the newest first."""
    names = (path.name for path in folder.iterdir()) if folder.exists() else ()
    found = (NAME.fullmatch(name) for name in names)
    return sorted((int(m[2]) for m in found if m and m[1] == "state"), reverse=True)
