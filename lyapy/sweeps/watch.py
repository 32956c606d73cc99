"""The sweep of a training that is still running: each new weights file as it appears."""

import glob
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..arrays import check_positive
from .merged_file import is_merged
from .names import Chosen, as_shard, matching, without_suffix
from .result import Sweep
from .sweep import sweep
from .task import Outcome

WRITTEN_AGAIN = (
    "was written again; the result is that of its first contents: give each epoch another name"
)
WEIGHTS = (".eqx", ".h5", ".keras", ".msgpack", ".npz", ".onnx", ".pt", ".pth", ".safetensors")


def watch(
    networks: str | PathLike[str] | Sequence[str | PathLike[str]], inputs: Any = None, *,
    every: float = 10.0, idle: float | None = None,
    report: Callable[[Outcome], None] | None = None, **options: Any,
) -> Iterator[Sweep]:  # fmt: skip
    """Compute the spectrum of each new weights file as it appears, and yield the sweep so far.

    A file is taken when it has not changed between two looks, and computed once: the result stays
    when the file is deleted, or written again. Each needs a separate name, as ``epoch3.pt``; one
    that is written again, as ``last.pt``, is reported as failed.

    Parameters
    ----------
    networks : str, path, or sequence of them
        Folders, which are searched for weights files, or patterns. Networks are named by their
        paths below the folder, or below the path before the first wildcard.
    every, idle : float
        Seconds between two looks, and without a new file after which to end (None: never).
    report : callable, optional
        Called with the `Outcome` of each new network.
    inputs, **options
        As for `sweep`, whose errors it raises.
    """
    given = [networks] if isinstance(networks, (str, PathLike)) else list(networks)
    sources = [os.path.abspath(fspath(source)) for source in given]
    if isinstance(inputs, Mapping):
        finding = "inputs is a mapping, but the names of networks are not known yet"
        raise TypeError(f"{finding}; give a path with fields, or a function")
    check_positive("every", every, "a positive number of seconds")
    base = os.path.commonpath([_fixed_folder(source) for source in sources])
    seen: dict[str, tuple[int, int]] = {}
    taken = _weights_in(options.get("checkpoint", "sweep.h5"))
    computed: dict[str, tuple[int, int]] = {}
    shard = options.pop("shard", None)
    latest = time.monotonic()
    while idle is None or time.monotonic() - latest < idle:
        found = {path: state for s in sources for path, state in _look(s, options)}
        settled = {
            without_suffix(Path(path).relative_to(base)): path
            for path, state in found.items()
            if seen.get(path) == state
        }
        new = frozenset(settled.keys() - computed.keys())
        if report is not None:
            for name in sorted(settled.keys() & computed.keys()):
                if computed[name] != found[settled[name]]:
                    report(Outcome(name, "failed", f"{settled[name]}: {WRITTEN_AGAIN}"))
        computed |= {name: found[path] for name, path in settled.items()}
        if new:
            taken |= settled
            chosen = Chosen(new, as_shard(shard))
            yield sweep(taken, inputs, **options, shard=chosen, report=report)
            latest = time.monotonic()
        elif found != seen:
            latest = time.monotonic()
        seen = found
        time.sleep(every)


def _weights_in(merged: str | PathLike[str]) -> dict[str, str]:
    """Return the weights files of the results in a merged file, which may be deleted by now."""
    rows = Sweep.load(merged).rows if is_merged(merged) else []
    return {
        row.name: str(row.columns["weights"]).removesuffix(", closed loop")
        for row in rows
        if row.has_result
    }


def _fixed_folder(source: str) -> str:
    """Return the folder of a source, or the one that holds all its matches."""
    if os.path.isdir(source):
        return source
    if not glob.has_magic(source):
        return os.path.dirname(source)
    return str(Path(*takewhile(lambda part: not glob.has_magic(part), Path(source).parts)))


def _look(source: str, options: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the weights files, each with a state that changes when it is written."""
    results = os.path.realpath(options.get("checkpoint", "sweep.h5"))
    folder = os.path.isdir(source)
    pattern = os.path.join(glob.escape(source), "**", "*") if folder else source
    for path in sorted(matching(pattern)):
        suits = not folder or Path(path).suffix.lower() in WEIGHTS
        # the results may lie next to the weights
        if suits and os.path.isfile(path) and not os.path.realpath(path).startswith(results):
            found = os.stat(path)
            yield path, (found.st_mtime_ns, found.st_size)
