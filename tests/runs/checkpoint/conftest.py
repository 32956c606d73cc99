"""Short chunks, and a run file to be."""

import pytest

from lyapy.runs import schedule


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Return the run file in an empty folder; chunks are one tile long."""
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    return tmp_path / "run.h5"
