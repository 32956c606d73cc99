"""Spectra of many networks: a run file for each, and one merged file."""

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from ..arrays import as_seed, check_size
from ..errors import Interrupted, WeightsError, describe
from ..networks.closed_loop import ClosedLoop
from ..networks.inputs import check_array, check_inputs
from ..networks.network import Network
from ..runs.inputs import input_file
from ..runs.lyapunov import lyapunov_spectrum
from ..runs.options import ALL, KINDS, refuse_unknown, take_options
from ..runs.progress import Progress
from ..runs.reaching import check_k
from ..runs.start import check_kept
from ..runs.threads import default_threads
from ..spectra.file import check_suffix
from ..storage.atomic import check_apart, check_output
from .inputs import as_file, computed, filled, inputs_by_name
from .merge import merge_networks, refuse_loss, results_in, runs_folder
from .merged_file import is_merged
from .metadata import metadata_of
from .names import Chosen, as_shard, named_networks, run_file
from .result import Sweep
from .task import Outcome, Task, check_readout, inputs_of, network_of
from .task import give_up as failed
from .workers import compute_in, compute_in_processes

# set by the sweep for each network
RESERVED = {"inputs", "keep", "max_steps", "network", "until"}


def sweep(
    networks: str | PathLike[str] | Iterable[str | PathLike[str]] | Mapping[str, Any],
    inputs: Any = None, *, checkpoint: str | PathLike[str] = "sweep.h5",
    executor: Executor | None = None, workers: int | None = None,
    shard: str | tuple[int, int] | Chosen | None = None, pattern: str | None = None,
    metadata: str | PathLike[str] | Mapping[str, Mapping[str, Any]] | None = None,
    vocabulary: str | PathLike[str] | None = None, load_options: Mapping[str, Any] | None = None,
    closed_loop: bool = False, readout: str | None = None, overwrite: bool = False,
    report: Callable[[Outcome], None] | None = None, progress: bool = False,
    **spectrum_options: Any,
) -> Sweep:  # fmt: skip
    """Compute the Lyapunov spectra of many networks into one file.

    Each network has a run file in the folder ``CHECKPOINT.runs``, next to its checkpoints; at the
    end all are merged. The same call again reads finished networks, continues interrupted ones,
    and adds new ones. A network that cannot be computed is a row with the status ``failed`` and
    the reason. But for dates and durations, the merged file does not depend on the workers.

    Parameters
    ----------
    networks : str, sequence of str, or mapping of str to str or Network
        Weights files and shell patterns of them, named by their paths below their common
        folder; or names and weights files or networks.
    inputs : str, path, array, callable or mapping, optional
        An array (T, m) or (B, T, m), or a file, for all; a path with fields of ``pattern``,
        ``"inputs/{task}.npy"``; a function of a weights file's path (or name) and its network,
        called here, that returns one or the other; or a mapping of them by the names of the
        networks. A mapping by any other names has tasks: every network reads each, in a row
        ``network/task`` with the task in the column ``inputs``. Files are read by the workers.
        Token ids, whole numbers (T,) or (B, T), go through the embedding in the weights file.
    checkpoint : str or path
        The merged file (HDF5).
    executor : concurrent.futures.Executor, optional
        Of `concurrent.futures`, loky, `mpi4py.futures`, or of a dask client's `get_executor()`.
        Workers must see the same files. By default spawned processes, so that a script that calls
        this needs ``if __name__ == "__main__":``. When one of those dies, the others continue.
    workers : int, optional
        Processes where no ``executor`` is given; as many as CPUs by default.
    shard : str or (int, int), optional
        Compute only ``"i/n"``, the i-th of n shares; all may run at the same time.
    pattern : str, optional
        End of the paths (or names) with fields, ``"lr{lr}_g{gain}/epoch{epoch}"``, which become
        metadata.
    metadata : mapping or path, optional
        Name of a network to its columns; or a CSV file, whose lines belong to the networks that
        agree in the columns ``name``, ``weights`` or fields of ``pattern``.
    vocabulary, load_options
        For text inputs, see `lyapy.runs.inputs.read_inputs`; and for `load`.
    closed_loop, readout
        Feed the read-out in each weights file back as the input, so that ``inputs`` only warm up;
        ``readout`` is the beginning of its matrix's name, where several fit.
    overwrite : bool
        Replace run files of other settings, and another file at ``checkpoint``; each by a whole
        one, and the merged file never by one with fewer results.
    report : callable, optional
        Called with the `Outcome` of each network, as it comes.
    progress : bool
        Show a bar of the networks on a terminal or in a notebook, or a line now and then in a log.
    **spectrum_options
        As for `lyapunov_spectrum`. ``threads``, of each worker, are by default the CPUs divided
        by the workers, and 1 with an ``executor``.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, no network can be loaded and driven, or a finished result is
        of another run; no result is changed then.
    OSError
        If the results cannot be written, or ``checkpoint`` would lose results.
    Interrupted, concurrent.futures.BrokenExecutor
        After an interruption, or if the executor given breaks; the same call continues.
    """
    by_sweep = RESERVED | {name for name, option in ALL.items() if option.by_output}
    known = set(inspect.signature(lyapunov_spectrum).parameters) - by_sweep
    refuse_unknown("sweep", spectrum_options, known)
    settled = {name: value for name, value in spectrum_options.items() if name in ALL}
    take_options(lyapunov_spectrum, settled, **dict.fromkeys(KINDS))
    # before a Generator would be copied into each task
    rng = spectrum_options.pop("rng", None)
    seed = spectrum_options.get("seed", 0)
    check_kept(seed)
    spectrum_options["seed"] = as_seed(seed, rng)
    found = named_networks(networks)
    check_readout(readout, closed_loop)
    made = [name for name, network in found.items() if isinstance(network, Network)]
    if closed_loop and made:
        finding = f"closed_loop is for weights files, but {made[0]!r} is a network"
        raise ValueError(f"{finding}; give a lyapy.ClosedLoop of it")
    found, given, of_task = inputs_by_name(found, inputs)
    columns = metadata_of(found, pattern, metadata, of_task)
    each = {n: filled(given[n], n, found[n], pattern, columns[n]) for n in found}
    check_output(checkpoint, overwrite=overwrite or is_merged(checkpoint))
    refuse_loss(checkpoint, found, overwrite=overwrite)
    if workers is not None:
        check_size("workers", workers, 1)
    mine = (shard if isinstance(shard, Chosen) else as_shard(shard)).select(list(found))
    workers = min(workers or default_threads(), max(len(mine), 1))
    if spectrum_options.get("threads") is None:
        share = 1 if executor else max(default_threads() // workers, 1)
        spectrum_options = {**spectrum_options, "threads": share}
    folder = runs_folder(checkpoint)
    task = Task(
        name="", network="", folder=os.getcwd(), inputs=None,
        vocabulary=None if vocabulary is None else os.path.abspath(vocabulary), run=folder,
        load_options=load_options or {}, options={**spectrum_options, "overwrite": overwrite},
        closed_loop=closed_loop, readout=readout,
    )  # fmt: skip
    table = metadata if isinstance(metadata, (str, PathLike)) else None
    weights = [network for network in found.values() if isinstance(network, str)]
    files = [input_file(path) for path in each.values() if isinstance(path, str)]
    check_apart(checkpoint, [*weights, *files, task.vocabulary, table])
    check_suffix(checkpoint)
    if not overwrite:
        _check_runs(checkpoint, folder)
    _check_one(task, found, each)
    folder.mkdir(exist_ok=True)
    # finished runs first: if one is another run, nothing else was computed
    runs = {name: run_file(folder, name) for name in mine}
    tasks = [
        task._replace(name=name, network=found[name], run=runs[name])
        for name in sorted(mine, key=lambda name: not runs[name].exists())
    ]
    lost: list[Outcome] = []
    tasks = list(_with_files(tasks, each, folder, lost.append))
    try:
        _compute_all(tasks, lost, executor, workers, report, progress)
    except BrokenExecutor:
        with suppress(FileExistsError):
            merge_networks(checkpoint, found, columns, overwrite=overwrite)
        raise
    return merge_networks(checkpoint, found, columns, overwrite=overwrite)


def _check_runs(checkpoint: str | PathLike[str], folder: Path) -> None:
    """Raise FileExistsError if there are no run files to compare the settings of results."""
    held = sorted(results_in(checkpoint, overwrite=False))
    lacking = [name for name in held if not run_file(folder, name).exists()]
    if lacking:
        raise FileExistsError(
            f"{checkpoint}: has {len(held)} results, but {folder} lacks the run files of "
            f"{len(lacking)} ({lacking[0]}, …) to continue from; give another output, or compute "
            "them again with overwrite=True (--overwrite)"
        )


def _check_one(task: Task, networks: Mapping[str, str | Network], each: Mapping[str, Any]) -> None:
    """Raise the first error if inputs and options suit none of the networks that can be loaded."""
    errors: list[Exception] = []
    for name, weights in networks.items():
        one = task._replace(name=name, network=weights)
        try:
            network, file = network_of(one)
        except (WeightsError, OSError):
            continue
        try:
            inputs = computed(each[name], network, file or name)
            if inputs is None or isinstance(inputs, (str, PathLike)):
                inputs = inputs_of(_reading(one, inputs), network, file)
            elif isinstance(network, ClosedLoop):
                check_array("inputs", inputs, network.open_loop)
            _check_network(one, network, inputs)
            return
        except Exception as error:  # a function may raise anything
            errors.append(error)
    if errors:
        shared = f"none of {len(errors)} networks can be computed: " if len(errors) > 1 else ""
        raise ValueError(f"{shared}{describe(errors[0])}") from errors[0]


def _reading(task: Task, inputs: Any) -> Task:
    return task._replace(inputs=None if inputs is None else os.path.abspath(inputs))


def _with_files(
    tasks: Iterable[Task], each: Mapping[str, Any], folder: Path, give_up: Callable[[Outcome], None]
) -> Iterator[Task]:
    """Yield the tasks with their inputs in files; give up those whose function raises."""
    files: dict[int, str | None] = {}
    for task in tasks:
        inputs = each[task.name]
        if callable(inputs):
            try:
                network, weights = network_of(task)
            except (WeightsError, OSError):
                # the worker finds and reports it
                yield task
                continue
            try:
                made = computed(inputs, network, weights or task.name)
            except Exception as error:
                reason = f"inputs: {describe(error)}"
                give_up(failed(task.name, task.run, reason, task.overwrite))
                continue
            yield _reading(task, as_file(made, folder))
        else:
            if id(inputs) not in files:
                files[id(inputs)] = as_file(inputs, folder)
            yield _reading(task, files[id(inputs)])


def _check_network(task: Task, network: Network, inputs: Any) -> None:
    options = task.options
    inputs = None if isinstance(network, ClosedLoop) else inputs
    check_inputs(network, inputs, options.get("transient", 0), options.get("steps"))
    check_k(options.get("k"), options.get("frame", "random"), network.state_size)


def _compute_all(
    tasks: Sequence[Task], lost: Sequence[Outcome], executor: Executor | None, workers: int,
    report: Callable[[Outcome], None] | None, progress: bool,
) -> None:  # fmt: skip
    """Compute the tasks, report each and those lost; raise Interrupted after a signal to end."""
    shown = Progress(len(tasks) + len(lost), progress, unit="network")
    done: list[Outcome] = []
    ended: list[Outcome] = []

    def take(outcome: Outcome) -> None:
        if outcome.code == "interrupted":
            ended.append(outcome)
            raise Interrupted(outcome.message)
        if outcome.code == "refused":
            raise ValueError(f"{outcome.name}: {outcome.message}")
        done.append(outcome)
        shown.update(1)
        if report is not None:
            report(outcome)

    try:
        for outcome in lost:
            take(outcome)
        if executor is None:
            compute_in_processes(tasks, workers, take)
        else:
            compute_in(executor, tasks, take)
    except KeyboardInterrupt:
        # a worker that was interrupted says more
        if ended:
            raise
        found = f"interrupted with {len(done)} of {len(tasks)} networks done"
        raise Interrupted(f"{found}; the same sweep made again continues") from None
    finally:
        shown.close()
