"""The sweep: many networks to run files, and these to one merged file."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from os import PathLike
from typing import Any

from ..arrays import check_size
from ..errors import CheckpointError, Interrupted, describe
from ..networks.network import Network
from ..runs.lyapunov import lyapunov_spectrum
from ..runs.options import ALL, refuse_unknown
from ..runs.threads import default_threads
from ..storage.atomic import check_output
from .asked import as_file, members_of, metadata_of, shard_of
from .attempt import Outcome, give_up
from .merged_file import is_merged
from .merging import merge_members, runs_folder
from .names import Shard, run_file
from .processes import compute_in_processes
from .result import Sweep
from .task import Task, compute

__all__ = ["sweep"]

# set by the sweep for each network
RESERVED = {"inputs", "keep", "max_steps", "network", "progress", "until"}


def sweep(
    networks: str | PathLike[str] | Iterable[str | PathLike[str]] | Mapping[str, Any],
    inputs: Any = None,
    *,
    checkpoint: str | PathLike[str] = "sweep.h5",
    executor: Executor | None = None,
    workers: int | None = None,
    shard: str | tuple[int, int] | None = None,
    pattern: str | None = None,
    metadata: str | PathLike[str] | Mapping[str, Mapping[str, Any]] | None = None,
    vocabulary: str | PathLike[str] | None = None,
    load_options: Mapping[str, Any] | None = None,
    closed_loop: bool = False,
    readout: str | None = None,
    overwrite: bool = False,
    report: Callable[[Outcome], None] | None = None,
    **spectrum_options: Any,
) -> Sweep:
    """Compute the Lyapunov spectra of many networks into one file.

    Each network goes to a run file of its own in the folder ``CHECKPOINT.runs``, with its
    checkpoints beside it; at the end all are merged. The same call made again continues: what is
    finished is read, what was left in the middle goes on, what is new is added. A network that
    cannot be computed is a row with the status ``failed`` and the reason. The merged file does not
    depend on the number of workers or on who finished first, but for the times that it tells.

    Parameters
    ----------
    networks : str, sequence of str, or mapping of str to str or Network
        Weights files and shell patterns of them, named by their paths below their common
        folder; or names and weights files or networks.
    inputs : str, path or array (T, m) or (B, T, m), optional
        The same for all. A file is read by each worker, an array is put in a file first.
    checkpoint : str or path
        The merged file (HDF5).
    executor : concurrent.futures.Executor, optional
        Of `concurrent.futures`, loky, `mpi4py.futures`, or of a dask client's `get_executor()`.
        Workers must see the same files. By default spawned processes, so that a script that calls
        this needs ``if __name__ == "__main__":``. When one of those dies, the others go on.
    workers : int, optional
        Processes where no ``executor`` is given; as many as CPUs by default.
    shard : str or (int, int), optional
        Compute only ``"i/n"``, the i-th of n parts; all parts may run at the same time.
    pattern : str, optional
        End of the paths with fields, ``"lr{lr}_g{gain}/epoch{epoch}"``, which become metadata;
        of names where networks are not given as files.
    metadata : mapping or path, optional
        Name of a member to its columns; or a CSV file, whose lines are of the members that agree
        in the columns ``name``, ``weights`` or fields of ``pattern``.
    vocabulary : str or path, optional
        For text inputs, see `lyapy.runs.inputs.read_inputs_for`.
    load_options : mapping, optional
        For `load`.
    closed_loop : bool
        Feed the read-out in each weights file back as the input; ``inputs`` then only warm up.
    readout : str, optional
        Matrix of the read-out, or how its name begins, where several fit.
    overwrite : bool
        Replace run files of other settings, and another file at ``checkpoint``.
    report : callable, optional
        Called with the `Outcome` of each member, as it comes.
    **spectrum_options
        As for `lyapunov_spectrum`. ``threads``, of each worker, are by default the CPUs divided
        by the workers, and 1 with an ``executor``.

    Returns
    -------
    Sweep

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit; before anything is computed.
    OSError
        If the results cannot be written.
    Interrupted
        After an interruption; the same call continues.
    concurrent.futures.BrokenExecutor
        If the executor given breaks; the same call continues.
    """
    _check_options(spectrum_options)
    members = members_of(networks)
    _check_loop(members, closed_loop, readout)
    told = metadata_of(members, pattern, metadata)
    check_output(checkpoint, overwrite=overwrite or is_merged(checkpoint))
    if workers is not None:
        check_size("workers", workers, 1)
    part = Shard(1, 1) if shard is None else shard_of(shard)
    mine = {name: members[name] for name in part.select(list(members))}
    workers = min(workers or default_threads(), max(len(mine), 1))
    if spectrum_options.get("threads") is None:
        share = 1 if executor else max(default_threads() // workers, 1)
        spectrum_options = {**spectrum_options, "threads": share}
    folder = runs_folder(checkpoint)
    folder.mkdir(exist_ok=True)
    task = Task(
        "",
        "",
        os.getcwd(),
        as_file(inputs, folder),
        None if vocabulary is None else os.path.abspath(vocabulary),
        folder,
        load_options or {},
        {**spectrum_options, "overwrite": overwrite},
        closed_loop,
        readout,
    )
    tasks = [
        task._replace(name=name, network=network, run=run_file(folder, name))
        for name, network in mine.items()
    ]
    try:
        _compute_all(tasks, executor, workers, report)
    except BrokenExecutor:
        merge_members(checkpoint, members, told)
        raise
    return merge_members(checkpoint, members, told)


def _compute_all(
    tasks: Sequence[Task],
    executor: Executor | None,
    workers: int,
    report: Callable[[Outcome], None] | None,
) -> None:
    """Compute the tasks, report each, and end with Interrupted when told to."""
    done = 0

    def take(outcome: Outcome) -> None:
        nonlocal done
        if outcome.code == "interrupted":
            raise Interrupted(outcome.told)
        done += 1
        if report is not None:
            report(outcome)

    try:
        if executor is None:
            compute_in_processes(tasks, workers, take)
        else:
            _compute_in(executor, tasks, take)
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted with {done} of {len(tasks)} networks done; the same sweep made again "
            "continues"
        ) from None


def _compute_in(
    executor: Executor, tasks: Sequence[Task], report: Callable[[Outcome], None]
) -> None:
    futures = {executor.submit(compute, task): task for task in tasks}
    try:
        for future in as_completed(futures):
            report(_outcome(future, futures[future]))
    finally:
        for future in futures:
            future.cancel()


def _outcome(future: Future[Outcome], task: Task) -> Outcome:
    try:
        return future.result()
    except (BrokenExecutor, CheckpointError):
        raise
    except Exception as error:  # of the executor, such as dask's where workers die again and again
        return give_up(task.name, task.run, describe(error))


def _check_loop(
    members: Mapping[str, str | Network], closed_loop: bool, readout: str | None
) -> None:
    if readout is not None and not closed_loop:
        raise ValueError(
            f"readout is {readout!r}, for an open loop; add closed_loop=True (--closed-loop)"
        )
    made = [name for name, network in members.items() if isinstance(network, Network)]
    if closed_loop and made:
        raise ValueError(
            f"closed_loop is for weights files, but {made[0]!r} is a network; give a "
            "lyapy.ClosedLoop of it"
        )


def _check_options(options: Mapping[str, Any]) -> None:
    own = RESERVED | {name for name, option in ALL.items() if option.by_output}
    refuse_unknown("sweep", options, set(inspect.signature(lyapunov_spectrum).parameters) - own)
