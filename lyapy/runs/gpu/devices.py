"""The trajectories of a run, in batches on one device or several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from ...tangent.gpu.device import Device, is_exhausted
from ...tangent.gpu.precision import Precision
from ..progress import Progress
from ..trajectory import Trajectory, TrajectoryResult
from .batch import Batch
from .memory import exhausted, fitting

if TYPE_CHECKING:
    from ..checkpoint.checkpointer import Checkpointer

__all__ = ["run_batches"]

log = logging.getLogger("lyapy")

# share of the time that may go into bringing what a checkpoint needs to the host
CHECKPOINT_SHARE = 0.05
LOST = (
    "%d tiles of a trajectory were repeated on the CPU, %d intervals fell back from Cholesky's "
    "factor to Gram-Schmidt"
)
UNFUSED = "the forward pass of a layer launches a kernel for each operation: %s"


def run_batches(
    begin: Callable[[int], Trajectory],
    count: int,
    steps: int,
    *,
    threads: int,
    progress: bool,
    devices: Sequence[Device],
    precision: Precision,
    checkpointer: Checkpointer | None = None,
) -> list[TrajectoryResult]:
    """Run the trajectories to their end, as many side by side as the devices have room for.

    They are cut into batches, and each device takes the next one when it is ready. So what a
    batch comes to does not depend on how many devices there are.

    Parameters
    ----------
    begin, count, steps, progress, checkpointer
        As for `lyapy.runs.threads.run_trajectories`.
    threads : int
        The most trajectories at a time on each device.

    Raises
    ------
    FloatingPointError
        If a trajectory diverges; names it.
    MemoryError
        If a device's memory does not suffice; names the sizes and what would be smaller.
    """
    display = Progress(count * steps, progress)
    trajectories = [begin(b) for b in range(count)]
    for b, trajectory in enumerate(trajectories):
        if checkpointer is not None:
            checkpointer.restore(b, trajectory)
            display.skip(trajectory.position)
    most = min(threads, *(fitting(trajectories[0], device, precision) for device in devices))
    groups: SimpleQueue[list[int]] = SimpleQueue()
    for numbers in _groups(trajectories, most):
        groups.put(numbers)

    def finish(numbers: list[int], device: Device) -> _Left:
        members = [trajectories[b] for b in numbers]
        try:
            batch = Batch(numbers, members, device, precision)
            _run(batch, display, checkpointer)
        except Exception as error:
            if not is_exhausted(error):
                raise
            text = exhausted(members[0], device, precision, len(members))
            raise MemoryError(text) from error
        return _left(batch)

    def work(device: Device) -> list[_Left]:
        device.activate()
        found: list[_Left] = []
        while True:
            try:
                numbers = groups.get_nowait()
            except Empty:
                return found
            found.append(finish(numbers, device))

    # in threads of their own chunks are finished, and kept, when an interruption comes
    with ThreadPoolExecutor(len(devices)) as pool:
        try:
            for ended in as_completed([pool.submit(work, device) for device in devices]):
                _tell(ended.result())
        except BaseException:
            display.stop()
            raise
        finally:
            display.close()
    return [trajectory.result() for trajectory in trajectories]


class _Left(NamedTuple):
    """What a batch left to slower ways: tiles, intervals, and why forward passes of layers."""

    repeated: int
    fallbacks: int
    unfused: set[str]


def _left(batch: Batch) -> _Left:
    repeated = sum(part.repeated for part in batch.parts)
    fallbacks = sum(part.tangent.fallbacks for part in batch.parts)
    return _Left(repeated, fallbacks, batch.unfused)


def _tell(batches: Sequence[_Left]) -> None:
    """Tell the log what a device left to slower ways."""
    repeated = sum(one.repeated for one in batches)
    fallbacks = sum(one.fallbacks for one in batches)
    if repeated or fallbacks:
        log.info(LOST, repeated, fallbacks)
    for reason in sorted({reason for one in batches for reason in one.unfused}):
        log.info(UNFUSED, reason)


def _groups(trajectories: list[Trajectory], most: int) -> Iterator[list[int]]:
    """Yield the numbers of unfinished trajectories that stand at the same step."""
    by_position: dict[int, list[int]] = {}
    for b, trajectory in enumerate(trajectories):
        if not trajectory.finished:
            by_position.setdefault(trajectory.position, []).append(b)
    # what has gone farthest first, as it was begun first
    for _, numbers in sorted(by_position.items(), reverse=True):
        for i in range(0, len(numbers), most):
            yield numbers[i : i + most]


def _run(batch: Batch, display: Progress, checkpointer: Checkpointer | None) -> None:
    cost, published = 0.0, time.monotonic()
    while not batch.finished:
        done = batch.advance()
        began = time.monotonic()
        ended = batch.finished or display.stopped.is_set()
        if checkpointer is not None and (ended or cost <= CHECKPOINT_SHARE * (began - published)):
            batch.fetch()
            pairs = zip(batch.numbers, batch.trajectories, strict=True)
            checkpointer.publish_together(dict(pairs))
            published = time.monotonic()
            cost = published - began
        # ends the thread after an interruption
        display.update(done)
    batch.fetch()
