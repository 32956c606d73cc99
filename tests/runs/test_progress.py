"""Progress in a log, and the message when a run is to stop."""

import errno
import io
import logging
import multiprocessing
import os
import re
import signal
import sys
import time
import types

import pytest

from lyapy.cli import main, signals, spectrum
from lyapy.runs import progress
from lyapy.runs.progress import Progress


def test_compiling_does_not_count_for_the_time_left(monkeypatch):
    log, now = io.StringIO(), [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = Progress(1280, True, log)
    now[0] = 35.0
    shown.update(64)
    shown._write_line()
    now[0] = 36.0
    shown.update(64)
    shown._write_line()
    now[0] = 55.0
    shown.update(1152)
    shown.close()
    assert log.getvalue().splitlines() == [
        "lyapy: 64 of 1280 steps (5 %), 35 s",
        "lyapy: 128 of 1280 steps (10 %), 36 s, 18 s left",
        "lyapy: 1280 of 1280 steps (100 %), 55 s",
    ]


def test_a_notebook_shows_a_bar_whose_time_starts_after_compiling(monkeypatch):
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    log, now = io.StringIO(), [0.0]
    shown = Progress(1280, True, log)
    bar = shown._bar
    monkeypatch.setattr(bar, "_time", lambda: now[0] + bar.last_print_t)
    start, now[0] = bar.start_t, 40.0
    shown.update(64)
    assert bar.start_t == start + 40.0
    shown.close()
    assert "1.28k" in log.getvalue()


def test_the_kernel_of_a_notebook_is_recognised(monkeypatch):
    assert not progress.in_notebook()
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert progress.in_notebook()


@pytest.mark.parametrize("bar", [False, True])
def test_compiling_is_one_line_and_the_log_is_left_as_it_was(monkeypatch, bar):
    monkeypatch.setattr(progress, "in_notebook", lambda: bar)
    log, logger = io.StringIO(), logging.getLogger("lyapy")
    before = (logger.level, list(logger.handlers))
    shown = Progress(1280, True, log)
    logger.info("compiling, once")
    shown.close()
    assert log.getvalue().count("lyapy: compiling, once\n") == 1
    assert (logger.level, logger.handlers) == before


@pytest.mark.parametrize("worker", [False, True])
def test_compiling_is_said_without_progress_too_but_not_by_workers(monkeypatch, worker):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: worker or None)
    log = io.StringIO()
    shown = Progress(1280, False, log)
    logging.getLogger("lyapy").info("compiling, once")
    shown.update(1280)
    shown.close()
    assert log.getvalue().count("\n") == log.getvalue().count("lyapy: compiling") == (not worker)


def test_of_two_displays_the_first_says_that_it_compiles():
    """The second would write through the bar of the first."""
    logger, logs = logging.getLogger("lyapy"), [io.StringIO(), io.StringIO()]
    before = (logger.level, list(logger.handlers))
    outer, inner = (Progress(10, False, log) for log in logs)
    logger.info("compiling, once")
    outer.close()
    inner.close()
    assert [log.getvalue().count("compiling") for log in logs] == [1, 0]
    assert (logger.level, logger.handlers) == before


def test_a_long_chunk_of_steps_is_not_silent(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    log = io.StringIO()
    shown = Progress(100, True, log)
    deadline = time.monotonic() + 30.0
    while log.getvalue().count("\n") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    shown.close()
    assert re.match(r"(lyapy: 0 of 100 steps \(0 %\), 0 s\n){2}", log.getvalue())


def interrupted(seconds):
    with signals.interruptions():
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(30.0)
        except KeyboardInterrupt:
            time.sleep(seconds)
            raise


def test_a_run_that_stops_slowly_asks_for_patience(monkeypatch, capsys):
    monkeypatch.setattr(signals, "SECONDS_OF_SILENCE", 0.01)
    with pytest.raises(KeyboardInterrupt):
        interrupted(0.3)
    assert capsys.readouterr().err.startswith("lyapy: stopping after the current steps")


def test_a_run_that_stops_at_once_says_nothing(capsys):
    with pytest.raises(KeyboardInterrupt):
        interrupted(0.0)
    assert capsys.readouterr().err == ""


class Full(io.StringIO):
    """A stream that cannot be written, a terminal or not."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_stream_that_cannot_be_written_does_not_end_a_run(terminal):
    shown = Progress(100, True, Full(terminal))
    shown.update(50)
    shown.skip(50)
    shown.close()
    assert (shown.done, shown.skipped) == (50, 50)


def test_a_closed_stream_does_not_end_a_run(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    shown = Progress(100, True)
    shown.update(100)
    shown.close()
    closed = io.StringIO()
    closed.close()
    Progress(100, True, closed).close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
def test_a_signal_before_the_run_asks_to_run_again(tmp_path, monkeypatch, capsys, number, code):
    monkeypatch.setattr(spectrum, "_compute", lambda *_: os.kill(os.getpid(), number))
    assert main(["spectrum", "net.npz", "-o", str(tmp_path / "run.h5")]) == code
    assert capsys.readouterr().err.startswith("lyapy: interrupted")
