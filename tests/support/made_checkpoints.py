"""Runs to be interrupted, whose every chunk is a checkpoint, on any machine."""

import threading
import time

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.errors import Interrupted
from lyapy.runs import schedule
from lyapy.runs.checkpoint import checkpointer
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


def interrupt_after(chunks, monkeypatch, together=1):
    """Interrupt the run once ``together`` trajectories have advanced by ``chunks`` chunks."""
    advance, there = Trajectory.advance, threading.Barrier(together)

    def counted(self):
        done = getattr(self, "chunks_done", 0) + 1
        if done > chunks:
            there.wait(60)
            raise KeyboardInterrupt
        self.chunks_done = done
        return advance(self)

    monkeypatch.setattr(Trajectory, "advance", counted)
    return lambda: monkeypatch.setattr(Trajectory, "advance", advance)


def assert_same_bits(one, other):
    for name in STORED:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), strict=True)


def datasets(path):
    """Return the bytes of every dataset of a file."""
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(add)
    return found


def flip(path, bit):
    """Flip a bit of a file."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(data)


def unfinished(path, monkeypatch, chunks=12):
    """Leave a run with several checkpoints behind."""
    restore = interrupt_after(chunks, monkeypatch)
    options = {**OPTIONS, "checkpoint": path, "checkpoint_every": OFTEN}
    with monkeypatch.context() as patched:
        checkpoint_every_chunk(patched)
        with pytest.raises(Interrupted):
            lyapy.lyapunov_spectrum(network(), DRIVE, **options)
    restore()
    return path.with_name("run.h5.checkpoints")
