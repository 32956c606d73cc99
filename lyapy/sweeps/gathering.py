"""What has become of many members: their run files, and why some have none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

from ..runs.checkpoint.parts import parts_folder
from ..spectra.spectrum import Spectrum
from ..storage import lock
from ..storage.sealed import check_seal
from .columns import Row, row_of, row_without
from .names import failure_file

__all__ = ["base_folder", "find_runs", "row_of_run"]

PARTS, FAILED = (path(Path("run.h5")).suffix for path in (parts_folder, failure_file))


def base_folder(sources: Sequence[str | PathLike[str]]) -> Path:
    """Return the deepest folder that holds all folders and files given."""
    roots = [Path(os.path.realpath(source)) for source in sources]
    return Path(os.path.commonpath([root if root.is_dir() else root.parent for root in roots]))


def find_runs(sources: Sequence[str | PathLike[str]]) -> dict[str, Path]:
    """Return where the run files of members are, or would be, under the members' names.

    Parameters
    ----------
    sources : sequence of path
        Folders, of which all run files are meant, and run files. Names are paths below
        `base_folder`, without ``.h5``.

    Raises
    ------
    FileNotFoundError
        If there is none in a folder, or a file does not exist.
    """
    found: set[Path] = set()
    for source in sources:
        root = Path(os.path.realpath(source))
        inside = set(_runs_in(root)) if root.is_dir() else _traces(root)
        if not inside:
            what = "holds no run file" if root.is_dir() else "does not exist"
            raise FileNotFoundError(f"{source}: {what}; give the folder of lyapy spectrum -o")
        found |= inside
    base = base_folder(sources)
    return {path.relative_to(base).with_suffix("").as_posix(): path for path in sorted(found)}


def row_of_run(name: str, run: str | PathLike[str], weights: str = "") -> Row:
    """Return what is to be told of a member.

    Parameters
    ----------
    name : str
    run : path
        Its run file, there or not.
    weights : str
        Its weights file, to be named where there is no result.
    """
    run = Path(run)
    failure = failure_file(run)
    # a run file beside it is an older one, with other settings perhaps
    if failure.exists():
        told = failure.read_text(encoding="utf-8", errors="replace").strip()
        return row_without(name, "failed", told, weights)
    try:
        digest = check_seal(run)
        return row_of(name, Spectrum.load(run), digest)
    except FileNotFoundError:
        return row_without(name, *_why_not(parts_folder(run)), weights)
    except (ValueError, OSError) as error:
        return row_without(name, "damaged", str(error), weights)


def _why_not(parts: Path) -> tuple[str, str]:
    """Return status and advice where there is no run file."""
    if not parts.exists():
        return "missing", "has left no trace: run its command"
    writer = lock.holder(parts)
    if writer is not None:
        return "unfinished", f"is being computed by {writer}"
    return "unfinished", "run its command again to go on"


def _runs_in(folder: Path) -> Iterator[Path]:
    for path in _walk(folder):
        if path.suffix in (PARTS, FAILED):
            path = path.with_suffix("")
        if path.suffix == ".h5":
            yield path


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and path.suffix != PARTS:
            yield from _walk(path)
        else:
            yield path


def _traces(run: Path) -> set[Path]:
    return (
        {run}
        if any(path.exists() for path in (run, parts_folder(run), failure_file(run)))
        else set()
    )
