"""One trajectory: forward pass and tangent engine alternate over chunks of time."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Array
from ..networks.forward import forward_together
from ..networks.network import Network
from ..tangent.engine import Engine
from ..tangent.norm_bounds import NormBounds
from .block import BlockResult, Final, Follower, advance_together, finals
from .recorder import Recorder
from .schedule import Schedule


class TrajectoryResult(NamedTuple):
    """Final state (D,), largest |state| after each row (rows,), the result in each block."""

    state: Array
    sizes: Array
    blocks: list[BlockResult]


class Trajectory:
    """A trajectory and the deviation vectors along it.

    It is at step ``position``; ``sizes`` are the largest |state| after each row of the history. It
    begins at a state (D,), with a frame (k, D of the block) of orthonormal rows for each diagonal
    block, and reads the inputs (transient + steps, m). Where the ``states`` before each step and
    after the last one are known, a device computes no others. ``by_lu`` is that of `Follower`.
    """

    def __init__(
        self,
        network: Network,
        bounds: Sequence[NormBounds],
        inputs: Array,
        state: Array,
        frames: Sequence[Array],
        schedule: Schedule,
        engine: Engine,
        by_lu: bool,
        states: Array | None = None,
    ) -> None:
        self.network = network
        self.states = states
        self.inputs = inputs
        self.state = state
        self.schedule = schedule
        self.engine = engine
        pairs = zip(bounds, frames, strict=True)
        self.followers = [Follower(each, frame, schedule, engine, by_lu) for each, frame in pairs]
        self.recorder = Recorder(schedule.recording, schedule.steps, self.followers)
        self.position = 0
        self.sizes = np.zeros(schedule.rows)

    @property
    def end(self) -> int:
        """The position at which all steps are done."""
        return self.schedule.total

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.position == self.end

    def needs_frames(self, stop: int) -> bool:
        """Return whether `finish` looks at the frames of a chunk that ends at step ``stop``."""
        return self.schedule.recording.needs_frames

    @property
    def rows_done(self) -> int:
        """Rows of the history that are complete."""
        return self.schedule.rows_done(self.position)

    @property
    def chunk_work(self) -> float:
        """About how many multiplications a chunk takes."""
        vectors = sum(len(follower.carry.state.frame) for follower in self.followers)
        return float(self.schedule.chunk) * self.network.state_size**2 * (1 + vectors)

    def advance(self, *others: "Trajectory") -> int:
        """Move through one chunk, together with ``others`` at the same step; return its steps.

        The numbers of one do not depend on the others. Raises FloatingPointError if one diverges,
        with its place as the second argument.
        """
        every = [self, *others]
        start, stop = next(self.schedule.chunks(self.position))
        inputs, states = [t.inputs[start:stop] for t in every], [t.state for t in every]
        chunk = forward_together(self.network, inputs, states, self.engine.run_layer)
        for b, found in enumerate(chunk.states):
            try:
                check_states(found, start)
            except FloatingPointError as error:
                raise FloatingPointError(str(error), b) from None
        blocks = zip(*(t.followers for t in every), strict=True)
        growth = [advance_together(each, chunk.coefficients, start) for each in blocks]
        rows, ends = self.schedule.rows_ending(start, stop)
        for b, (trajectory, found) in enumerate(zip(every, chunk.states, strict=True)):
            trajectory.measure(rows, found[ends])
            trajectory.finish(stop, found, [tiles[b] for tiles in growth])
        return stop - start

    def measure(self, rows: slice, states: Array) -> None:
        """Take over the states (rows, D) with which rows of the history end."""
        self.sizes[rows] = np.abs(states).max(axis=1, initial=0.0)

    def finish(self, stop: int, states: Array, tiles: Sequence[Array]) -> None:
        """Take over a chunk: step at its end, states (T, D), growth (tiles, k) of each block."""
        if self.schedule.recording.kinds:
            if self.position >= self.schedule.transient:
                self.recorder.add(states, tiles)
            else:
                self.recorder.start()
        # a view would keep the states of the whole chunk
        self.state = states[-1].copy()
        self.position = stop

    def history(self, first: int, last: int) -> Array:
        """Return rows of the history (last − first, K + 1): growth in all blocks, and sizes."""
        growth = [f.growth[first:last] for f in self.followers]
        return np.concatenate([*growth, self.sizes[first:last, None]], axis=1)

    def save(self) -> dict[str, Any]:
        """Return a copy of all that is needed to go on, except complete rows."""
        row = self.rows_done
        return {
            "position": self.position,
            "state": self.state.copy(),
            "blocks": {str(i): follower.save(row) for i, follower in enumerate(self.followers)},
            "recorder": self.recorder.save(),
        }

    def restore(self, saved: dict[str, Any], history: Array) -> None:
        """Go on, bit for bit, from a result of `save` and the complete rows of the history."""
        self.position = saved["position"]
        self.state = saved["state"]
        self.sizes[: len(history)] = history[:, -1]
        pieces = split_history(history, [f.growth.shape[1] for f in self.followers])
        for i, (follower, piece) in enumerate(zip(self.followers, pieces, strict=True)):
            follower.restore(saved["blocks"][str(i)], piece)
        self.recorder.restore(saved["recorder"])

    def extend(self, schedule: Schedule) -> None:
        """Go on to the end of a longer schedule, whose chunks begin with those of this one."""
        self.schedule = schedule
        self.sizes = np.append(self.sizes, np.zeros(schedule.rows - len(self.sizes)))
        for follower in self.followers:
            follower.extend(schedule)

    def result(self, finals: Sequence[Final]) -> TrajectoryResult:
        """Return the result of the steps so far, with the final frame in each block."""
        blocks = [one.result(final) for one, final in zip(self.followers, finals, strict=True)]
        return TrajectoryResult(self.state, self.sizes.copy(), blocks)


def results(trajectories: Sequence[Trajectory]) -> list[TrajectoryResult]:
    """Return the results of trajectories that ran on the CPU."""
    blocks = zip(*(t.followers for t in trajectories), strict=True)
    frames = zip(*map(finals, blocks), strict=True)
    return [t.result(each) for t, each in zip(trajectories, frames, strict=True)]


def split_history(history: Array, vectors: Sequence[int]) -> list[Array]:
    """Return the growth (rows, k) of each block in rows of the history."""
    return np.split(history, np.cumsum(vectors), axis=1)[:-1]


def check_states(states: Array, start: int) -> None:
    """Raise FloatingPointError if a state (T, D) after step ``start`` or a later one diverges."""
    finite = np.isfinite(states)
    if not finite.all():
        step = start + int(finite.all(axis=-1).argmin())
        raise FloatingPointError(f"the state is not finite after step {step}: it diverges")
