"""Run files of many networks into one merged file, with the reasons for missing ones."""

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from ..errors import LockedError
from ..networks.network import Network
from ..runs.checkpoint.folder import checkpoint_folder
from ..spectra.quantities import counted
from ..spectra.spectrum import Spectrum
from ..storage import lock
from ..storage.sealed import check_seal
from .merged_file import is_merged, read_rows, write_merged
from .names import failure_file, folders_in, run_file
from .result import Sweep
from .rows import Row, row_of, row_without

SECONDS_BETWEEN_TRIES = 0.2
NAMES_SHOWN = 3
# of a reason in a file
REASON_LIMIT = 10_000
CHECKPOINTS, FAILED = (path(Path("run.h5")).suffix for path in (checkpoint_folder, failure_file))


def base_folder(sources: Sequence[str | PathLike[str]]) -> Path:
    """Return the deepest folder that holds all folders and files given."""
    roots = [Path(os.path.realpath(source)) for source in sources]
    return Path(os.path.commonpath([root if root.is_dir() else root.parent for root in roots]))


def find_runs(sources: Sequence[str | PathLike[str]]) -> dict[str, Path]:
    """Return run files in folders, and those given, finished or not, by path below `base_folder`.

    Raises FileNotFoundError if there is none in a folder, or a file does not exist.
    """
    found: set[Path] = set()
    for source in sources:
        root = Path(os.path.realpath(source))
        if root.is_dir():
            inside = set(_runs_in(root))
        else:
            traces = (root, checkpoint_folder(root), failure_file(root))
            inside = {root} if any(path.exists() for path in traces) else set()
        if not inside:
            problem = "holds no run file" if root.is_dir() else "does not exist"
            raise FileNotFoundError(f"{source}: {problem}; give the folder of lyapy spectrum -o")
        found |= inside
    base = base_folder(sources)
    return {path.relative_to(base).with_suffix("").as_posix(): path for path in sorted(found)}


def row_of_run(name: str, run: str | PathLike[str], weights: str = "") -> Row:
    """Return the row of a network, with its result or the reason why there is none."""
    run = Path(run)
    failure = failure_file(run)
    # a run file next to it is older, with other settings perhaps
    if failure.is_file():
        with open(failure, encoding="utf-8", errors="replace") as file:
            reason = file.read(REASON_LIMIT).strip()
        return row_without(name, "failed", reason, weights)
    try:
        digest = check_seal(run)
        return row_of(name, Spectrum.load(run), digest)
    except FileNotFoundError:
        return row_without(name, *_why_missing(checkpoint_folder(run)), weights)
    except (ValueError, OSError) as error:
        return row_without(name, "damaged", str(error), weights)


def runs_folder(checkpoint: str | PathLike[str]) -> Path:
    """Return the folder of the run files of a sweep."""
    target = Path(os.path.realpath(checkpoint))
    return target.with_name(f"{target.name}.runs")


def results_in(merged: str | PathLike[str], overwrite: bool) -> set[str]:
    """Return the names of the networks with a result in a merged file, empty if there is none.

    Raises ValueError if it cannot be read and ``overwrite`` is False.
    """
    if not is_merged(merged):
        return set()
    try:
        return {row.name for row in read_rows(merged) if row.has_result}
    except ValueError:
        if overwrite:
            return set()
        raise


def refuse_loss(merged: str | PathLike[str], names: Collection[str], *, overwrite: bool) -> None:
    """Raise FileExistsError if results of ``names`` would replace more in a merged file.

    Without ``overwrite`` each network with a result must have one.
    """
    held = results_in(merged, overwrite)
    lost = sorted(held.difference(names))
    if len(names) < len(held) if overwrite else lost:
        shown = ", ".join(lost[:NAMES_SHOWN]) + (", …" if len(lost) > NAMES_SHOWN else "")
        raise FileExistsError(
            f"{merged}: stays as it is: it has {len(held)} results, and would lose those of "
            f"{counted(len(lost), 'network', 'networks')} ({shown}); give another output, or move "
            "the file away"
        )


def merge_networks(
    checkpoint: str | PathLike[str], networks: Mapping[str, str | Network],
    metadata: Mapping[str, Mapping[str, Any]],
    *, overwrite: bool = False,
) -> Sweep:  # fmt: skip
    """Write the merged file of all networks of a sweep, computed or not, and return it.

    Raises FileExistsError as `refuse_loss`.
    """
    folder = runs_folder(checkpoint)
    with ExitStack() as stack:
        # of several shards, the last to arrive must see the runs of all
        while True:
            try:
                stack.enter_context(lock.held(folder, fspath(checkpoint)))
                break
            except LockedError:
                time.sleep(SECONDS_BETWEEN_TRIES)
        runs = {name: run_file(folder, name) for name in networks}
        rows = []
        for name, network in networks.items():
            weights = network if isinstance(network, str) else network.origin
            row = row_of_run(name, runs[name], weights)
            rows.append(row._replace(metadata=metadata[name]))
        finished = {row.name: runs[row.name] for row in rows if row.has_result}
        refuse_loss(checkpoint, finished, overwrite=overwrite)
        if not overwrite and os.path.exists(checkpoint) and not is_merged(checkpoint):
            finding = f"{checkpoint}: appeared during the sweep, and is left alone"
            raise FileExistsError(f"{finding}; move it away and run the command again")
        write_merged(rows, finished, checkpoint, overwrite=True)
    return Sweep.load(checkpoint)


def _why_missing(checkpoints: Path) -> tuple[str, str]:
    """Return status and advice where there is no run file."""
    if not checkpoints.exists():
        return "missing", "has left no trace: run its command"
    writer = lock.holder(checkpoints)
    advice = f"is being computed by {writer}" if writer else "run its command again to continue"
    return "unfinished", advice


def _runs_in(root: Path) -> Iterator[Path]:
    for folder in folders_in(root):
        if folder.suffix == CHECKPOINTS:
            continue
        for path in folder.iterdir():
            run = path.with_suffix("") if path.suffix in (CHECKPOINTS, FAILED) else path
            if run.suffix == ".h5" and (run != path or not path.is_dir()):
                yield run
