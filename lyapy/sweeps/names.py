"""Networks of a sweep: their names, the files of their results, and shards."""

import glob
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from ..networks.network import Network

T = TypeVar("T")
# the end of a number such as 0.5 or 1.5e-3, which is no suffix of a file
DECIMALS = re.compile(r"\.\d+([eE][+-]?\d+)?")


class Shard(NamedTuple):
    """The i-th of n shares of the networks, from 1."""

    i: int
    n: int

    def select(self, networks: Sequence[T]) -> Sequence[T]:
        """Return this share: every n-th network, so that sizes are mixed."""
        return networks[self.i - 1 :: self.n]


class Chosen(NamedTuple):
    """The networks of these names in a share."""

    names: frozenset[str]
    shard: Shard = Shard(1, 1)

    def select(self, networks: Sequence[str]) -> Sequence[str]:
        """Return those of the share that have one of the names."""
        return [name for name in self.shard.select(networks) if name in self.names]


def expand(patterns: Iterable[str]) -> list[str]:
    """Return the files that paths and shell patterns match, sorted, each once.

    A path without a wildcard is kept, whether it exists or not, and so is one that exists. Raises
    FileNotFoundError if nothing matches a pattern.
    """
    found: set[str] = set()
    for pattern in patterns:
        matches = [pattern]
        if glob.has_magic(pattern) and not os.path.exists(pattern):
            matches = [path for path in matching(pattern) if os.path.isfile(path)]
        if not matches:
            raise FileNotFoundError(f"{pattern}: matches no file; check the pattern")
        found.update(map(os.path.normpath, matches))
    return sorted(found)


def matching(pattern: str) -> Iterator[str]:
    """Yield the paths of a shell pattern; ``**`` looks into each folder once, links too."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from glob.glob(pattern)
        return
    place = parts.index("**")
    after = parts[place + 1 :] or ("*",)
    for start in glob.glob(os.path.join(*parts[:place])) if place else ["."]:
        for folder in folders_in(Path(start)):
            below = folder.relative_to(start).parts
            if not any(part.startswith(".") for part in below):
                yield from matching(os.path.join(glob.escape(str(folder)), *after))


def folders_in(root: Path) -> Iterator[Path]:
    """Yield a folder and those in it, each once: links may lead back, or to the same folder."""
    waiting, seen = deque([root]), set()
    while waiting:
        folder = waiting.popleft()
        place = os.path.realpath(folder)
        if place in seen or not folder.is_dir():
            continue
        seen.add(place)
        yield folder
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
        # a folder has its own name, if it has one, and not that of a link
        waiting.extendleft(reversed([path for path in inside if not path.is_symlink()]))
        waiting.extend(path for path in inside if path.is_symlink())


def named(paths: Iterable[str]) -> dict[str, str]:
    """Return the paths by the names of their networks, sorted.

    A name is the path below the deepest folder that holds all of them, without its suffix.
    Raises ValueError if two would have the same name.
    """
    absolute = {path: Path(os.path.abspath(path)) for path in paths}
    common = os.path.commonpath([path.parent for path in absolute.values()]) if absolute else ""
    found: dict[str, str] = {}
    for path, whole in sorted(absolute.items()):
        name = without_suffix(whole.relative_to(common))
        if name in found:
            finding = f"would be the network {name!r}, as is {found[name]}"
            raise ValueError(f"{path}: {finding}; rename one of them")
        found[name] = path
    return dict(sorted(found.items()))


def without_suffix(path: PurePath) -> str:
    """Return a path without its suffix; that of ``gain0.5`` is none."""
    return (path if DECIMALS.fullmatch(path.suffix) else path.with_suffix("")).as_posix()


def named_networks(networks: Any) -> dict[str, str | Network]:
    """Return networks or their weights files by name, sorted; see `lyapy.sweep`."""
    if isinstance(networks, (str, PathLike)):
        networks = [networks]
    if not isinstance(networks, Mapping):
        return dict(named(expand(fspath(path) for path in networks)))
    found: dict[str, str | Network] = {}
    for name in sorted(networks):
        network, place = networks[name], PurePosixPath(name)
        if place.is_absolute() or not place.parts or ".." in place.parts:
            raise ValueError(f"networks: {name!r} cannot name a run file; choose another name")
        if not isinstance(network, (Network, str, PathLike)):
            kind = type(network).__name__
            raise TypeError(f"networks[{name!r}] is a {kind}; give a lyapy.Network or a path")
        found[str(place)] = network if isinstance(network, Network) else fspath(network)
    return found


def run_file(folder: str | PathLike[str], name: str) -> Path:
    """Return the run file of a network in the folder of the results."""
    return Path(folder) / f"{name}.h5"


def failure_file(run: Path) -> Path:
    """Return the text file with the reason why there is no run file."""
    return run.with_name(f"{run.name}.failed")


def parse_shard(text: str) -> Shard:
    """Return the shard ``i/n``, i from 1 to n; raise ValueError if the text is none."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise ValueError(f"{text!r} is neither auto nor i/n with i from 1 to n")
    return Shard(int(first), int(second))


def as_shard(shard: str | tuple[int, int] | None) -> Shard:
    """Return the shard ``"i/n"`` or (i, n); all networks for None."""
    if shard is None:
        return Shard(1, 1)
    return parse_shard(shard if isinstance(shard, str) else f"{shard[0]}/{shard[1]}")


def shard_of_array(environment: Mapping[str, str]) -> Shard:
    """Return the shard of this task of a Slurm job array; all networks outside of one."""
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return Shard(1, 1)
    names = [f"SLURM_ARRAY_TASK_{name}" for name in ("ID", "MIN", "MAX", "COUNT")]
    if lacking := [name for name in names if name not in environment]:
        raise ValueError(f"{names[0]} is set, but not {lacking[0]}; give --shard i/n instead")
    task, least, most, count = (int(environment[name]) for name in names)
    step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
    if (most - least) // step + 1 != count:
        raise ValueError(
            f"the {count} tasks of this job array are numbered unevenly from {least} to {most}; "
            "submit it with --array=1-N, or give --shard i/n instead of --shard auto"
        )
    return Shard((task - least) // step + 1, count)
