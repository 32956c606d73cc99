"""Faults that checkpoints once had."""

import os
import signal
import threading
import time

import numpy as np
import pytest

import lyapy
from lyapy.errors import CheckpointError, Interrupted
from lyapy.runs import schedule
from lyapy.runs.checkpoint import checkpointer, run
from lyapy.runs.checkpoint.checkpointer import Checkpointer
from lyapy.runs.checkpoint.folder import checkpoint_folder
from lyapy.runs.checkpoint.unfinished import read_unfinished
from lyapy.runs.trajectory import Trajectory
from lyapy.storage import lock
from lyapy.storage.sealed import DamagedError
from tests.support.made_checkpoints import OFTEN, checkpoint_every_chunk, datasets, flip, stop_after

NETWORK = lyapy.random_network("gru", 4, 1, gain=1.5, seed=1)
DRIVE = np.random.default_rng(0).normal(size=(1, 640, 1))
STATES = {"record": "states", "record_every": 64}


def compute(path, **options):
    options = {"backend": "numpy", "threads": 1, **options}
    return lyapy.lyapunov_spectrum(NETWORK, DRIVE, checkpoint=path, **options)


def interrupt(path, monkeypatch, chunks=5, **options):
    with monkeypatch.context() as patched:
        stop_after(chunks, patched)
        with pytest.raises(Interrupted):
            compute(path, checkpoint_every=OFTEN, **options)


def test_every_error_of_the_writer_ends_the_run(tmp_path, monkeypatch):
    write = checkpointer.write_checkpoint

    def write_checkpoint(folder, saved, segment):
        if saved.number == 2:
            raise RuntimeError("HDF5 does not answer")
        return write(folder, saved, segment)

    with monkeypatch.context() as patched:
        checkpoint_every_chunk(patched)
        patched.setattr(checkpointer, "write_checkpoint", write_checkpoint)
        with pytest.raises(CheckpointError, match=r"does not answer.*checkpoint 1 is whole"):
            compute(tmp_path / "run.h5", checkpoint_every=OFTEN, **STATES)
    compute(tmp_path / "run.h5", **STATES)
    compute(tmp_path / "whole.h5", **STATES)
    assert datasets(tmp_path / "run.h5") == datasets(tmp_path / "whole.h5")


def test_the_room_that_is_taken_need_not_be_free(tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    interrupt(path, monkeypatch, chunks=9, **STATES)
    taken = sum(p.stat().st_size for p in checkpoint_folder(path).glob("segment-*"))
    # twice ten rows of four states
    free = 2 * 10 * 4 * 8 - 1
    assert taken > 1
    usage = lambda _: type("Usage", (), {"free": free})()  # noqa: E731
    monkeypatch.setattr("lyapy.runs.checkpoint.run.shutil.disk_usage", usage)
    compute(path, **STATES)
    with pytest.raises(CheckpointError, match=r"need up to .* GB more"):
        compute(tmp_path / "new.h5", **STATES)


def test_a_writer_that_comes_as_one_leaves_does_no_harm(tmp_path, monkeypatch):
    folder, unlink = tmp_path / "run.h5.checkpoints", os.unlink

    def unlink_and_create(path, **options):
        unlink(path, **options)
        (folder / "lock").touch()

    with lock.held(folder, "run.h5"):
        monkeypatch.setattr(os, "unlink", unlink_and_create)
    assert (folder / "lock").exists()


def test_a_finished_run_does_not_take_another_with_it(tmp_path, monkeypatch):
    """The next call removes checkpoints that a kill left, but not those of a run to replace it."""
    path = tmp_path / "run.h5"
    compute(path)
    interrupt(path, monkeypatch, k=2, overwrite=True)
    compute(path)
    assert checkpoint_folder(path).exists()
    compute(path, k=2, overwrite=True)
    assert lyapy.Spectrum.load(path).exponents.shape == (2,)
    interrupt(path, monkeypatch, k=2, overwrite=True)
    compute(path, k=2)
    assert os.listdir(tmp_path) == ["run.h5"]


@pytest.mark.parametrize("kind", ["state", "segment"])
def test_no_damage_is_shown(kind, tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    interrupt(path, monkeypatch)
    newest = max(checkpoint_folder(path).glob(f"{kind}-*"))
    flip(newest, 8 * newest.stat().st_size - 72)
    if kind == "state":
        assert read_unfinished(path).steps == 256
    else:
        with pytest.raises(DamagedError, match=newest.name):
            read_unfinished(path)


def test_an_interruption_of_the_merge(tmp_path, monkeypatch):
    """HDF5 is not interrupted, and the checkpoints stay."""
    path = tmp_path / "run.h5"
    compute(tmp_path / "whole.h5", **STATES)
    seen, pieces = [], run.Records._pieces

    def slow(self):
        for piece in pieces(self):
            seen.append(threading.current_thread())
            os.kill(os.getpid(), signal.SIGINT)
            deadline = time.monotonic() + 60
            while not self.stop.is_set():
                assert time.monotonic() < deadline
                time.sleep(1e-3)
            yield piece

    with monkeypatch.context() as patched:
        patched.setattr(run.Records, "_pieces", slow)
        with pytest.raises(Interrupted, match="checkpoint 1 is kept"):
            compute(path, **STATES)
    assert seen and threading.main_thread() not in seen
    assert not path.exists()
    compute(path, **STATES)
    assert datasets(path) == datasets(tmp_path / "whole.h5")


def test_short_chunks_are_not_all_published(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    saved, save, gap = [], Trajectory.save, []
    init = Checkpointer.__init__

    def with_gap(self, *arguments):
        init(self, *arguments)
        self.gap = 1e6
        gap.append(self.every)

    monkeypatch.setattr(Checkpointer, "__init__", with_gap)
    monkeypatch.setattr(Trajectory, "save", lambda t: saved.append(t.position) or save(t))
    compute(tmp_path / "run.h5")
    assert saved == [64, 640]
    assert gap == [299.0]


def test_a_file_that_appears_during_the_run_is_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    compute_spectrum = run.compute_spectrum

    def meanwhile(*arguments):
        path.write_bytes(b"of another program")
        return compute_spectrum(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(run, "compute_spectrum", meanwhile)
        with pytest.raises(
            CheckpointError, match=r"run\.h5: appeared during the run.*move the file"
        ):
            compute(path)
    assert path.read_bytes() == b"of another program"
    path.unlink()
    compute(path)
    compute(tmp_path / "whole.h5")
    assert datasets(path) == datasets(tmp_path / "whole.h5")
