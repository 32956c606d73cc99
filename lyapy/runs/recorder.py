"""Growth, states, frames and R factors of one trajectory, row by row."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from .block import Follower
from .schedule import Recording


class Recorder:
    """The records of one trajectory, ``nbytes`` of them until they are taken."""

    def __init__(self, recording: Recording, steps: int, followers: Sequence[Follower]) -> None:
        self.recording = recording
        self.steps = steps
        self.followers = followers
        self.counted = 0
        self.rows = 0
        self.growth: Array = np.zeros(sum(f.growth.shape[1] for f in followers))
        self.taken: dict[str, list[Array]] = {}
        self.nbytes = 0

    def start(self) -> None:
        """Forget the R factors of the transient."""
        if "factors" in self.recording.kinds:
            for follower in self.followers:
                follower.tangent.take_factor()

    def add(self, states: Array, tiles: Sequence[Array]) -> None:
        """Record a chunk: its states (T, D), and the growth (tiles, k) of each block."""
        ends = self.recording.row_ends(self.steps)
        last = int(np.searchsorted(ends, self.counted + len(states), side="right"))
        inside = ends[self.rows : last] - self.counted
        kinds = self.recording.kinds
        if "growth" in kinds:
            self._add_growth(np.concatenate(tiles, axis=1), inside)
        if "states" in kinds:
            self._put("states", states[inside - 1])
        if len(inside):
            for i, follower in enumerate(self.followers):
                if "frames" in kinds:
                    state = follower.carry.state
                    # one that is followed as a whole goes with its R factors as it is
                    whole = state.split == len(state.frame)
                    frame = state.frame.copy() if whole else state.orthonormal()
                    self._put(f"frames/{i}", frame[None])
                if "factors" in kinds:
                    self._put(f"factors/{i}", follower.tangent.take_factor()[None])
        self.counted += len(states)
        self.rows = last

    def _add_growth(self, tiles: Array, inside: Array) -> None:
        rows = np.searchsorted(inside, np.arange(len(tiles)) * self.recording.tile, side="right")
        sums = np.zeros((len(inside) + 1, len(self.growth)))
        sums[0] = self.growth
        np.add.at(sums, rows, tiles)
        self._put("growth", sums[:-1])
        self.growth = sums[-1]

    def _put(self, name: str, rows: Array) -> None:
        self.taken.setdefault(name, []).append(rows)
        self.nbytes += rows.nbytes

    def take(self) -> dict[str, tuple[int, Array]]:
        """Return for each record the first row (int) and the rows since the last call."""
        found, self.taken, self.nbytes = self.taken, {}, 0
        joined = {name: np.concatenate(rows) for name, rows in found.items()}
        return {n: (self.rows - len(rows), rows) for n, rows in joined.items() if len(rows)}

    def save(self) -> dict[str, Any]:
        """Return the state of the recorder, once the rows are taken."""
        return {"counted": self.counted, "rows": self.rows, "growth": self.growth.copy()}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from the result of `save`."""
        self.counted, self.rows = saved["counted"], saved["rows"]
        self.growth = saved["growth"].copy()
