"""Several GPUs on one node, by stand-ins whose arrays refuse one another."""

import gc
import threading
import weakref

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.runs import schedule
from lyapy.runs.gpu import batch
from lyapy.tangent import engine as engines
from tests.support import stand_in
from tests.support.made_checkpoints import assert_same_bits, interrupted

NETWORK = lyapy.random_network("gru", 5, 2, layers=2, seed=1)
DRIVE = np.random.default_rng(0).normal(size=(6, 200, 2))


@pytest.fixture
def devices(monkeypatch):
    """Sets how many there are."""
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)

    def set_number(count):
        found = tuple(stand_in.stand_in(number=number) for number in range(count))
        monkeypatch.setattr(engines, "find_devices", lambda: found)

    return set_number


@pytest.fixture
def used(monkeypatch):
    """The trajectories of each batch, by the device that computed them; each device gets some."""
    found, begin, meeting = {}, batch.Batch.__init__, threading.Barrier(2)

    def noted(self, names, *arguments):
        begin(self, names, *arguments)
        if stand_in.current() not in found and devices_of(self) > 1:
            # the first does not take all before the second begins
            meeting.wait(30)
        found.setdefault(stand_in.current(), []).append(
            [int(name.removeprefix("trajectory ")) for name in names]
        )

    def devices_of(self):
        return len(self.trajectories[0].engine.devices)

    monkeypatch.setattr(batch.Batch, "__init__", noted)
    return found


def test_the_result_does_not_depend_on_the_number_of_devices(devices, used):
    devices(1)
    one = lyapunov_spectrum(NETWORK, DRIVE, backend="cupy", threads=2)
    assert used == {0: [[0, 1], [2, 3], [4, 5]]}
    used.clear()
    devices(2)
    two = lyapunov_spectrum(NETWORK, DRIVE, backend="cupy", threads=2)
    assert sorted(used) == [0, 1]
    assert sorted(used[0] + used[1]) == [[0, 1], [2, 3], [4, 5]]
    assert_same_bits(two, one)


def test_each_device_gets_an_equal_part(devices, used):
    """By default; the result then is the same within the tolerance."""
    devices(2)
    two = lyapunov_spectrum(NETWORK, DRIVE, backend="cupy")
    assert sorted(used[0] + used[1]) == [[0, 1, 2], [3, 4, 5]]
    assert two.settings["threads"] == 3
    used.clear()
    devices(1)
    one = lyapunov_spectrum(NETWORK, DRIVE, backend="cupy")
    assert (used, one.settings["threads"]) == ({0: [[0, 1, 2, 3, 4, 5]]}, 6)
    np.testing.assert_allclose(two.growth, one.growth, atol=1e-7)


def test_one_device_goes_on_with_what_two_began(devices, monkeypatch, tmp_path):
    options = {"backend": "cupy", "threads": 2, "checkpoint": tmp_path / "run.h5"}
    devices(2)
    with interrupted(monkeypatch, 5, batch.Batch):
        lyapunov_spectrum(NETWORK, DRIVE, **options)
    devices(1)
    found = lyapunov_spectrum(NETWORK, DRIVE, **options)
    assert_same_bits(found, lyapunov_spectrum(NETWORK, DRIVE, backend="cupy", threads=2))


def test_a_run_that_continues_on_another_card_warns(monkeypatch, tmp_path):
    options = {"backend": "cupy", "checkpoint": tmp_path / "run.h5", "steps": 128, "seed": 2}
    network = lyapy.random_network("vanilla", 3, seed=1)
    cards = [stand_in.stand_in()._replace(name=name) for name in ("one card", "another")]
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    monkeypatch.setattr(engines, "find_devices", lambda: (cards[0],))
    with interrupted(monkeypatch, 1, batch.Batch):
        lyapunov_spectrum(network, **options)
    monkeypatch.setattr(engines, "find_devices", lambda: (cards[1],))
    with pytest.raises(ValueError, match="gpu is 'one card' there, 'another' here"):
        lyapunov_spectrum(network, require_identical=True, **options)
    with pytest.warns(RuntimeWarning, match="gpu is 'one card' there"):
        found = lyapunov_spectrum(network, **options)
    assert any("gpu is" in change for change in found.settings["environment_changes"])


def test_an_error_on_one_device_stops_the_other(devices):
    """And the trajectory is named."""
    devices(2)
    network = lyapy.Network([lyapy.Vanilla(None, 3.0 * np.eye(2), nonlinearity="identity")])
    states = np.zeros((4, 2))
    states[3] = 1.0
    with pytest.raises(FloatingPointError, match="trajectory 3: the state is not finite"):
        lyapunov_spectrum(network, steps=10_000, initial_state=states, backend="cupy")


def test_a_finished_batch_gives_its_memory_back(devices, monkeypatch):
    """Before the next one begins."""
    devices(1)
    batches, begin = weakref.WeakSet(), batch.Batch.__init__

    def counted(self, *arguments):
        gc.collect()
        assert not batches
        batches.add(self)
        begin(self, *arguments)

    monkeypatch.setattr(batch.Batch, "__init__", counted)
    lyapunov_spectrum(NETWORK, DRIVE[:3], backend="cupy", threads=1)


def test_arrays_of_two_devices_refuse_one_another(devices):
    first, second = stand_in.stand_in(), stand_in.stand_in(number=1)
    array = first.to_device(np.eye(2))
    second.activate()
    try:
        other = second.to_device(np.eye(2))
        for wrong in (lambda: array + other, lambda: other @ array, lambda: second.to_host(array)):
            with pytest.raises(ValueError, match="an array of device 0 is used on device 1"):
                wrong()
    finally:
        first.activate()
