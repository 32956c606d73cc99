"""The trajectories of a run, in batches on one device or several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from ...tangent.gpu.device import Device, Precision
from ..progress import Progress
from ..trajectory import Trajectory, TrajectoryResult
from .batch import Batch

if TYPE_CHECKING:
    from ..checkpoint.checkpointer import Checkpointer

__all__ = ["run_batches"]

log = logging.getLogger("lyapy")

# share of the time that may go into bringing what a checkpoint needs to the host
CHECKPOINT_SHARE = 0.05
# seconds after which the main thread looks again: a signal does not end a wait without a limit once
# NVRTC has compiled a kernel
POLL = 0.2
# in the messages of CUDA and of its libraries
EXHAUSTED = ("ALLOC_FAILED", "OUT_OF_MEMORY", "cudaErrorMemoryAllocation")
REPEATED = "%d tiles of a trajectory were left to the CPU"
UNFUSED = "the forward pass of a layer launches a kernel for each operation: %s"
HALVED = "memory of the GPU ran out: %d trajectories at a time, instead of %d"


def run_batches(
    begin: Callable[[int], Trajectory],
    numbers: Sequence[int],
    steps: int,
    *,
    threads: int,
    progress: bool,
    devices: Sequence[Device],
    precision: Precision,
    checkpointer: Checkpointer | None = None,
    name: Callable[[int], str] = "trajectory {}".format,
) -> list[TrajectoryResult]:
    """Run the trajectories to their end, side by side on the devices.

    As `lyapy.runs.threads.run_trajectories`, but in batches of ``threads`` at most, of which each
    device takes the next one when it is ready. So the result of a batch does not depend on how
    many devices there are. Where memory runs out at its beginning, a batch is halved; where some
    of its trajectories end, the others form another one.
    """

    def begun(b: int) -> Trajectory:
        trajectory = begin(b)
        if checkpointer is not None:
            checkpointer.restore(b, trajectory)
        return trajectory

    display = Progress(len(numbers) * steps, progress)
    trajectories, found = {b: begun(b) for b in numbers}, dict[int, TrajectoryResult]()
    groups: SimpleQueue[list[int]] = SimpleQueue()
    positions = {b: trajectory.position for b, trajectory in trajectories.items()}
    display.skip(sum(positions.values()))
    # what has gone farthest first, as it was begun first; a device makes results of what has ended
    for position in sorted({*positions.values()}, reverse=True):
        group = [b for b in positions if positions[b] == position]
        for i in range(0, len(group), threads):
            groups.put(group[i : i + threads])

    def finish(numbers: list[int], device: Device) -> None:
        batch, half = None, len(numbers) // 2
        try:
            some = [trajectories[b] for b in numbers]
            batch = Batch(list(map(name, numbers)), some, device)
            _run(batch, numbers, display, checkpointer)
            found.update(zip(numbers, batch.results(), strict=True))
            rest = [b for b in numbers if not trajectories[b].finished]
            if rest:
                groups.put(rest)
        except Exception as error:
            if not _is_exhausted(error):
                raise
            begins = batch is None or batch.position == positions[numbers[0]]
            if not (begins and half):
                raise MemoryError(_exhausted(some, device)) from error
            log.info(HALVED, half, len(numbers))
            trajectories.update((b, begun(b)) for b in numbers)
            groups.put(numbers[:half])
            groups.put(numbers[half:])
        else:
            _log(batch)

    def work(device: Device) -> None:
        device.activate()
        with suppress(Empty):
            while True:
                finish(groups.get_nowait(), device)

    # in separate threads, a chunk that is being computed at an interruption is finished and kept
    with ThreadPoolExecutor(len(devices)) as pool:
        try:
            running = {pool.submit(work, each._replace(precision=precision)) for each in devices}
            while running:
                ended, running = wait(running, POLL, FIRST_COMPLETED)
                for one in ended:
                    one.result()
        except BaseException:
            display.stop()
            raise
        finally:
            display.close()
    return [found[b] for b in numbers]


def _log(batch: Batch) -> None:
    """Report what the device left to slower ways."""
    repeated = sum(int(block.sums["repeated"].sum()) for block in batch.blocks)
    if repeated:
        log.info(REPEATED, repeated)
    for reason in sorted(batch.run_layer.plain):
        log.info(UNFUSED, reason)


def _is_exhausted(error: Exception) -> bool:
    """Return whether memory of a device ran out, CuPy's or a library's."""
    return isinstance(error, MemoryError) or any(word in str(error) for word in EXHAUSTED)


def _exhausted(some: list[Trajectory], device: Device) -> str:
    """Return the message for memory that ran out: the sizes, and what would be smaller."""
    one, count = some[0], len(some)
    fewer = f"threads={count // 2} (--threads), fewer at a time"
    remedy = f"give {fewer if count > 1 else 'a smaller k'}"
    if device.precision.itemsize == 8:
        remedy += ", or precision='float32', half as large"
    vectors = sum(len(follower.carry.state.frame) for follower in one.followers)
    return (
        f"memory of {device.name} ran out with {count} trajectories at a time, and "
        f"{device.free_bytes() / 1e9:.3g} GB are free (state of {one.network.state_size}, "
        f"{vectors} deviation vectors, chunks of {one.schedule.chunk} steps, "
        f"{device.precision.name}); {remedy}"
    )


def _run(
    batch: Batch, numbers: Sequence[int], display: Progress, checkpointer: Checkpointer | None
) -> None:
    cost, published = 0.0, time.monotonic()
    while not batch.finished:
        done, began = batch.advance(), time.monotonic()
        ended = batch.finished or display.stopped.is_set()
        if checkpointer is not None and (ended or cost <= CHECKPOINT_SHARE * (began - published)):
            batch.fetch()
            checkpointer.publish_together(dict(zip(numbers, batch.trajectories, strict=True)))
            published = time.monotonic()
            cost = published - began
        # ends the thread after an interruption
        display.update(done)
