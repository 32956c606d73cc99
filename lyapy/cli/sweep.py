"""``lyapy sweep``: from many weights files to one file of spectra, on all processors."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .arguments import add_run_arguments, given_hints, run_arguments
from .messages import report, report_shared, worst, write
from .signals import interruptions

if TYPE_CHECKING:
    from ..sweeps.result import Sweep
    from ..sweeps.task import Outcome

SUMMARY = "compute the spectra of many networks, side by side, into one file"
EXAMPLE = (
    "lyapy sweep 'runs/*/epoch*.pt' --inputs drive.npy --pattern 'lr{lr}/epoch{epoch}' -o sweep.h5"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    output = "merged file to write (HDF5); run files go to the folder FILE.runs"
    add("-o", "--output", default="sweep.h5", metavar="FILE", help=f"{output} (sweep.h5)")
    fields = "end of the paths with {fields}, for columns and --inputs: 'lr{lr}/epoch{epoch}'"
    add("--pattern", help=fields)
    table = "CSV of more columns; lines agree by name, weights or the fields of --pattern"
    add("--metadata", metavar="FILE", help=table)
    follow = "go on with each new file, until interrupted; WEIGHTS are a folder or quoted patterns"
    add("--follow", action="store_true", help=follow)
    idle = "with --follow: end after so many seconds without a new file"
    add("--idle", type=float, metavar="S", help=idle)
    workers = parser.add_argument_group("workers", "where networks are computed side by side")
    add = workers.add_mutually_exclusive_group().add_argument
    add("--workers", type=int, metavar="N", help="processes on this machine (as many as CPUs)")
    add("--mpi", action="store_true", help="the ranks of this MPI job: mpiexec -n 16 lyapy sweep")
    add("--dask", metavar="ADDRESS", help="a dask cluster's scheduler, or its scheduler file")
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compute and merge; the exit code is 1 if a network failed, 73 if one is being computed."""
    codes: list[int] = []
    errors = Counter[str]()

    def report_one(outcome: Outcome) -> None:
        codes.append(report(outcome, errors, quiet=arguments.quiet))

    with _executor(arguments) as (is_root, executor):
        if not is_root:
            return 0
        with interruptions():
            for found in _sweeps(arguments, executor, report_one):
                report_shared(errors)
                errors.clear()
                if not arguments.quiet:
                    finished = sum(row.has_result for row in found.rows)
                    done = f"{finished} of {len(found)} networks written to {arguments.output}"
                    write(done, flush=True)
    return worst(codes)


def _sweeps(
    arguments: argparse.Namespace, executor: Executor | None, report_one: Callable[[Outcome], None]
) -> Iterator[Sweep]:
    """Yield the sweep, or with --follow one after each new file."""
    from ..sweeps.sweep import sweep
    from ..sweeps.watch import watch

    same = ("workers", "shard", "pattern", "metadata", "vocabulary", "closed_loop", "readout")
    options = {name: getattr(arguments, name) for name in same} | run_arguments(arguments)
    options |= {"checkpoint": arguments.output, "load_options": given_hints(arguments)}
    options |= {"executor": executor, "report": report_one}
    if arguments.follow:
        yield from watch(arguments.weights, arguments.inputs, idle=arguments.idle, **options)
    else:
        yield sweep(arguments.weights, arguments.inputs, **options)


@contextmanager
def _executor(arguments: argparse.Namespace) -> Iterator[tuple[bool, Executor | None]]:
    """Yield whether this process runs the sweep, and its workers if named."""
    from ..sweeps.workers import dask_executor, mpi_executor

    if arguments.mpi:
        with mpi_executor() as ranks:
            yield ranks is not None, ranks
    elif arguments.dask is not None:
        with dask_executor(arguments.dask) as cluster:
            yield True, cluster
    else:
        yield True, None
