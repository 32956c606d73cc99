"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

__all__ = ["Progress"]

# a batch log should tell that the job is alive, and stay short
SECONDS_BETWEEN_LINES = 30.0
# the clock of a bar goes on while a long chunk of steps is computed
SECONDS_BETWEEN_BARS = 1.0


class Progress:
    """Counts steps from several threads and shows them.

    Parameters
    ----------
    total : int
        Steps in all.
    shown : bool
        False counts silently.
    stream
        Where to; standard error if None.
    """

    def __init__(self, total: int, shown: bool, stream: TextIO | None = None) -> None:
        self.total = total
        self.done = self.skipped = 0
        self.stopped = threading.Event()
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._bar = None
        self._shown = shown
        self._start = time.monotonic()
        # steps and time of the first count: what was before, compiling above all, foretells nothing
        self._first: tuple[int, float] | None = None
        if shown and self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="step", unit_scale=True, file=self._stream)
        if shown:
            threading.Thread(target=self._show, daemon=True).start()

    def update(self, steps: int) -> None:
        """Count ``steps`` more; raises KeyboardInterrupt where `stop` was called."""
        if self.stopped.is_set():
            raise KeyboardInterrupt
        with self._lock:
            self.done += steps
            self._first = self._first or (self.done, time.monotonic())
            if self._bar is not None:
                self._bar.update(steps)

    def skip(self, steps: int) -> None:
        """Count ``steps`` that were done in an earlier run."""
        with self._lock:
            self.skipped += steps
            if self._bar is not None:
                self._bar.update(steps)

    def stop(self) -> None:
        """Make every thread that counts here stop."""
        self.stopped.set()

    def close(self) -> None:
        """End the display."""
        with self._lock:
            self._closed.set()
            if self._bar is not None:
                self._bar.close()
            elif self._shown:
                self._write_line()

    def _show(self) -> None:
        between = SECONDS_BETWEEN_LINES if self._bar is None else SECONDS_BETWEEN_BARS
        while not self._closed.wait(between):
            with self._lock:
                if self._closed.is_set():
                    return
                if self._bar is not None:
                    self._bar.refresh()
                else:
                    self._write_line()

    def _write_line(self) -> None:
        now = time.monotonic()
        done = self.skipped + self.done
        percent = 100.0 * done / max(self.total, 1)
        told = f"{done} of {self.total} steps ({percent:.0f} %), {now - self._start:.0f} s"
        if self._first is not None and self.done > self._first[0] and done < self.total:
            rate = (self.done - self._first[0]) / max(now - self._first[1], 1e-9)
            told += f", {(self.total - done) / rate:.0f} s left"
        self._stream.write(f"lyapy: {told}\n")
        self._stream.flush()
