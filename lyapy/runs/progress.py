"""Progress of a run: tqdm's bar on a terminal or in a notebook, plain lines in a log."""

from __future__ import annotations

import logging
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TextIO

# a batch log shows that the job is alive, and stays short
SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Counts steps or networks from several threads and, if asked, shows them on standard error."""

    def __init__(
        self, total: int, shown: bool, stream: TextIO | None = None, unit: str = "step"
    ) -> None:
        self.total, self.unit = total, unit
        self.done = self.skipped = 0
        self.stopped = threading.Event()
        # it is None where it was closed before the start
        self._stream = stream or sys.stderr
        writable = self._stream is not None and not self._stream.closed
        shown = shown and writable
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._bar: Any = None
        self._lines = shown and not self._stream.isatty() and not in_notebook()
        self._start = time.monotonic()
        # steps and time of the first count: the time before, compiling above all, predicts nothing
        self._first: tuple[int, float] | None = None
        if self._lines:
            threading.Thread(target=self._write_lines, daemon=True).start()
        elif shown:
            self._show(self._open_bar)
        # a run that is silent for half a minute looks broken; workers leave that to their parent
        said = shown or (writable and multiprocessing.parent_process() is None)
        self._compiling = _FirstCompilation(partial(self._show, self._say)) if said else None

    def _open_bar(self) -> None:
        import warnings

        from tqdm import TqdmWarning

        with warnings.catch_warnings():
            # without ipywidgets it draws text, and that is enough
            warnings.simplefilter("ignore", TqdmWarning)
            from tqdm.auto import tqdm

        self._bar = tqdm(
            total=self.total, unit=self.unit, unit_scale=self.unit == "step", file=self._stream
        )

    def update(self, steps: int) -> None:
        """Count ``steps`` more; raise KeyboardInterrupt after `stop`."""
        if self.stopped.is_set():
            raise KeyboardInterrupt
        with self._lock:
            self.done += steps
            if self._first is None:
                self._first = (self.done, time.monotonic())
                if self._bar is not None:
                    # forgets the time until now
                    self._bar.unpause()
            if self._bar is not None:
                self._show(self._bar.update, steps)

    def skip(self, steps: int) -> None:
        """Count ``steps`` of an earlier process."""
        with self._lock:
            self.skipped += steps
            if self._bar is not None:
                self._show(self._bar.update, steps)

    def stop(self) -> None:
        """Make every thread that counts here stop."""
        self.stopped.set()

    def close(self) -> None:
        """End the display."""
        with self._lock:
            self._closed.set()
            if self._compiling is not None:
                self._compiling.close()
            if self._bar is not None:
                self._show(self._bar.close)
            if self._lines:
                self._show(self._write_line)

    def _write_lines(self) -> None:
        while not self._closed.wait(SECONDS_BETWEEN_LINES):
            with self._lock:
                if not self._closed.is_set():
                    self._show(self._write_line)

    def _show(self, write: Callable[..., object], *arguments: object) -> None:
        """Write to the stream; a run must not end because that is full or closed."""
        try:
            write(*arguments)
        except (OSError, ValueError):
            if self._bar is not None:
                self._bar.disable = True
            self._bar, self._lines = None, False

    def _write_line(self) -> None:
        now, done = time.monotonic(), self.skipped + self.done
        percent = 100.0 * done / max(self.total, 1)
        line = f"{done} of {self.total} {self.unit}s ({percent:.0f} %), {now - self._start:.0f} s"
        if self._first is not None and self.done > self._first[0] and done < self.total:
            rate = (self.done - self._first[0]) / max(now - self._first[1], 1e-9)
            line += f", {(self.total - done) / rate:.0f} s left"
        self._say(line)

    def _say(self, line: str) -> None:
        if self._bar is None:
            self._stream.write(f"lyapy: {line}\n")
            self._stream.flush()
        else:
            self._bar.write(f"lyapy: {line}", file=self._stream)


def in_notebook() -> bool:
    """Return whether this is a Jupyter kernel."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return "IPKernelApp" in getattr(shell, "config", {})


class _FirstCompilation(logging.Handler):
    """Says that functions are compiled, before handlers of the log, which see ``said``.

    Of several at once, such as those of a sweep and of its networks, the first says it.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        super().__init__(logging.INFO)
        self._say = say
        self._logger = logging.getLogger("lyapy")
        others = self._others()
        self._level: int = others[0]._level if others else self._logger.level
        self._logger.handlers.insert(len(others), self)
        if not self._logger.isEnabledFor(logging.INFO):
            self._logger.setLevel(logging.INFO)

    def _others(self) -> list[_FirstCompilation]:
        return [each for each in self._logger.handlers if isinstance(each, _FirstCompilation)]

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("compiling") and not hasattr(record, "said"):
            vars(record)["said"] = True
            self._say(record.getMessage())

    def close(self) -> None:
        if self in self._logger.handlers:
            self._logger.removeHandler(self)
            if not self._others():
                self._logger.setLevel(self._level)
        super().close()
