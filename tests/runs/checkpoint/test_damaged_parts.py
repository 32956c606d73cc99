"""Parts of an unfinished run that are damaged: rolled back, or refused."""

import numpy as np
import pytest

import lyapy
from lyapy.runs import schedule
from lyapy.storage.sealed import check_seal
from tests.support.made_checkpoints import DRIVE, OPTIONS, assert_same_bits, network, unfinished


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def test_a_damaged_state_is_rolled_back(path, monkeypatch):
    whole = lyapy.lyapunov_spectrum(network(), DRIVE, **OPTIONS)
    parts = unfinished(path, monkeypatch)
    newest = max(parts.glob("state-*.h5"))
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 4
    newest.write_bytes(data)
    with pytest.warns(RuntimeWarning, match=f"{newest.name}: .* the checkpoint before it is used"):
        found = lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **OPTIONS)
    assert_same_bits(found, whole)


def test_every_flipped_bit_and_truncation_is_found(path, monkeypatch):
    parts = unfinished(path, monkeypatch)
    whole = {p: p.read_bytes() for p in parts.glob("*.h5")}
    rng = np.random.default_rng(0)
    for p, data in whole.items():
        damaged = [data[:n] for n in range(0, len(data), 512)]
        for bit in rng.integers(8 * len(data), size=50):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << (bit % 8)
            damaged.append(bytes(flipped))
        for content in damaged:
            p.write_bytes(content)
            with pytest.raises(ValueError, match=p.name):
                check_seal(p)
        p.write_bytes(data)


def test_a_run_beyond_repair_is_told(path, monkeypatch):
    parts = unfinished(path, monkeypatch)
    first = min(parts.glob("segment-*.h5"))
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{first.name}: is truncated.*--overwrite"):
        lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **OPTIONS)
    found = lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, overwrite=True, **OPTIONS)
    assert_same_bits(found, lyapy.lyapunov_spectrum(network(), DRIVE, **OPTIONS))
