"""The trajectories of a run, side by side in threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .progress import Progress
from .trajectory import Trajectory, TrajectoryResult

if TYPE_CHECKING:
    from .checkpoint.checkpointer import Checkpointer

__all__ = ["run_trajectories"]


def run_trajectories(
    begin: Callable[[int], Trajectory],
    count: int,
    steps: int,
    *,
    threads: int,
    progress: bool,
    checkpointer: Checkpointer | None = None,
) -> list[TrajectoryResult]:
    """Run the trajectories to their end, each in one thread.

    Parameters
    ----------
    begin
        From the number of a trajectory to the trajectory at its beginning, or where it goes on.
    count, steps : int
        Trajectories, and steps of each.
    checkpointer : Checkpointer, optional
        Puts each where it was left, and takes what it comes to.

    Raises
    ------
    FloatingPointError
        If a trajectory diverges; names it.
    """
    display = Progress(count * steps, progress)

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
            raise FloatingPointError(f"trajectory {b}: {error}") from None
        return trajectory.result()

    with ThreadPoolExecutor(threads) as pool:
        try:
            return list(pool.map(run, range(count)))
        except BaseException:
            display.stop()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            display.close()
