"""How many trajectories a device has room for."""

from __future__ import annotations

import numpy as np

from ...cells.sparse import Sparse
from ...tangent.gpu.device import Device
from ...tangent.gpu.precision import Precision
from ...tangent.gpu.step import row_width
from ..trajectory import Trajectory

__all__ = ["bytes_per_trajectory", "exhausted", "fitting"]

# of the free memory; the rest is for products' workspaces and what the allocator leaves unused
SHARE = 0.8
# frames that live at the same time: before a tile, before an interval, before and after a step,
# and products on their way into it, or in the orthonormalization
FRAMES = 7
# merged ones of a step
MATRICES = 3
# coefficients and states of the layers, and the same joined
COPIES = 2


def bytes_per_trajectory(trajectory: Trajectory, precision: Precision) -> int:
    """Return about how much memory a trajectory takes on a device."""
    numbers, schedule = 0, trajectory.schedule
    for follower in trajectory.followers:
        program, k = follower.block.program, len(follower.carry.state.frame)
        numbers += FRAMES * k * row_width(program)
        sizes = [
            a.target.size * t.source.size
            for a in program.assignments
            for t in a.terms
            if t.matrix is not None and not isinstance(t.matrix, Sparse)
        ]
        numbers += MATRICES * max(sizes, default=0)
    network = trajectory.network
    entries = sum(c.size for layer in network.program.coefficients for c in layer.values())
    drive = max(2 * len(cell.W) for cell in network.cells)
    per_step = COPIES * (entries + network.state_size) + network.input_size + drive
    return (numbers + schedule.chunk * per_step) * np.dtype(precision.name).itemsize


def fitting(trajectory: Trajectory, device: Device, precision: Precision) -> int:
    """Return how many trajectories like this one fit on the device at a time.

    Raises
    ------
    MemoryError
        If not even one does; names the sizes and what would be smaller.
    """
    each = bytes_per_trajectory(trajectory, precision)
    count = int(SHARE * device.free_bytes() / each)
    if not count:
        raise MemoryError(_message(trajectory, device, precision, 1, "give a smaller k"))
    return count


def exhausted(trajectory: Trajectory, device: Device, precision: Precision, count: int) -> str:
    """Return the message for memory that ran out under ``count`` trajectories at a time."""
    remedy = f"give threads={count // 2} (--threads), fewer trajectories at a time"
    return _message(
        trajectory, device, precision, count, remedy if count > 1 else "give a smaller k"
    )


def _message(
    trajectory: Trajectory, device: Device, precision: Precision, count: int, remedy: str
) -> str:
    need = count * bytes_per_trajectory(trajectory, precision) / 1e9
    vectors = [len(follower.carry.state.frame) for follower in trajectory.followers]
    many = "trajectory needs" if count == 1 else "trajectories need"
    single = ", or precision='float32', half as large" if precision.name == "float64" else ""
    return (
        f"{count} {many} about {need:.3g} GB on {device.name}, and {device.free_bytes() / 1e9:.3g}"
        f" GB are free (state of {trajectory.network.state_size}, {sum(vectors)} deviation "
        f"vectors, chunks of {trajectory.schedule.chunk} steps, {precision.name}); {remedy}{single}"
    )
