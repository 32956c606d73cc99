"""The trajectories of a run in parallel, each in a thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

from ..tangent.engine import Engine
from .progress import Progress
from .trajectory import Trajectory, TrajectoryResult

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer

# trajectories that are many for a GPU: blocks of threads that a large one runs together
FULL_BATCH = 128


def run_trajectories(
    begin: Callable[[int], Trajectory],
    numbers: Sequence[int],
    steps: int,
    *,
    threads: int,
    progress: bool,
    checkpointer: Checkpointer | None = None,
    name: Callable[[int], str] = "trajectory {}".format,
) -> list[TrajectoryResult]:
    """Run trajectories by their numbers, which ``begin`` returns, each in one thread.

    They have so many steps on average. Errors give the ``name`` of a trajectory.
    """
    display = Progress(len(numbers) * steps, progress)

    def run(b: int) -> TrajectoryResult:
        trajectory = begin(b)
        if checkpointer is not None:
            checkpointer.restore(b, trajectory)
        display.skip(trajectory.position)
        try:
            while not trajectory.finished:
                done = trajectory.advance()
                if checkpointer is not None:
                    checkpointer.publish(b, trajectory)
                display.update(done)
        except KeyboardInterrupt:
            if checkpointer is not None:
                checkpointer.publish(b, trajectory, last=True)
            raise
        except FloatingPointError as error:
            raise FloatingPointError(f"{name(b)}: {error}") from None
        return trajectory.result()

    with ThreadPoolExecutor(threads) as pool:
        try:
            return list(pool.map(run, numbers))
        except BaseException:
            display.stop()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            display.close()


def most_together(engine: Engine, threads: int | None) -> int:
    """Return how many trajectories can run at the same time: one a core, on GPUs a batch each."""
    if engine.devices:
        return len(engine.devices) * (threads or FULL_BATCH)
    return threads or default_threads()


def limit_blas(threads: int) -> AbstractContextManager[object]:
    """Return a context in which BLAS, as NumPy and SciPy bring it, uses so many threads."""
    return _libraries().limit(limits=threads, user_api="blas")  # type: ignore[no-any-return]


@cache
def _libraries() -> ThreadpoolController:
    # looks through all that the process has loaded, which takes as long as a small run
    return ThreadpoolController()


def side_by_side(engine: Engine, trajectories: int) -> int:
    """Return how many trajectories run at the same time: one a core, on GPUs a share of all."""
    return -(-trajectories // len(engine.devices)) if engine.devices else default_threads()


def default_threads() -> int:
    """Return the number of CPUs that this process may use, or that Slurm granted if fewer."""
    try:
        available = len(os.sched_getaffinity(0))
    except AttributeError:
        available = os.cpu_count() or 1
    granted = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(available, int(granted)) if granted.isdigit() and int(granted) else available
