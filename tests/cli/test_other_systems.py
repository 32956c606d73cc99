"""Without calls that macOS and Windows lack, import, help and the NumPy engine work."""

import subprocess
import sys

import pytest

HIDE = """
import os, signal, sys
sys.modules["fcntl"] = None
for name in ("O_TMPFILE", "O_NONBLOCK", "sched_getaffinity"):
    delattr(os, name)
del signal.SIGUSR1
from lyapy.cli import main
sys.exit(main(sys.argv[1:]))
"""


pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(sys.platform != "linux", reason="hides what Linux has"),
]


def run(*words):
    command = [sys.executable, "-W", "error", "-c", HIDE, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


WORDS = ("--inputs", "drive.npy", "--backend", "numpy", "-o", "run.h5")


def test_a_run_works_without_them(folder):
    assert "usage: lyapy" in run("--help").stdout
    done = run("spectrum", "gru.npz", *WORDS)
    assert done.returncode == 0, done.stderr
    assert not (folder / "run.h5.checkpoints").exists()
    assert run("show", "run.h5").returncode == 0
    assert run("merge", "run.h5", "-o", "all.h5").returncode == 0


def test_without_locks_the_process_that_signed_is_believed(folder):
    (folder / "run.h5.checkpoints").mkdir()
    lock = folder / "run.h5.checkpoints/lock"
    lock.write_text('{"host": "elsewhere", "process": 1}')
    done = run("spectrum", "gru.npz", *WORDS)
    assert done.returncode == 73
    assert "process 1 on elsewhere; if it has ended, delete" in done.stderr
