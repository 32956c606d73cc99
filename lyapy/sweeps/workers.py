"""Workers of a sweep: spawned processes, MPI ranks, a dask cluster, any other executor."""

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from ..errors import CheckpointError, describe
from .task import ENDING, Outcome, Task, compute, give_up

SECONDS_BETWEEN_SIGNALS = 0.5
# numbers of processes that Slurm, MPICH and Open MPI have started
COUNTS = ("SLURM_NTASKS", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
DIED = (
    "its process died twice, the second time alone; it may need more memory than there is: give "
    "fewer exponents or trajectories (-k, --trajectories), or another machine"
)


def compute_in(
    executor: futures.Executor, tasks: Sequence[Task], report: Callable[[Outcome], None]
) -> None:
    """Compute the tasks by an executor, and report the outcome of each as it comes."""
    running = {executor.submit(compute, task): task for task in tasks}
    try:
        for future in futures.as_completed(running):
            try:
                outcome = future.result()
            except (futures.BrokenExecutor, CheckpointError):
                raise
            except Exception as error:  # of the executor, such as dask's where workers die again
                task = running[future]
                outcome = give_up(task.name, task.run, describe(error), task.overwrite)
            report(outcome)
    finally:
        for future in running:
            future.cancel()


def compute_in_processes(
    tasks: Sequence[Task], workers: int, report: Callable[[Outcome], None]
) -> None:
    """Compute the tasks in spawned processes, and report the outcome of each as it comes.

    When a process dies, killed for its memory perhaps, all tasks in progress are tried again one
    after the other, each from its checkpoint. A task whose process dies again is given up.
    """
    waiting = list(tasks)
    while waiting:
        suspects, waiting = _until_one_dies(waiting, workers, report)
        for task in suspects:
            if _until_one_dies([task], 1, report)[0]:
                report(give_up(task.name, task.run, DIED, task.overwrite))


def _until_one_dies(
    tasks: Sequence[Task], workers: int, report: Callable[[Outcome], None]
) -> tuple[list[Task], list[Task]]:
    """Return the tasks in progress when a process died, and those that had not begun."""
    queue, running = deque(tasks), dict[futures.Future[Outcome], Task]()
    with _pool(min(workers, len(tasks))) as pool:
        try:
            while queue or running:
                while queue and len(running) < workers:
                    running[pool.submit(compute, queue[0])] = queue[0]
                    queue.popleft()
                done, _ = futures.wait(running, return_when=futures.FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    del running[future]
                    report(outcome)
        except BrokenProcessPool:
            pool.shutdown()
    for future in [future for future in running if future.exception() is None]:
        report(future.result())
        del running[future]
    return [*running.values()], list(queue)


@contextmanager
def _pool(workers: int) -> Iterator[futures.ProcessPoolExecutor]:
    """Yield processes that end with this one, or when it closes a pipe to them."""
    # threads of OpenMP do not survive a fork
    spawn = multiprocessing.get_context("spawn")
    # not an Event, which waits for ever for a process that was killed while it waited
    receiver, sender = spawn.Pipe(duplex=False)
    pool = futures.ProcessPoolExecutor(workers, spawn, _begin, (receiver, os.getpid()))
    try:
        yield pool
    except BaseException:
        sender.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        sender.close()
        receiver.close()


def _begin(receiver: Connection, parent: int) -> None:
    # a terminal sends it to all processes; the parent decides when to end
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # by these a process dies at once, or when its checkpoint is written. It must not go through
    # the interpreter's exit, where remains of an interrupted run can wait for ever
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    # the rows have statuses and advice
    warnings.simplefilter("ignore", RuntimeWarning)
    threading.Thread(target=_end_with, args=(receiver, parent), daemon=True).start()


def _end_with(receiver: Connection, parent: int) -> None:
    # closed by the parent, or with it
    receiver.poll(None)
    # repeated, as a task could begin just after a signal
    while os.getppid() == parent:
        os.kill(os.getpid(), ENDING[-1])
        time.sleep(SECONDS_BETWEEN_SIGNALS)
    os._exit(1)


@contextmanager
def mpi_executor() -> Iterator[Any]:
    """Yield an executor of all other ranks in rank 0; in the others None, when all is done."""
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPICommExecutor
    except ImportError as error:
        remedy = "install mpi4py with pip install 'lyapy[mpi]', and an MPI library, such as mpich"
        raise ModuleNotFoundError(f"MPI cannot be used ({error}); {remedy}") from None
    check_ranks(MPI.COMM_WORLD.Get_size(), os.environ)
    if MPI.COMM_WORLD.Get_rank():
        # between two networks a rank has nothing to write
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as ranks:
        yield ranks


def check_ranks(ranks: int, environment: Mapping[str, str]) -> None:
    """Raise ValueError if processes that were started together form separate MPI jobs."""
    if ranks > 1:
        return
    for name in COUNTS:
        count = environment.get(name, "1")
        if count.isdecimal() and int(count) > 1:
            raise ValueError(
                f"{name} is {count}, but MPI has one rank: each process would compute all "
                "networks; start lyapy by the mpiexec or srun --mpi=... of the MPI that mpi4py uses"
            )


@contextmanager
def dask_executor(address: str) -> Iterator[futures.Executor]:
    """Yield an executor of a dask cluster, from its scheduler's address or file (``.json``)."""
    try:
        from distributed import Client
    except ImportError as error:
        remedy = "install it with pip install 'lyapy[dask]'"
        raise ModuleNotFoundError(f"dask cannot be used ({error}); {remedy}") from None
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    with Client(**where, set_as_default=False) as client, client.get_executor() as executor:
        yield executor
