"""Locks on file systems without flock, where only the lock's file says who holds it."""

import errno
import json
import os
import platform
import subprocess
import sys

import pytest

from lyapy.errors import LockedError
from lyapy.storage import lock


@pytest.fixture
def folder(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def ended():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("content", ["", "{", "own", "ended", "impossible"])
def test_a_lock_of_no_living_process_is_taken(folder, content):
    processes = {"own": os.getpid(), "ended": ended(), "impossible": 10**20}
    if content in processes:
        content = json.dumps({"host": platform.node(), "process": processes[content]})
    (folder / "lock").write_text(content)
    assert lock.holder(folder) is None
    with lock.held(folder, "run.h5"):
        assert json.loads((folder / "lock").read_text())["process"] == os.getpid()
    assert not folder.exists()


@pytest.mark.parametrize(("host", "process"), [("elsewhere", 1), (platform.node(), os.getppid())])
def test_a_lock_that_may_be_held_is_refused(folder, host, process):
    (folder / "lock").write_text(json.dumps({"host": host, "process": process}))
    assert lock.holder(folder) == f"process {process} on {host}"
    finding = f"run.h5: is being computed by process {process} on {host}; .* delete .*lock"
    with pytest.raises(LockedError, match=finding), lock.held(folder, "run.h5"):
        pass
