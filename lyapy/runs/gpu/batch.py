"""Trajectories side by side on one device."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.forward import Chunk, forward_chunk
from ...networks.network import Network
from ...tangent.gpu.device import Device
from ...tangent.gpu.fused_forward import FusedForward
from ...tangent.gpu.precision import Precision
from ..trajectory import Trajectory, TrajectoryResult
from .block import BatchBlock

__all__ = ["Batch"]


class Batch:
    """Trajectories that stand at the same step and go on side by side.

    States, frames and coefficients lie on the device; `fetch` brings states, frames and
    statistics to the trajectories, which write checkpoints and records as they do on the CPU.

    Parameters
    ----------
    numbers : sequence of int
        Of the trajectories, for errors.
    trajectories : sequence of Trajectory
    device : Device
    precision : Precision
    orthonormal : bool
        Whether the first frames are orthonormal; otherwise the device makes them so.
    """

    def __init__(
        self,
        numbers: Sequence[int],
        trajectories: Sequence[Trajectory],
        device: Device,
        precision: Precision,
        orthonormal: bool = True,
    ) -> None:
        self.numbers = numbers
        self.trajectories = trajectories
        self.device = device
        self.precision = precision
        self.position = trajectories[0].position
        self.schedule = trajectories[0].schedule
        self.network = self._moved_network(trajectories[0].network)
        self.state = self._to_device(np.stack([t.state for t in trajectories]))
        orthonormal = orthonormal or self.position > 0
        followers = zip(*(t.followers for t in trajectories), strict=True)
        self.blocks = [BatchBlock(each, device, precision, orthonormal) for each in followers]
        self.run_layer = FusedForward(device, precision)
        self._chunks = self.schedule.chunks(self.position)

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.position == self.schedule.total

    def advance(self) -> int:
        """Move through one chunk and return its steps, of all trajectories together.

        Raises
        ------
        FloatingPointError
            If a state or a norm is not finite; names the trajectory.
        """
        start, stop = next(self._chunks)
        inputs = self._to_device(np.stack([t.inputs[start:stop] for t in self.trajectories]))
        inputs = np.swapaxes(inputs, 0, 1).copy()
        chunk = forward_chunk(self.network, inputs, self.state, self.run_layer)
        last = self.device.to_host(chunk.states[-1]).astype(np.float64)
        self._check(chunk, last, start)
        growth = [self._advance_block(block, chunk.coefficients, start) for block in self.blocks]
        rows, ends = self.schedule.rows_ending(start, stop)
        at_ends = self.device.to_host(chunk.states[self.device.to_device(ends)])
        for b, trajectory in enumerate(self.trajectories):
            trajectory.measure(rows, at_ends[:, b].astype(np.float64))
        recording = self.schedule.recording
        if recording.needs_frames:
            self._fetch_blocks()
        if recording.kinds:
            states = np.broadcast_to(last, (stop - start, *last.shape))
            if "states" in recording.kinds:
                states = self.device.to_host(chunk.states).astype(np.float64)
            for b, trajectory in enumerate(self.trajectories):
                trajectory.finish(stop, states[:, b], [tiles[:, b] for tiles in growth])
        self.state, self.position = chunk.states[-1], stop
        return (stop - start) * len(self.trajectories)

    def _advance_block(self, block: BatchBlock, coefficients: Array, start: int) -> Array:
        try:
            return block.advance(coefficients, start)
        except FloatingPointError as error:
            what, b = error.args
            raise FloatingPointError(f"trajectory {self.numbers[b]}: {what}") from None

    def _check(self, chunk: Chunk, last: Array, start: int) -> None:
        finite = np.isfinite(last).all(axis=1)
        if finite.all():
            return
        b = int(finite.argmin())
        states = self.device.to_host(chunk.states[:, b])
        step = start + int(np.isfinite(states).all(axis=1).argmin())
        raise FloatingPointError(
            f"trajectory {self.numbers[b]}: the state is not finite after step {step}: it diverges"
        )

    def fetch(self) -> None:
        """Bring all to the trajectories, which are then as they would be on the CPU."""
        self._fetch_blocks()
        states = self.device.to_host(self.state).astype(np.float64)
        for trajectory, state in zip(self.trajectories, states, strict=True):
            trajectory.state, trajectory.position = state, self.position

    def _fetch_blocks(self) -> None:
        for block in self.blocks:
            block.fetch()

    def results(self) -> list[TrajectoryResult]:
        """Return what was found of each trajectory."""
        self.fetch()
        finals = zip(*(block.finals() for block in self.blocks), strict=True)
        return [t.result(each) for t, each in zip(self.trajectories, finals, strict=True)]

    def _to_device(self, array: Array) -> Array:
        if array.dtype.kind == "f":
            array = array.astype(self.precision.name, copy=False)
        return self.device.to_device(np.ascontiguousarray(array))

    def _moved_network(self, network: Network) -> Network:
        """Return the network with the arrays that its forward pass reads on the device."""
        cells = []
        for cell in network.cells:
            cell = copy(cell)
            cell.W, cell.b = self._to_device(cell.W), self._to_device(cell.b)
            cell.weights = self._moved(cell.weights)
            cell.constants = {name: self._moved(value) for name, value in cell.constants.items()}
            cells.append(cell)
        moved = Network(cells)
        moved.program = network.program
        return moved

    def _moved(self, weights: Any) -> Any:
        if isinstance(weights, Sparse):
            return self.device.moved(weights, self.precision.name)
        if isinstance(weights, np.ndarray):
            return self._to_device(weights)
        if isinstance(weights, tuple):
            inside = [self._moved(weight) for weight in weights]
            return type(weights)(*inside) if hasattr(weights, "_fields") else tuple(inside)
        return weights
