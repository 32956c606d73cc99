"""The sweep of a training that is still running: each new weights file as it appears."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterator, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from .merged_file import is_merged
from .names import Chosen, as_shard
from .result import Sweep
from .sweep import sweep
from .task import Outcome

__all__ = ["watch"]

WRITTEN_AGAIN = (
    "was written again; the result is that of its first contents: give each epoch another name"
)
WEIGHTS = (".eqx", ".h5", ".keras", ".msgpack", ".npz", ".onnx", ".pt", ".pth", ".safetensors")


def watch(
    networks: str | PathLike[str] | Sequence[str | PathLike[str]],
    inputs: Any = None,
    *,
    every: float = 10.0,
    idle: float | None = None,
    report: Callable[[Outcome], None] | None = None,
    **options: Any,
) -> Iterator[Sweep]:
    """Compute the spectrum of each new weights file as it appears, and yield the sweep so far.

    A file is taken when it has not changed between two looks, and computed once: the result stays
    when the file is deleted, or written again. Each needs a separate name, as ``epoch3.pt``; one
    that is written again, as ``last.pt``, is reported as failed.

    Parameters
    ----------
    networks : str, path, or sequence of them
        Folders, which are searched for weights files, or patterns. Networks are named by their
        paths below the folder, or below the path before the first wildcard.
    inputs : str, path or array, optional
        As for `sweep`.
    every : float
        Seconds between two looks.
    idle : float, optional
        Seconds without a new file after which to end; by default it never does.
    report : callable, optional
        Called with the `Outcome` of each new network.
    **options
        As for `sweep`, whose errors it raises.

    Yields
    ------
    Sweep
        After each look that found new files.
    """
    given = [networks] if isinstance(networks, (str, PathLike)) else list(networks)
    sources = [os.path.abspath(fspath(source)) for source in given]
    if not every > 0.0:
        raise ValueError(f"every is {every!r}; it must be a positive number of seconds")
    base = os.path.commonpath([_fixed_folder(source) for source in sources])
    seen: dict[str, tuple[int, int]] = {}
    taken = _weights_in(options.get("checkpoint", "sweep.h5"))
    computed: dict[str, tuple[int, int]] = {}
    shard = options.pop("shard", None)
    latest = time.monotonic()
    while idle is None or time.monotonic() - latest < idle:
        found = {path: state for s in sources for path, state in _look(s, options)}
        settled = {_name(path, base): path for path in found if seen.get(path) == found[path]}
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
    if os.path.isdir(source) or not glob.has_magic(source):
        return source if os.path.isdir(source) else os.path.dirname(source)
    parts = Path(source).parts
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return str(Path(*parts[:first]))


def _look(source: str, options: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the weights files, each with a state that changes when it is written."""
    results = os.path.realpath(options.get("checkpoint", "sweep.h5"))
    folder = os.path.isdir(source)
    pattern = os.path.join(glob.escape(source), "**", "*") if folder else source
    for path in sorted(glob.glob(pattern, recursive=True)):
        if folder and Path(path).suffix.lower() not in WEIGHTS:
            continue
        # the results may lie next to the weights
        if os.path.realpath(path).startswith(results) or not os.path.isfile(path):
            continue
        found = os.stat(path)
        yield path, (found.st_mtime_ns, found.st_size)


def _name(path: str, base: str) -> str:
    return Path(path).relative_to(base).with_suffix("").as_posix()
