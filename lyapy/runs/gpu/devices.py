"""The trajectories of a run, in batches on one device or several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

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
# seconds after which the main thread looks again: a signal does not end a wait without a limit once
# NVRTC has compiled a kernel
POLL = 0.2
REPEATED = "%d tiles of a trajectory were repeated on the CPU"
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
    orthonormal: bool = True,
    checkpointer: Checkpointer | None = None,
) -> list[TrajectoryResult]:
    """Run the trajectories to their end, as many side by side as the devices have room for.

    They are cut into batches, and each device takes the next one when it is ready. So the result
    of a batch does not depend on how many devices there are.

    Parameters
    ----------
    begin, count, steps, progress, checkpointer
        As for `lyapy.runs.threads.run_trajectories`.
    threads : int
        The most trajectories at a time on each device.
    orthonormal : bool
        Whether the first frames are orthonormal; otherwise the devices make them so.

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

    found: dict[int, TrajectoryResult] = {}

    def finish(numbers: list[int], device: Device) -> None:
        some = [trajectories[b] for b in numbers]
        try:
            batch = Batch(numbers, some, device, precision, orthonormal)
            _run(batch, display, checkpointer)
            found.update(zip(numbers, batch.results(), strict=True))
        except Exception as error:
            if not is_exhausted(error):
                raise
            raise MemoryError(exhausted(some[0], device, precision, len(some))) from error
        _log(batch)

    def work(device: Device) -> None:
        device.activate()
        while True:
            try:
                numbers = groups.get_nowait()
            except Empty:
                return
            finish(numbers, device)

    # in separate threads, a chunk that is being computed at an interruption is finished and kept
    with ThreadPoolExecutor(len(devices)) as pool:
        try:
            running = {pool.submit(work, device) for device in devices}
            while running:
                ended, running = wait(running, POLL, FIRST_COMPLETED)
                for one in ended:
                    one.result()
        except BaseException:
            display.stop()
            raise
        finally:
            display.close()
    return [found.get(b) or trajectory.result() for b, trajectory in enumerate(trajectories)]


def _log(batch: Batch) -> None:
    """Report what the device left to slower ways."""
    repeated = sum(block.repeated for block in batch.blocks)
    if repeated:
        log.info(REPEATED, repeated)
    for reason in sorted(batch.run_layer.plain):
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
