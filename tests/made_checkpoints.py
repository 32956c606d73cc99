"""Runs whose every chunk is a checkpoint, on any machine."""

import time

from lyapy import schedule
from lyapy.checkpoint import checkpointer

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
