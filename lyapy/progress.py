"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

__all__ = ["Progress"]

# a batch log should tell that the job is alive, and stay short
SECONDS_BETWEEN_LINES = 30.0


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
        self._bar = None
        self._lines = shown
        self._start = self._last_line = time.monotonic()
        if shown and self._stream.isatty():
            from tqdm import tqdm

            self._lines = False
            self._bar = tqdm(total=total, unit="step", unit_scale=True, file=self._stream)

    def update(self, steps: int) -> None:
        """Count ``steps`` more; raises KeyboardInterrupt where `stop` was called."""
        if self.stopped.is_set():
            raise KeyboardInterrupt
        with self._lock:
            self.done += steps
            if self._bar is not None:
                self._bar.update(steps)
            elif self._lines and time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
                self._write_line()

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
        if self._bar is not None:
            self._bar.close()
        elif self._lines:
            self._write_line()

    def _write_line(self) -> None:
        now = time.monotonic()
        self._last_line = now
        rate = self.done / max(now - self._start, 1e-9)
        done = self.skipped + self.done
        left = (self.total - done) / rate if rate else float("inf")
        percent = 100.0 * done / max(self.total, 1)
        self._stream.write(
            f"lyapy: {done} of {self.total} steps ({percent:.0f} %), "
            f"{now - self._start:.0f} s, {left:.0f} s left\n"
        )
        self._stream.flush()
