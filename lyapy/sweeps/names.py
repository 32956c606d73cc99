"""Members of a computation over many networks: their names, their files, and shards of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

__all__ = ["Shard", "expand", "failure_file", "named", "parse_shard", "run_file", "shard_of_array"]

T = TypeVar("T")


class Shard(NamedTuple):
    """One part of several in which the members of a computation are divided.

    Attributes
    ----------
    part : int
        From 1 to `parts`.
    parts : int
    """

    part: int
    parts: int

    def select(self, members: Sequence[T]) -> Sequence[T]:
        """Return this part of the members: every `parts`-th one, so that sizes are mixed."""
        return members[self.part - 1 :: self.parts]


def expand(patterns: Iterable[str]) -> list[str]:
    """Return the files that paths and shell patterns name, sorted, each once.

    A path without a wildcard, or of a file that exists, stands for itself, there or not.

    Raises
    ------
    FileNotFoundError
        If nothing matches a pattern.
    """
    found: set[str] = set()
    for pattern in patterns:
        if not glob.has_magic(pattern) or os.path.exists(pattern):
            found.add(os.path.normpath(pattern))
            continue
        matches = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
        if not matches:
            raise FileNotFoundError(f"{pattern}: matches no file; check the pattern")
        found.update(os.path.normpath(path) for path in matches)
    return sorted(found)


def named(paths: Iterable[str]) -> dict[str, str]:
    """Return the paths under the names of members, sorted by name.

    A name is the path below the deepest folder that holds all of them, without its last suffix:
    ``lr1/epoch3`` and ``lr2/epoch3`` for ``runs/lr1/epoch3.pt`` and ``runs/lr2/epoch3.pt``.

    Raises
    ------
    ValueError
        If two would have the same name.
    """
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    common = os.path.commonpath([path.parent for path in absolute.values()]) if absolute else ""
    members: dict[str, str] = {}
    for path, whole in sorted(absolute.items()):
        name = whole.relative_to(common).with_suffix("").as_posix()
        if name in members:
            raise ValueError(
                f"{path}: would be the member {name!r}, as is {members[name]}; rename one of them"
            )
        members[name] = path
    return dict(sorted(members.items()))


def run_file(folder: str | os.PathLike[str], name: str) -> Path:
    """Return the run file of a member in the folder of the results."""
    return Path(folder) / f"{name}.h5"


def failure_file(run: Path) -> Path:
    """Return the text file that tells why there is no run file."""
    return run.with_name(f"{run.name}.failed")


def parse_shard(text: str) -> Shard:
    """Return the shard that ``i/n`` names, i from 1 to n.

    Raises
    ------
    ValueError
        If it names none.
    """
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise ValueError(f"{text!r} is neither auto nor i/n with i from 1 to n")
    return Shard(int(first), int(second))


def shard_of_array(environment: Mapping[str, str]) -> Shard:
    """Return the shard of this task of a Slurm job array; all members outside of one.

    Parameters
    ----------
    environment : mapping
        With ``SLURM_ARRAY_TASK_ID``, ``_MIN``, ``_MAX``, ``_STEP`` and ``_COUNT`` in a task.

    Raises
    ------
    ValueError
        If the tasks are not evenly numbered, so that a task cannot tell which of them it is.
    """
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return Shard(1, 1)
    task, least, most, count = (
        int(environment[f"SLURM_ARRAY_TASK_{name}"]) for name in ("ID", "MIN", "MAX", "COUNT")
    )
    step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
    if (most - least) // step + 1 != count:
        raise ValueError(
            f"the {count} tasks of this job array are numbered unevenly from {least} to {most}; "
            "submit it with --array=1-N, or give --shard i/n instead of --shard auto"
        )
    return Shard((task - least) // step + 1, count)
