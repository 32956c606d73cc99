"""Progress of a run: tqdm's bar on a terminal, plain lines in a log."""

import sys
import threading
import time
from typing import TextIO

# a batch log shows that the job is alive, and stays short
SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Counts steps from several threads and, if asked, shows them on standard error."""

    def __init__(self, total: int, shown: bool, stream: TextIO | None = None) -> None:
        self.total = total
        self.done = self.skipped = 0
        self.stopped = threading.Event()
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._bar = None
        self._lines = shown and not self._stream.isatty()
        self._start = time.monotonic()
        # steps and time of the first count: what went before, compiling above all, predicts nothing
        self._first: tuple[int, float] | None = None
        if self._lines:
            threading.Thread(target=self._write_lines, daemon=True).start()
        elif shown:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="step", unit_scale=True, file=self._stream)

    def update(self, steps: int) -> None:
        """Count ``steps`` more; raise KeyboardInterrupt after `stop`."""
        if self.stopped.is_set():
            raise KeyboardInterrupt
        with self._lock:
            self.done += steps
            self._first = self._first or (self.done, time.monotonic())
            if self._bar is not None:
                self._bar.update(steps)

    def skip(self, steps: int) -> None:
        """Count ``steps`` of an earlier process."""
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
            if self._lines:
                self._write_line()

    def _write_lines(self) -> None:
        while not self._closed.wait(SECONDS_BETWEEN_LINES):
            with self._lock:
                if not self._closed.is_set():
                    self._write_line()

    def _write_line(self) -> None:
        now, done = time.monotonic(), self.skipped + self.done
        percent = 100.0 * done / max(self.total, 1)
        line = f"{done} of {self.total} steps ({percent:.0f} %), {now - self._start:.0f} s"
        if self._first is not None and self.done > self._first[0] and done < self.total:
            rate = (self.done - self._first[0]) / max(now - self._first[1], 1e-9)
            line += f", {(self.total - done) / rate:.0f} s left"
        self._stream.write(f"lyapy: {line}\n")
        self._stream.flush()
