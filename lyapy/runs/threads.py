"""The trajectories of a run in parallel, each in a thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

from ..tangent.engine import Engine
from .progress import Progress
from .trajectory import Trajectory, TrajectoryResult, results

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer

# trajectories that are many for a GPU: blocks of threads that a large one runs together
FULL_BATCH = 128
# trajectories of a thread that read the weights together, at most: more hardly save any
GROUP = 16
# multiplications of their chunk, at most: some seconds, for which a signal waits
WORK = 1e11


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
    """Run trajectories by their numbers, which ``begin`` returns, some together in each thread.

    They have so many steps on average. Errors give the ``name`` of a trajectory.
    """
    display = Progress(len(numbers) * steps, progress)

    def begun(b: int) -> Trajectory:
        trajectory = begin(b)
        if checkpointer is not None:
            checkpointer.restore(b, trajectory)
        display.skip(trajectory.position)
        return trajectory

    def publish(numbers: Iterable[int], group: dict[int, Trajectory], last: bool = False) -> None:
        if checkpointer is not None:
            for b in numbers:
                checkpointer.publish(b, group[b], last)

    def run(numbers: Sequence[int]) -> list[TrajectoryResult]:
        group = {b: begun(b) for b in numbers}
        some: list[int] = []
        try:
            while some := _hindmost(group):
                first, *others = (group[b] for b in some)
                done = first.advance(*others)
                publish(some, group)
                display.update(done * len(some))
        except KeyboardInterrupt:
            publish(some, group, last=True)
            raise
        except FloatingPointError as error:
            what, place = error.args
            raise FloatingPointError(f"{name(some[place])}: {what}") from None
        return results([*group.values()])

    groups = _groups(numbers, threads)
    with ThreadPoolExecutor(threads) as pool:
        try:
            return [result for found in pool.map(run, groups) for result in found]
        except BaseException:
            display.stop()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            display.close()


def _groups(numbers: Sequence[int], threads: int) -> list[Sequence[int]]:
    """Cut numbers into groups of about the same size, of `GROUP` at most, for so many threads."""
    count = max(threads, -(-len(numbers) // GROUP))
    cuts = [len(numbers) * i // count for i in range(count + 1)]
    return [numbers[i:j] for i, j in pairwise(cuts) if i < j]


def _hindmost(group: dict[int, Trajectory]) -> list[int]:
    """Return which trajectories of a group go on together: of those at the first step, like cut."""
    going = [b for b, each in group.items() if not each.finished]
    if not going:
        return []
    first = group[min(going, key=lambda b: group[b].position)]
    place = first.position, first.schedule
    alike = [b for b in going if (group[b].position, group[b].schedule) == place]
    return alike[: max(1, int(WORK / first.chunk_work))]


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
