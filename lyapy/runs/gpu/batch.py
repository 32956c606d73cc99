"""Trajectories side by side on one device."""

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...networks.forward import Chunk, forward_chunk
from ...networks.network import Network
from ...tangent.gpu.device import Device
from ...tangent.gpu.fused_forward import FusedForward, map_weights
from ..trajectory import Trajectory, TrajectoryResult, check_states
from .block import BatchBlock

__all__ = ["Batch"]


class Batch:
    """Trajectories that stand at the same step and go on side by side; errors have their ``names``.

    States, frames and coefficients lie on the device; `fetch` brings states, frames and
    statistics to the trajectories, which write checkpoints and records as they do on the CPU.
    """

    def __init__(
        self, names: Sequence[str], trajectories: Sequence[Trajectory], device: Device
    ) -> None:
        self.names, self.trajectories = names, trajectories
        self.device, first = device, trajectories[0]
        self.position, self.schedule = first.position, first.schedule
        self.end = min(each.end for each in trajectories)
        self._ended = any(each.finished for each in trajectories)
        self.network = moved_network(first.network, device)
        self.state = device.moved(np.stack([t.state for t in trajectories]))
        self.sizes = np.stack([t.sizes for t in trajectories])
        for trajectory, sizes in zip(trajectories, self.sizes, strict=True):
            # the trajectories see what is written here
            trajectory.sizes = sizes
        followers = zip(*(t.followers for t in trajectories), strict=True)
        self.blocks = [BatchBlock(each, device, self.position > 0) for each in followers]
        self.run_layer = FusedForward(device)
        self._chunks = self.schedule.chunks(self.position)

    @property
    def finished(self) -> bool:
        """Whether a trajectory has ended."""
        return self.position == self.end or self._ended

    def advance(self) -> int:
        """Move through one chunk and return its steps, of all trajectories together."""
        start, stop = next(self._chunks)
        chunk = self._forward(start, stop)
        rows, ends = self.schedule.rows_ending(start, stop)
        at_ends = self._host_states(chunk, [*ends.tolist(), -1], start)
        try:
            growth = [block.advance(chunk.coefficients, start) for block in self.blocks]
        except FloatingPointError as error:
            what, b = error.args
            raise FloatingPointError(f"{self.names[b]}: {what}") from None
        self.sizes[:, rows] = np.abs(at_ends[:-1]).max(axis=2, initial=0.0).T
        recording = self.schedule.recording
        early = stop == self.end < self.schedule.total
        looked_at = early or self.trajectories[0].needs_frames(stop)
        if looked_at:
            for block in self.blocks:
                block.fetch()
        if recording.kinds or looked_at:
            states = np.broadcast_to(at_ends[-1], (stop - start, *at_ends[-1].shape))
            if "states" in recording.kinds:
                states = self.device.to_host(chunk.states).astype(np.float64)
            for b, trajectory in enumerate(self.trajectories):
                trajectory.finish(stop, states[:, b], [tiles[:, b] for tiles in growth])
            self._ended = any(each.finished for each in self.trajectories)
        self.state, self.position = chunk.states[-1], stop
        return (stop - start) * len(self.trajectories)

    def _forward(self, start: int, stop: int) -> Chunk:
        """Return the forward pass over a chunk; where its states are known, in one step of all."""
        inputs = self._moved([t.inputs[start:stop] for t in self.trajectories])
        known = [t.states[start : stop + 1] for t in self.trajectories if t.states is not None]
        if not known:
            return forward_chunk(self.network, inputs, self.state, self.run_layer)
        states = self._moved(known)
        steps, B, m = inputs.shape
        before = states[:-1].reshape(steps * B, states.shape[2])
        one = forward_chunk(self.network, inputs.reshape(1, steps * B, m), before, self.run_layer)
        return Chunk(states[1:], one.coefficients.reshape(steps, B, one.coefficients.shape[2]))

    def _moved(self, each: Sequence[Array]) -> Any:
        """Return arrays (T, m) of the trajectories on the device, as (T, B, m)."""
        # turned there: copies of rows that lie together take the host a fifth of the time
        return np.swapaxes(self.device.moved(np.stack(each)), 0, 1).copy()

    def _host_states(self, chunk: Chunk, steps: list[int], start: int) -> Array:
        """Return states after some steps of a chunk (steps, B, D); refuse one that diverges."""
        found = self.device.to_host(chunk.states[steps]).astype(np.float64)
        for b in np.flatnonzero(~np.isfinite(found[-1]).all(axis=1)).tolist():
            try:
                check_states(self.device.to_host(chunk.states[:, b]), start)
            except FloatingPointError as error:
                raise FloatingPointError(f"{self.names[b]}: {error}") from None
        return found

    def fetch(self) -> None:
        """Bring all to the trajectories, which are then as they would be on the CPU."""
        for block in self.blocks:
            block.fetch()
        states = self.device.to_host(self.state).astype(np.float64)
        for trajectory, state in zip(self.trajectories, states, strict=True):
            trajectory.state, trajectory.position = state, self.position

    def results(self) -> list[TrajectoryResult]:
        """Return what was found of each trajectory."""
        self.fetch()
        finals = zip(*(block.finals() for block in self.blocks), strict=True)
        return [t.result(each) for t, each in zip(self.trajectories, finals, strict=True)]


def moved_network(network: Network, device: Device) -> Network:
    """Return the network with the arrays that its forward pass reads on the device."""

    def moved(weight: Any) -> Any:
        if isinstance(weight, np.ndarray) and weight.dtype.kind != "f":
            return device.to_device(weight)
        return device.moved(weight) if isinstance(weight, Sparse | np.ndarray) else weight

    found = Network([copy(cell) for cell in network.cells])
    for cell in found.cells:
        cell.W, cell.b, cell.weights = map_weights(moved, (cell.W, cell.b, cell.weights))
        cell.constants = {name: moved(value) for name, value in cell.constants.items()}
    found.program = network.program
    return found
