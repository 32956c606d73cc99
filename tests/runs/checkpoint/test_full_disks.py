"""Full disks, quotas, folders that cannot be written, and second writers, in processes."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.errors import CheckpointError
from lyapy.weights.frameworks.canonical import canonical_bytes
from tests.support.made_checkpoints import OFTEN, checkpoint_every_chunk, datasets, stop_after
from tests.support.watched_files import watched

NETWORK = lyapy.random_network("gru", 4, 1, gain=1.5, seed=1)
DRIVE = np.random.default_rng(0).normal(size=(1, 192, 1))
RECORDS = {"record": ("states", "frames"), "record_every": 2}


def compute(path, every=300.0, **options):
    options = {"backend": "numpy", "threads": 1, "checkpoint_every": every, **RECORDS, **options}
    return lyapy.lyapunov_spectrum(NETWORK, DRIVE, checkpoint=path, **options)


@pytest.fixture
def whole(tmp_path):

    def whole(**options):
        compute(tmp_path / "whole.h5", **options)
        return datasets(tmp_path / "whole.h5")

    return whole


@pytest.fixture
def mount(tmp_path):
    mounted = []

    def mount(*options):
        folder = tmp_path / f"mount{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", folder]
        found = shutil.which("mount") and subprocess.run(command, capture_output=True, text=True)
        if not found or found.returncode:
            pytest.skip(f"cannot mount here: {found.stderr.strip() if found else 'no mount'}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def in_process(do):
    """Return how a call in a child process ended: its exit code, or minus a signal."""
    child = os.fork()
    if not child:
        code = 70
        try:
            code = do()
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status)


def refuse_from(number, code):
    seen = 0

    def before(name, *_):
        nonlocal seen
        seen += name in ("pwrite", "write")
        if seen >= number and name in ("pwrite", "write"):
            raise OSError(code, os.strerror(code))

    return before


def test_a_quota_may_end_at_any_write(whole, tmp_path, monkeypatch):
    """Whichever write fails, the run ends in good order, and continues once there is room."""
    checkpoint_every_chunk(monkeypatch)
    wanted = whole(record_every=64)

    def attempt(path, number):
        with watched(before=refuse_from(number, errno.EDQUOT)):
            try:
                compute(path, every=OFTEN, record_every=64)
            except CheckpointError as error:
                text = str(error)
                named = os.strerror(errno.EDQUOT) in text and "run the command again" in text
                return 74 if named and path.name in text else 71
        return 0

    number, ends = 1, []
    while not ends or ends[-1]:
        path = tmp_path / f"{number}.h5"
        ends.append(in_process(lambda path=path, number=number: attempt(path, number)))
        if len(ends) % 3 == 1 or not ends[-1]:
            compute(path, record_every=64)
            assert datasets(path) == wanted
        number += 1 if number < 4 else 7
    assert set(ends[:-1]) == {74}
    assert len(ends) > 7


@pytest.fixture
def words(tmp_path):
    (tmp_path / "net.h5").write_bytes(canonical_bytes(NETWORK))
    np.save(tmp_path / "drive.npy", DRIVE)
    np.save(tmp_path / "long.npy", np.random.default_rng(0).normal(size=(2, 5000, 1)))

    def words(folder, drive="drive.npy", **options):
        options = {"inputs": tmp_path / drive, "output": folder / "run.h5", **options}
        options = {"backend": "numpy", "threads": 1, **options}
        named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        return ["spectrum", str(tmp_path / "net.h5"), "--quiet", *named]

    return words


FRAMES = {"record": "states,frames", "record_every": 2}
FEWER = {**FRAMES, "record_every": 16}


def test_records_without_room_are_refused_at_the_start(mount, words, capsys):
    folder = mount("size=20k")
    assert main(words(folder, **FRAMES)) == 74
    assert "run.h5: the records need up to" in capsys.readouterr().err
    assert os.listdir(folder) == []


def test_a_disk_that_fills_on_the_way_loses_nothing(mount, words, whole, monkeypatch, capsys):
    folder = mount("size=1m")
    checkpoint_every_chunk(monkeypatch)
    write, filler = lyapy.runs.checkpoint.checkpointer.write_checkpoint, folder / "filler"

    def write_checkpoint(into, saved, rows):
        if saved.number == 5:
            fill(filler)
        return write(into, saved, rows)

    monkeypatch.setattr(lyapy.runs.checkpoint.checkpointer, "write_checkpoint", write_checkpoint)
    assert main(words(folder, checkpoint_every=OFTEN, **FEWER)) == 74
    error = capsys.readouterr().err
    assert "No space left on device" in error and "checkpoint 4 is whole" in error
    assert error.count("\n") == 1
    monkeypatch.undo()
    # still full: even the lock has no room
    assert main(words(folder, **FEWER)) == 74
    assert "run.h5.checkpoints" in capsys.readouterr().err
    filler.unlink()
    assert main(words(folder, **FEWER)) == 0
    assert "continues from checkpoint 4" in capsys.readouterr().err
    assert datasets(folder / "run.h5") == whole(record_every=16)
    assert os.listdir(folder) == ["run.h5"]


@pytest.mark.parametrize("room", [0, 4096, 16384, 40960])
def test_a_disk_that_fills_at_the_end_loses_nothing(room, mount, words, whole, monkeypatch, capsys):
    """In the merge of the records h5py must not crash, and nothing is lost."""
    folder = mount("size=1m")
    merge, filler = lyapy.runs.checkpoint.run.write_result, folder / "filler"

    def write_result(*arguments):
        fill(filler, but=room)
        merge(*arguments)

    monkeypatch.setattr(lyapy.runs.checkpoint.run, "write_result", write_result)
    assert in_process(lambda: main(words(folder, **FRAMES))) == 74
    monkeypatch.undo()
    filler.unlink()
    assert main(words(folder, **FRAMES)) == 0
    assert "continues from checkpoint 1" in capsys.readouterr().err
    assert datasets(folder / "run.h5") == whole()
    assert os.listdir(folder) == ["run.h5"]


def fill(filler, but=0):
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - but))


def test_a_folder_that_cannot_be_written_is_named(mount, words, whole, monkeypatch, capsys):
    folder = mount("size=4m")
    remount(folder, "ro")
    assert main(words(folder, **FRAMES)) != 0
    assert "cannot be written (Read-only file system)" in capsys.readouterr().err
    assert os.listdir(folder) == []
    remount(folder, "rw")
    interrupted(folder / "run.h5", monkeypatch)
    before = {p.name: p.read_bytes() for p in (folder / "run.h5.checkpoints").iterdir()}
    remount(folder, "ro")
    assert main(words(folder, **FRAMES)) != 0
    assert "cannot be written (Read-only file system)" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in (folder / "run.h5.checkpoints").iterdir()} == before
    remount(folder, "rw")
    assert main(words(folder, **FRAMES)) == 0
    assert datasets(folder / "run.h5") == whole()


def interrupted(path, monkeypatch):
    with monkeypatch.context() as patched:
        stop_after(1, patched)
        with pytest.raises(KeyboardInterrupt):
            compute(path, every=OFTEN)


def remount(folder, how):
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


COMMAND = [sys.executable, "-m", "lyapy"]


def begin(words):
    return subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, text=True)


def test_two_writers_do_no_harm(words, tmp_path):
    """One computes, the other names it and ends; started together, neither harms the other."""
    line = words(tmp_path, drive="long.npy")
    first = begin(line)
    lock = tmp_path / "run.h5.checkpoints" / "lock"
    deadline = time.monotonic() + 120
    while not lock.exists() or not lock.stat().st_size:
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)
    second = begin(line)
    error = second.communicate(timeout=120)[1]
    assert second.returncode == 73, error
    assert f"run.h5: is being computed by process {first.pid} on " in error
    assert error.count("\n") == 1
    first.send_signal(signal.SIGCONT)
    assert first.communicate(timeout=120)[1] == "" and first.returncode == 0
    alone = datasets(tmp_path / "run.h5")
    (tmp_path / "run.h5").unlink()
    together = [begin(line) for _ in range(3)]
    errors = [run.communicate(timeout=120)[1] for run in together]
    codes = [run.returncode for run in together]
    assert 0 in codes and set(codes) <= {0, 73}, errors
    assert datasets(tmp_path / "run.h5") == alone
