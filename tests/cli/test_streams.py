"""Streams and disks that cannot be written: runs end with their result, or with exit code 74."""

import errno
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lyapy import cli
from lyapy.cli import main
from lyapy.runs.progress import Progress

WORDS = ["spectrum", "gru.npz", "--inputs", "drive.npy", "--backend", "numpy", "-o", "run.h5"]
COMMAND = f"{sys.executable} -m lyapy {' '.join(WORDS)}"

pytestmark = pytest.mark.usefixtures("folder")


def test_that_it_compiles_is_said_once_and_not_through_a_bar(capsys):
    logger, log = logging.getLogger("lyapy"), io.StringIO()
    with cli._log_to_stderr():
        shown = Progress(10, True, log)
        logger.info("compiling, once")
        shown.close()
        assert capsys.readouterr().err == ""
        assert log.getvalue().startswith("lyapy: compiling, once\n")
        logger.info("compiling, once")
        assert capsys.readouterr().err == "lyapy: compiling, once\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's /dev/full")
@pytest.mark.parametrize(
    ("streams", "code"),
    [("2>/dev/full", 0), ("2>&-", 0), (">&-", 0), (">/dev/full", 74), (">/dev/full 2>&1", 74)],
)
def test_streams_that_cannot_be_written(streams, code):
    # else nothing is left to be written at exit
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        f"{COMMAND} {streams}",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
    assert done.returncode == code, done.stderr
    assert os.path.exists("run.h5") and not os.path.exists("run.h5.checkpoints")
    assert "Traceback" not in done.stderr + done.stdout
    if streams == ">/dev/full":
        assert "lyapy: error: standard output: No space left on device\n" in done.stderr


def failing(function, number, part):
    def fail(path, *arguments, **options):
        if part in str(path):
            raise OSError(number, os.strerror(number), str(path))
        return function(path, *arguments, **options)

    return fail


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EMFILE, errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("place", ["lock", "folder", "output", "cleaning"])
def test_a_disk_at_its_limits_ends_with_74_and_names_the_file(monkeypatch, capsys, number, place):
    if place == "folder":
        monkeypatch.setattr(Path, "mkdir", failing(Path.mkdir, number, "checkpoints"))
    elif place == "cleaning":
        monkeypatch.setattr(Path, "unlink", failing(Path.unlink, number, "state-"))
    else:
        part = "lock" if place == "lock" else os.getcwd()
        monkeypatch.setattr(os, "open", failing(os.open, number, part))
    assert main([*WORDS, "--quiet"]) == 74
    error = capsys.readouterr().err
    assert "run.h5" in error and os.strerror(number) in error and "[Errno" not in error


def test_a_lock_that_fails_to_close_hides_nothing(monkeypatch):
    close, locks = os.close, []

    def fail(descriptor):
        locked = os.readlink(f"/proc/self/fd/{descriptor}").partition(" ")[0].endswith("/lock")
        close(descriptor)
        if locked:
            locks.append(descriptor)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", fail)
    assert main([*WORDS, "--quiet"]) == 0
    assert locks
