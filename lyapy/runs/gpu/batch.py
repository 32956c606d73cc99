"""Trajectories side by side on one device."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.forward import Chunk, LayerForward, forward_chunk, layer_forward
from ...networks.network import Network
from ...tangent.gpu.device import Device
from ...tangent.gpu.fused_forward import FusedForward
from ...tangent.gpu.precision import Precision
from ..trajectory import Trajectory
from .block import BatchPart, PartChunk

__all__ = ["Batch"]


class Batch:
    """Trajectories that stand at the same step and go on side by side.

    States, frames and coefficients lie on the device; what is counted goes to the
    trajectories, which write checkpoints and records as they do on the CPU.

    Parameters
    ----------
    numbers : sequence of int
        Of the trajectories, for errors.
    trajectories : sequence of Trajectory
    device : Device
    precision : Precision
    """

    def __init__(
        self,
        numbers: Sequence[int],
        trajectories: Sequence[Trajectory],
        device: Device,
        precision: Precision,
    ) -> None:
        self.numbers = numbers
        self.trajectories = trajectories
        self.device = device
        self.precision = precision
        self.schedule = trajectories[0].schedule
        self.network = self._moved_network(trajectories[0].network)
        self.state = self._to_device(np.stack([t.state for t in trajectories]))
        followers = zip(*(t.followers for t in trajectories), strict=True)
        self.parts = [BatchPart(each, device, precision) for each in followers]
        self.run_layer: LayerForward = layer_forward
        if device.compile_kernel is not None:
            self.run_layer = FusedForward(device, precision)
        self._chunks = self.schedule.chunks(trajectories[0].position)

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.trajectories[0].finished

    def advance(self) -> int:
        """Move through one chunk and return its steps, of all trajectories together.

        Raises
        ------
        FloatingPointError
            If a state or a norm is not finite; names the trajectory.
        """
        start, stop = next(self._chunks)
        inputs = np.stack([t.inputs[start:stop] for t in self.trajectories], axis=1)
        drive = self._to_device(inputs)
        chunk = forward_chunk(self.network, drive, self.state, self.run_layer)
        last = self.device.to_host(chunk.states[-1]).astype(np.float64)
        self._check(chunk, last, start)
        found = [self._advance_part(part, chunk.coefficients, start) for part in self.parts]
        if self.schedule.recording.needs_frames:
            self.fetch()
        states = np.broadcast_to(last, (stop - start, *last.shape))
        if "states" in self.schedule.recording.kinds:
            states = self.device.to_host(chunk.states).astype(np.float64)
        for b in range(len(self.trajectories)):
            self._count(b, start, stop, chunk.coefficients, found)
            tiles = [part.growth[:, b] for part in found]
            self.trajectories[b].finish(stop, states[:, b], tiles)
        self.state = chunk.states[-1]
        return (stop - start) * len(self.trajectories)

    def _count(
        self, b: int, start: int, stop: int, coefficients: Array, found: Sequence[PartChunk]
    ) -> None:
        ends = self.schedule.tile_ends(stop - start)
        for follower, part in zip(self.trajectories[b].followers, found, strict=True):
            values = None
            if follower.by_lu and start == self.schedule.transient and part.logs is None:
                values = self.device.to_host(coefficients[: ends[0], b]).astype(np.float64)
            logs = None if part.logs is None else part.logs[:, b]
            excess = float(part.excess[b])
            follower.count(part.growth[:, b], start, ends, excess, logs, values)

    def _advance_part(self, part: BatchPart, coefficients: Array, start: int) -> PartChunk:
        try:
            return part.advance(coefficients, start)
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

    @property
    def unfused(self) -> set[str]:
        """Why the forward pass of some layer was computed operation by operation, if it was."""
        return self.run_layer.plain if isinstance(self.run_layer, FusedForward) else set()

    def fetch(self) -> None:
        """Bring the frames to the trajectories, which are then as they would be on the CPU."""
        for part in self.parts:
            part.fetch()

    def _to_device(self, array: Array) -> Array:
        if array.dtype.kind == "f":
            array = array.astype(self.precision.name)
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
