"""A run from the final state and frame of another one goes on as if it had not ended."""

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.runs import schedule
from tests.support.made_checkpoints import interrupted

TILE = 64


def both_ways(network, steps=1024, more=512, transient=300, **options):
    """Return the growth (rows, D) after ``steps`` of one run, and of two."""
    each = {"record_every": TILE, **options}
    whole, first = (
        lyapy.lyapunov_spectrum(network, steps=n, transient=transient, **each)
        for n in (steps + more, steps)
    )
    then = lyapy.lyapunov_spectrum(
        network, steps=more, initial_state=first.final_state[0], frame=first.final_frame[0], **each
    )
    return whole, first, then, np.abs(whole.growth[0, steps // TILE :] - then.growth[0])


@pytest.mark.parametrize(
    ("kind", "size", "options", "run", "split"),
    [
        # the trailing rows are orthogonal in the order from the last one, not from the first
        ("vanilla", 64, {"gain": 1.5}, {}, 44),
        ("vanilla", 64, {"gain": 1.5}, {"backend": "numpy"}, 44),
        ("vanilla", 64, {"gain": 3.0}, {}, 44),
        ("lstm", 48, {"gain": 3.0}, {}, 63),
        # one frame, and graded steps
        ("vanilla", 64, {"gain": 1.5}, {"two_ended": False}, 64),
        ("vanilla", 64, {"gain": 10.0}, {}, 64),
        ("gru", 24, {"gain": 3.0}, {}, 24),
    ],
)
def test_growth_goes_on(kind, size, options, run, split):
    network = lyapy.random_network(kind, size, seed=1, **options)
    _, first, _, difference = both_ways(network, **run)
    assert first.split == split
    frame = first.final_frame[0]
    np.testing.assert_allclose(frame @ frame.T, np.eye(len(frame)), atol=1e-13)
    assert difference.max() < 1e-5


def test_growth_far_below_that_of_other_directions_goes_on():
    """A state that falls to 0 annihilates half the directions of an LSTM, ever more of them."""
    network = lyapy.random_network("lstm", 48, gain=1.0, seed=1)
    whole, _, then, difference = both_ways(network)
    assert whole.growth[0, -1, -1] < -3e4
    assert then.resolved.all()
    assert difference.max() < 1e-5


def test_recorded_frames_are_orthonormal(tmp_path):
    network = lyapy.random_network("vanilla", 64, gain=1.5, seed=1)
    path = tmp_path / "run.h5"
    lyapy.lyapunov_spectrum(network, steps=1024, transient=300, record="frames", checkpoint=path)
    with h5py.File(path) as file:
        frames = file["records/frames/0"][0]
    overlaps = frames @ frames.transpose(0, 2, 1)
    np.testing.assert_allclose(overlaps, np.broadcast_to(np.eye(64), overlaps.shape), atol=1e-7)


@pytest.mark.repeats
def test_a_device_goes_on_from_both_ends(device, tmp_path, monkeypatch):
    network = lyapy.random_network("vanilla", 64, gain=1.5, seed=1)
    options = {"steps": 1280, "transient": 300, "record_every": TILE, "threads": 1}
    whole = lyapy.lyapunov_spectrum(network, **options)
    with monkeypatch.context() as stopped:
        stopped.setattr(schedule, "CHUNK_TILES", 1)
        # five of the transient, and sixteen
        with interrupted(stopped, 21):
            lyapy.lyapunov_spectrum(network, checkpoint=tmp_path / "run.h5", **options)
    other = {"backend": "cupy", "any_backend": True, "checkpoint": tmp_path / "run.h5"}
    with pytest.warns(RuntimeWarning, match="backend is"):
        found = lyapy.lyapunov_spectrum(network, **other, **options)
    np.testing.assert_allclose(found.growth, whole.growth, atol=1e-5)
