"""Runs to be interrupted, whose every chunk is a checkpoint, on any machine."""

import threading
import time
from contextlib import contextmanager, suppress

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.errors import Interrupted
from lyapy.runs import schedule
from lyapy.runs.checkpoint import checkpointer
from lyapy.runs.checkpoint.folder import checkpoint_folder
from lyapy.runs.gpu import devices
from lyapy.runs.trajectory import Trajectory
from lyapy.spectra.file import STORED

OFTEN = 1e-6


def checkpoint_every_chunk(monkeypatch):
    """Make chunks short, and have each wait for a checkpoint; with ``checkpoint_every=OFTEN``."""
    publish = checkpointer.Checkpointer.publish

    def publish_and_wait(self, b, trajectory, last=False):
        number = self.saved.number
        publish(self, b, trajectory, last)
        while self.every <= OFTEN and self.saved.number == number and self._error is None:
            time.sleep(1e-4)

    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    monkeypatch.setattr(checkpointer.Checkpointer, "publish", publish_and_wait)


DRIVE = np.random.default_rng(0).normal(size=(3, 1000, 2))
OPTIONS = {"transient": 130, "threads": 2}


def network(kind="lstm", **options):
    return lyapy.random_network(kind, 6, 2, seed=1, **{"layers": 2, **options})


def compute(checkpoint=None, net=None, drive=DRIVE, **options):
    net = network() if net is None else net
    return lyapy.lyapunov_spectrum(net, drive, checkpoint=checkpoint, **OPTIONS | options)


def interrupt_after(chunks, monkeypatch, together=1):
    advance, there = Trajectory.advance, threading.Barrier(together)

    def counted(self, *others):
        done = getattr(self, "chunks_done", 0) + 1
        if done > chunks:
            there.wait(60)
            raise KeyboardInterrupt
        self.chunks_done = done
        return advance(self, *others)

    monkeypatch.setattr(Trajectory, "advance", counted)


@contextmanager
def interrupted(monkeypatch, chunks, kind=Trajectory):
    """Interrupt the run inside after so many chunks of all its trajectories or batches."""
    advance, done, lock = kind.advance, [], threading.Lock()

    def counted(self, *others):
        with lock:
            done.extend((self, *others))
            if len(done) > chunks:
                raise KeyboardInterrupt
        return advance(self, *others)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "advance", counted)
        # each chunk of a batch is published, as if it cost nothing
        patched.setattr(devices, "CHECKPOINT_SHARE", np.inf)
        with pytest.raises(Interrupted, match=r"checkpoint \d+ is kept"):
            yield


def stop_after(chunks, monkeypatch):
    checkpoint_every_chunk(monkeypatch)
    publish, done = checkpointer.Checkpointer.publish, []

    def publish_some(self, b, trajectory, last=False):
        if last:
            return
        publish(self, b, trajectory)
        done.append(b)
        if len(done) == chunks:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpointer.Checkpointer, "publish", publish_some)


def in_pieces(chunks, monkeypatch, *arguments, **options):
    with monkeypatch.context() as patched:
        interrupt_after(chunks, patched)
        for _ in range(100):
            with suppress(Interrupted):
                return compute(*arguments, **options)
    raise AssertionError("the run makes no progress")


def assert_same_bits(one, other):
    for name in STORED:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)


def datasets(path):
    """Return type, shape and bytes of all datasets of a file."""
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = str(item.dtype), item.shape, item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(add)
    return found


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(data)


def unfinished(path, monkeypatch, chunks=12, together=1, often=True, **options):
    """Leave an interrupted run behind, with several checkpoints if often; return its folder."""
    with monkeypatch.context() as patched:
        interrupt_after(chunks, patched, together)
        if often:
            checkpoint_every_chunk(patched)
            options["checkpoint_every"] = OFTEN
        with pytest.raises(Interrupted, match=r"run.h5: interrupted .* run the same command again"):
            compute(path, **options)
    return checkpoint_folder(path)
