"""The default workers of a sweep: spawned processes, of which one may die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection

from .attempt import Outcome, give_up
from .task import ENDING, Task, compute

__all__ = ["compute_in_processes"]

SECONDS_BETWEEN_SIGNALS = 0.5
DIED = (
    "its process died twice, the second time alone; it may need more memory than there is: give "
    "fewer exponents or trajectories (-k, --trajectories), or another machine"
)


def compute_in_processes(
    tasks: Sequence[Task], workers: int, report: Callable[[Outcome], None]
) -> None:
    """Compute the tasks in processes of their own.

    When a process dies, killed for its memory perhaps, those of its time are tried again one
    after the other, each going on from its checkpoint. One whose process dies again is alone to
    blame, and is given up.

    Parameters
    ----------
    tasks : sequence of Task
    workers : int
        Processes at a time.
    report
        Called with the outcome of each, as it comes.
    """
    waiting = list(tasks)
    while waiting:
        suspects, waiting = _until_one_dies(waiting, workers, report)
        for task in suspects:
            if _until_one_dies([task], 1, report)[0]:
                report(give_up(task.name, task.run, DIED))


def _until_one_dies(
    tasks: Sequence[Task], workers: int, report: Callable[[Outcome], None]
) -> tuple[list[Task], list[Task]]:
    """Return what was being computed when a process died, and what was still to be."""
    queue, running = deque(tasks), dict[Future[Outcome], Task]()
    with _pool(min(workers, len(tasks))) as pool:
        try:
            while queue or running:
                while queue and len(running) < workers:
                    running[pool.submit(compute, queue[0])] = queue[0]
                    queue.popleft()
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    del running[future]
                    report(outcome)
        except BrokenProcessPool:
            pool.shutdown()
    suspects = []
    for future, task in running.items():
        if future.exception() is None:
            report(future.result())
        else:
            suspects.append(task)
    return suspects, list(queue)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield processes that end with this one, and that are told when it wants them to."""
    # threads of OpenMP do not survive a fork
    spawn = multiprocessing.get_context("spawn")
    # a pipe, as setting an Event waits for ever for a process that was killed while it waited
    told, telling = spawn.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, spawn, _begin, (told, os.getpid()))
    try:
        yield pool
    except BaseException:
        telling.close()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        telling.close()
        told.close()


def _begin(told: Connection, parent: int) -> None:
    # a terminal sends it to all; the parent tells when to end
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # by these a process dies at once, or when its checkpoint is written. It must not go through
    # the interpreter's end, where what an interrupted run has left can wait for ever
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    # the rows have statuses and advice
    warnings.simplefilter("ignore", RuntimeWarning)
    threading.Thread(target=_end_when_told, args=(told, parent), daemon=True).start()


def _end_when_told(told: Connection, parent: int) -> None:
    # closed by the parent, or with it
    told.poll(None)
    # again and again, as a task could begin just after
    while os.getppid() == parent:
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(SECONDS_BETWEEN_SIGNALS)
    os._exit(1)
