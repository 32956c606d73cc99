"""However far the writes of a run got, it goes on to the same result."""

import os

import numpy as np
import pytest

import lyapy
from lyapy.runs import schedule
from lyapy.runs.checkpoint import checkpointer
from lyapy.runs.checkpoint.folder import checkpoint_folder, newest_state
from tests.support.made_checkpoints import OFTEN, checkpoint_every_chunk, datasets
from tests.support.watched_files import watched

NETWORK = lyapy.random_network("gru", 3, 1, gain=1.5, seed=1)
DRIVE = np.random.default_rng(0).normal(size=(1, 96, 1))


def compute(path, every=300.0):
    options = {"backend": "numpy", "threads": 1, "record": ("growth", "states"), "record_every": 32}
    lyapy.lyapunov_spectrum(NETWORK, DRIVE, checkpoint=path, checkpoint_every=every, **options)


class Disk:
    """The files on a disk after some changes, and after a loss of power.

    A file is [content, content when it was last synced]; a folder is None.
    """

    def __init__(self, root):
        self.root = root
        self.names, self.synced = {}, {}
        self.descriptors = {}

    def apply(self, name, result, *arguments):
        getattr(self, f"_{name}")(result, *arguments)

    def contents(self, loss):
        """Return the files left: all, their synced content, or that under synced names."""
        names = self.synced if loss == "names" else self.names
        return {
            name: file and file[loss != "nothing"]
            for name, file in sorted(names.items())
            if os.path.dirname(name) in ("", *names)
        }

    def _inside(self, path):
        return os.path.relpath(path, self.root)

    def _open(self, descriptor, path, flags, mode=0o777):
        name = self._inside(path)
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            return
        assert not flags & os.O_TRUNC
        if flags & os.O_CREAT:
            self.names.setdefault(name, [b"", b""])
        self.descriptors[descriptor] = name if name == "." else self.names[name] or name

    def _pwrite(self, _, descriptor, start, data):
        file = self.descriptors[descriptor]
        file[0] = file[0].ljust(start, b"\0")[:start] + data + file[0][start + len(data) :]

    def _write(self, _, descriptor, data):
        self.descriptors[descriptor][0] += data

    def _ftruncate(self, _, descriptor, size):
        file = self.descriptors[descriptor]
        file[0] = file[0][:size].ljust(size, b"\0")

    def _fsync(self, _, descriptor):
        file = self.descriptors[descriptor]
        if isinstance(file, list):
            file[1] = file[0]
            return
        here = "" if file == "." else file
        for names in (self.names, self.synced):
            for name in [n for n in names if os.path.dirname(n) == here]:
                if name in self.names:
                    self.synced[name] = self.names[name]
                else:
                    del self.synced[name]

    def _replace(self, _, old, new):
        self.names[self._inside(new)] = self.names.pop(self._inside(old))

    def _link(self, _, old, new):
        self.names[self._inside(new)] = self.names[self._inside(old)]

    def _unlink(self, _, path):
        del self.names[self._inside(path)]

    def _mkdir(self, _, path, mode=0o777):
        self.names[self._inside(path)] = None

    def _rmdir(self, _, path):
        del self.names[self._inside(path)]


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    log, write = [], checkpointer.write_checkpoint

    def write_checkpoint(folder, saved, segment):
        found = write(folder, saved, segment)
        log.append(("acknowledged", found.number))
        return found

    monkeypatch.setattr(checkpointer, "write_checkpoint", write_checkpoint)
    checkpoint_every_chunk(monkeypatch)
    root = tmp_path / "first"
    root.mkdir()
    with watched(after=lambda *change: log.append(change)):
        compute(root / "run.h5", every=OFTEN)
    monkeypatch.undo()
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    # nothing to wait for where the disk is made up
    monkeypatch.setattr(os, "fsync", lambda _: None)
    log.append(("acknowledged", "all"))
    return root, log


@pytest.mark.parametrize("loss", ["nothing", "data", "names"])
def test_every_prefix_of_the_writes_is_continued(loss, recorded, tmp_path):
    """After a kill nothing is lost; after a power cut unsynced content, or unsynced names."""
    first, log = recorded
    wanted, disk = datasets(first / "run.h5"), Disk(first)
    tried, acknowledged, before = 0, 0, None
    for name, *change in log:
        if name == "acknowledged":
            acknowledged = change[0]
        else:
            disk.apply(name, *change)
        contents = disk.contents(loss)
        # a file that is not in place yet is removed unread, however far it got
        seen = {n: not n.endswith(".part") and content for n, content in contents.items()}
        if seen == before and name != "acknowledged":
            continue
        before = seen
        tried += 1
        root = tmp_path / str(tried)
        put(contents, root)
        path = root / "run.h5"
        if acknowledged == "all":
            assert datasets(path) == wanted
        elif acknowledged and not path.exists():
            assert newest_state(checkpoint_folder(path)).number >= acknowledged
        compute(path)
        assert datasets(path) == wanted
        assert os.listdir(root) == ["run.h5"]
    assert acknowledged == "all"
    assert tried > (10 if loss == "names" else 20)


def put(contents, root):
    root.mkdir()
    for name, content in contents.items():
        if content is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(content)


def test_the_recorded_changes_are_all(recorded):
    root, log = recorded
    disk = Disk(root)
    for change in log:
        if change[0] != "acknowledged":
            disk.apply(*change)
    left = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert disk.contents("nothing") == disk.contents("data") == left
    assert list(left) == ["run.h5"]
