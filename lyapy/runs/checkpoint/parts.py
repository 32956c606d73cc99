"""The folder of an unfinished run: write-once segments, and a state that is replaced.

``RUN.parts/`` holds ``segment-N.h5``, the rows of the history and the records that were complete
at checkpoint N and not before; ``state-N.h5``, all else that is needed to go on, and the digests
of all segments up to it; and ``lock``. Every file is sealed, and put in place whole. The last two
states are kept: where the newest is damaged, the one before it is used.
"""

from __future__ import annotations

import contextlib
import re
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from ...arrays import Array
from ...storage.sealed import DamagedError, check_seal, read_sealed, write_sealed
from ...storage.trees import read_tree, write_tree
from ..result import Layout

__all__ = [
    "Saved",
    "Segment",
    "check_segments",
    "newest_state",
    "parts_folder",
    "read_history",
    "read_saved",
    "remove",
    "verify_parts",
    "write_parts",
]

FORMAT = "lyapy checkpoint"
FORMAT_VERSION = 2
STATES_KEPT = 2
NAME = re.compile(r"(state|segment)-(\d{6,})\.h5")


class Segment(NamedTuple):
    """Rows of one trajectory that go into a segment.

    Attributes
    ----------
    first : int
        Row of the history with which it begins.
    history : array (rows, K)
    records : dict
        Name to (first row, array (rows, ...)).
    """

    first: int
    history: Array
    records: dict[str, tuple[int, Array]]


class Saved(NamedTuple):
    """A checkpoint.

    Attributes
    ----------
    number : int
    date : str
    settings : dict
        Of the run; with ``seconds`` that were spent on it.
    layout : Layout
    trajectories : dict
        Number to what `Trajectory.save` returned.
    segments : dict
        File name to digest, in their order.
    """

    number: int
    date: str
    settings: dict[str, Any]
    layout: Layout
    trajectories: dict[int, dict[str, Any]]
    segments: dict[str, str]


def parts_folder(path: str | PathLike[str]) -> Path:
    """Return the folder of the unfinished run whose result goes to ``path``."""
    path = Path(path)
    return path.with_name(f"{path.name}.parts")


def write_parts(folder: Path, saved: Saved, segment: dict[int, Segment]) -> Saved:
    """Write a checkpoint: first the segment, if there are new rows, then the state.

    Returns
    -------
    Saved
        With the digest of the new segment.

    Raises
    ------
    OSError
        If a file cannot be written; the checkpoint before is whole.
    """
    filled = {b: s for b, s in segment.items() if len(s.history) or s.records}
    if filled:
        name = f"segment-{saved.number:06}.h5"
        digest = write_sealed(folder / name, lambda f, _: _fill_segment(f, filled), overwrite=True)
        saved = saved._replace(segments={**saved.segments, name: digest})
    state = folder / f"state-{saved.number:06}.h5"
    write_sealed(state, lambda file, _: _fill_state(file, saved), overwrite=True)
    for number in sorted(_numbers(folder, "state"))[:-STATES_KEPT]:
        (folder / f"state-{number:06}.h5").unlink(missing_ok=True)
    return saved


def _fill_segment(file: h5py.File, segment: dict[int, Segment]) -> None:
    file.attrs.update(format=FORMAT, format_version=FORMAT_VERSION)
    for b, (first, history, records) in segment.items():
        group = file.create_group(str(b))
        group.create_dataset("history", data=history).attrs["first_row"] = first
        for name, (row, array) in records.items():
            group.create_dataset(f"records/{name}", data=array).attrs["first_row"] = row


def _fill_state(file: h5py.File, saved: Saved) -> None:
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


def read_state(path: Path) -> Saved:
    """Read a state.

    Raises
    ------
    DamagedError
        If it is not what was written.
    ValueError
        If another version of lyapy wrote it in another format.
    """
    content, _ = read_sealed(path)
    with h5py.File(content, "r") as file:
        version = int(file.attrs.get("format_version", 0))
        if file.attrs.get("format") != FORMAT or version != FORMAT_VERSION:
            raise ValueError(
                f"{path}: has format {file.attrs.get('format')!r}, version {version}; this lyapy "
                f"continues {FORMAT!r}, version {FORMAT_VERSION}: finish the run with the lyapy "
                "that began it, or begin anew with overwrite=True (--overwrite)"
            )
        names, digests = (file[f"segments/{n}"].asstr()[()] for n in ("names", "sha256"))
        return Saved(
            number=int(file.attrs["number"]),
            date=str(file.attrs["date"]),
            settings=read_tree(file["settings"]),
            layout=Layout(**read_tree(file["layout"])),
            trajectories={int(b): t for b, t in read_tree(file["trajectories"]).items()},
            segments=dict(zip(names.tolist(), digests.tolist(), strict=True)),
        )


def read_saved(folder: Path) -> tuple[Saved | None, list[str]]:
    """Return the newest checkpoint that is whole, and what was found to be damaged.

    Raises
    ------
    DamagedError
        If there are states, and none can be used.
    """
    damaged: list[str] = []
    for number in sorted(_numbers(folder, "state"), reverse=True):
        try:
            saved = read_state(folder / f"state-{number:06}.h5")
            check_segments(folder, saved)
        except FileNotFoundError as error:
            damaged.append(f"{error.filename}: is missing")
        except DamagedError as error:
            damaged.append(str(error))
        else:
            return saved, damaged
    if damaged:
        raise DamagedError(
            f"{'; '.join(damaged)}; no checkpoint is whole: begin anew with overwrite=True "
            "(--overwrite)"
        )
    return None, damaged


def newest_state(folder: Path) -> Saved | None:
    """Return the newest state that is whole, its segments unread; None if there is none."""
    for number in sorted(_numbers(folder, "state"), reverse=True):
        with contextlib.suppress(OSError, DamagedError):
            return read_state(folder / f"state-{number:06}.h5")
    return None


def verify_parts(folder: Path) -> dict[str, str]:
    """Return for each state and segment, by name, what is wrong with it; nothing if it is whole."""
    found = {}
    for path in sorted(p for p in folder.iterdir() if NAME.fullmatch(p.name)):
        found[path.name] = ""
        try:
            check_seal(path)
        except (OSError, DamagedError) as error:
            found[path.name] = str(error)
    saved = newest_state(folder)
    if saved is not None:
        missing = saved.segments.keys() - found.keys()
        found |= {name: f"{folder / name}: is missing" for name in missing}
    return found


def check_segments(folder: Path, saved: Saved) -> None:
    """Raise `DamagedError` unless all segments of a checkpoint are those that were written."""
    for name, digest in saved.segments.items():
        if check_seal(folder / name) != digest:
            raise DamagedError(f"{folder / name}: is not the segment that the state names")


def read_history(folder: Path, saved: Saved) -> dict[int, Array]:
    """Return the complete rows of the history (rows, K) of each trajectory."""
    pieces: dict[int, list[Array]] = {}
    for name in saved.segments:
        with open(folder / name, "rb") as raw, h5py.File(raw, "r") as file:
            for b, group in file.items():
                pieces.setdefault(int(b), []).append(group["history"][()])
    return {b: np.concatenate(found) for b, found in pieces.items()}


def remove(folder: Path, keep: Saved | None = None) -> None:
    """Remove the parts in ``folder``, but for those that ``keep`` needs."""
    needed = set()
    if keep is not None:
        needed = {*keep.segments, *(f"state-{keep.number - i:06}.h5" for i in range(STATES_KEPT))}
    for path in folder.iterdir() if folder.exists() else ():
        ours = NAME.fullmatch(path.name) or path.name.startswith(".lyapy-")
        if ours and path.name not in needed:
            path.unlink()


def _numbers(folder: Path, kind: str) -> list[int]:
    if not folder.exists():
        return []
    found = (NAME.fullmatch(path.name) for path in folder.iterdir())
    return [int(match[2]) for match in found if match and match[1] == kind]
