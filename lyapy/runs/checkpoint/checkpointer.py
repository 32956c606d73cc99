"""Background writer of checkpoints, with a hand-over between it and the trajectories."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from ...arrays import Array
from ...errors import CheckpointError
from ..provenance import now
from ..result import Layout
from ..trajectory import Trajectory
from .folder import Checkpoint, Segment, write_checkpoint

# records that wait in memory to be written; beyond, a trajectory waits for the disk
BUFFER_BYTES = 64 * 1024**2
RECORDER_BYTES = 1024**2


class _Published(NamedTuple):
    """A trajectory's copied state; its complete rows of history never change again."""

    saved: dict[str, Any]
    trajectory: Trajectory
    rows: int


class Checkpointer:
    """A context that writes the states that trajectories publish, regularly and at its end.

    ``saved`` is the checkpoint to continue from, later the last one written; ``history`` has the
    complete rows of its trajectories, and ``every`` is in seconds. The folder's lock is held.
    """

    def __init__(
        self, folder: Path, saved: Checkpoint, history: Mapping[int, Array], every: float
    ) -> None:
        self.folder = folder
        self.saved = saved
        # a copy of the state costs as much as a hundred steps of a small network
        self.gap = min(1.0, 0.01 * every)
        self.every = every - self.gap
        self._next: dict[int, float] = {}
        self._history = history
        self._spent = float(saved.settings.get("seconds", 0.0))
        self._began = time.monotonic()
        self._rows = {b: len(rows) for b, rows in history.items()}
        self._published: dict[int, _Published] = {}
        self._records: dict[int, dict[str, tuple[int, list[Array]]]] = {}
        self._waiting = 0
        self._error: BaseException | None = None
        self._handover = threading.Condition()
        self._closing = False
        # daemon: an interruption between two lines must not leave a process that never ends
        self._thread = threading.Thread(target=self._run, name="lyapy-checkpoints", daemon=True)

    @property
    def seconds(self) -> float:
        """Seconds spent on the run, before it was continued too."""
        return self._spent + time.monotonic() - self._began

    @property
    def position(self) -> int:
        """Steps of the farthest trajectory at the last checkpoint."""
        return max((int(t["position"]) for t in self.saved.trajectories.values()), default=0)

    def begin(self, layout: Layout) -> None:
        """Take the shapes of what is published, where they are not those of the result."""
        self.saved = self.saved._replace(layout=layout)

    def forget(self) -> None:
        """Begin again, with what is published from now on."""
        self.saved = self.saved._replace(trajectories={}, segments={})
        self._history, self._rows = {}, {}

    def __enter__(self) -> Checkpointer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._handover:
            self._closing = True
            self._handover.notify_all()
        interruption = finished(self._thread)
        if self._error is not None and (kind is None or issubclass(kind, KeyboardInterrupt)):
            raise self._failure(self._error)
        if interruption is not None:
            raise interruption

    def restore(self, b: int, trajectory: Trajectory) -> None:
        """Move trajectory ``b``, unless it has begun, to the last checkpoint."""
        if b in self.saved.trajectories and not trajectory.position:
            none = trajectory.history(0, 0)
            trajectory.restore(self.saved.trajectories[b], self._history.get(b, none))

    def publish(self, b: int, trajectory: Trajectory, last: bool = False) -> None:
        """Hand over the state of trajectory ``b``, unless it is not the last and was just done.

        Raises CheckpointError if an earlier checkpoint could not be written.
        """
        moment = time.monotonic()
        much = trajectory.recorder.nbytes > RECORDER_BYTES
        if not (last or trajectory.finished or much or moment >= self._next.get(b, 0.0)):
            return
        self._next[b] = moment + self.gap
        rows = trajectory.recorder.take()
        found = _Published(trajectory.save(), trajectory, trajectory.rows_done)
        with self._handover:
            while self._waiting > BUFFER_BYTES and self._error is None and not self._closing:
                self._handover.notify_all()
                self._handover.wait()
            if self._error is not None:
                raise self._failure(self._error)
            self._published[b] = found
            kept = self._records.setdefault(b, {})
            for name, (first, array) in rows.items():
                kept.setdefault(name, (first, []))[1].append(array)
                self._waiting += array.nbytes

    def publish_together(self, trajectories: Mapping[int, Trajectory]) -> None:
        """Hand over trajectories that advance together, for the same checkpoint."""
        with self._handover:
            for b, trajectory in trajectories.items():
                self.publish(b, trajectory, last=True)

    def _failure(self, error: BaseException) -> CheckpointError:
        found = getattr(error, "strerror", None) or repr(error)
        kept = f"checkpoint {self.saved.number} is whole" if self.saved.number else "none was"
        return CheckpointError(f"{found}; {kept}, run the command again to continue from it")

    def _run(self) -> None:
        # in a thread, because HDF5 must not be interrupted and signals reach the main one only
        due = time.monotonic() + self.every
        try:
            while self._wait(due):
                due = time.monotonic() + self.every
                self._write()
            self._write()
        except BaseException as error:
            with self._handover:
                self._error = error
                self._handover.notify_all()

    def _wait(self, due: float) -> bool:
        """Wait until a time, or for much to write; return False at the end of the run."""
        with self._handover:
            while not self._closing and self._waiting <= BUFFER_BYTES:
                left = due - time.monotonic()
                if left <= 0:
                    break
                self._handover.wait(min(left, threading.TIMEOUT_MAX))
            return not self._closing

    def _write(self) -> None:
        """Write a checkpoint if anything was published since the last one."""
        with self._handover:
            published, self._published = self._published, {}
            records, self._records, self._waiting = self._records, {}, 0
            self._handover.notify_all()
        if not published:
            return
        rows = {}
        for b, found in published.items():
            first = self._rows.get(b, 0)
            joined = {
                name: (row, np.concatenate(a)) for name, (row, a) in records.get(b, {}).items()
            }
            rows[b] = Segment(first, found.trajectory.history(first, found.rows), joined)
        saved = self.saved._replace(
            number=self.saved.number + 1,
            date=now(),
            settings={**self.saved.settings, "seconds": self.seconds},
            trajectories=self.saved.trajectories | {b: p.saved for b, p in published.items()},
        )
        self.saved = write_checkpoint(self.folder, saved, rows)
        self._rows |= {b: found.rows for b, found in published.items()}


def finished(
    thread: threading.Thread, hurry: Callable[[], None] | None = None
) -> KeyboardInterrupt | None:
    """Wait for a thread's end; return the interruption that came, at which to call ``hurry``."""
    interruption = None
    while thread.is_alive():
        try:
            thread.join()
        except KeyboardInterrupt as stop:
            interruption = stop
            if hurry is not None:
                hurry()
    return interruption
