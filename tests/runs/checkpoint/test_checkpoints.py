"""Runs that are interrupted end as if they had not been."""

import os

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.errors import CheckpointError, Interrupted, LockedError
from lyapy.networks.forward import forward_chunk
from lyapy.runs import schedule
from lyapy.runs.checkpoint import checkpointer
from tests.support.made_checkpoints import (
    DRIVE,
    OPTIONS,
    assert_same_bits,
    datasets,
    interrupt_after,
    network,
    unfinished,
)


@pytest.mark.parametrize("chunks", [1, 3, 5])
def test_a_run_continues_with_longer_chunks_where_it_was(chunks, path, monkeypatch):
    whole = lyapy.lyapunov_spectrum(network(), DRIVE, **OPTIONS)
    restore = interrupt_after(chunks, monkeypatch)
    with pytest.raises(Interrupted):
        lyapy.lyapunov_spectrum(network(), DRIVE, **OPTIONS, checkpoint=path)
    restore()
    # as in another version of lyapy: the position need not be a multiple of the chunk
    monkeypatch.setattr(schedule, "CHUNK_TILES", 4)
    found = lyapy.lyapunov_spectrum(network(), DRIVE, **OPTIONS, checkpoint=path)
    for name in ("growth", "final_state", "final_frame", "intervals"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), strict=True)


@pytest.mark.parametrize("kind", ["vanilla", "gru", "lstm", "lstm-projected"])
@pytest.mark.parametrize("chunks", [1, 2, 3, 9])
def test_a_continued_run_has_the_same_bits(kind, chunks, path, monkeypatch):
    net = network(kind, gain=2.0)
    whole = lyapy.lyapunov_spectrum(net, DRIVE, **OPTIONS)
    restore = interrupt_after(chunks, monkeypatch)
    for _ in range(100):
        try:
            found = lyapy.lyapunov_spectrum(net, DRIVE, checkpoint=path, **OPTIONS)
            break
        except Interrupted:
            pass
    restore()
    assert_same_bits(found, whole)
    assert_same_bits(lyapy.Spectrum.load(path), whole)
    assert os.listdir(path.parent) == ["run.h5"]


@pytest.mark.parametrize("gain", [1.5, 8.0])
def test_both_ends_and_graded_steps_are_continued(gain, path, monkeypatch):
    net = lyapy.random_network("vanilla", 40, 2, gain=gain, seed=1)
    whole = lyapy.lyapunov_spectrum(net, DRIVE[:1], **OPTIONS)
    # saturated units leave one frame with steps of their own
    assert whole.trailing_intervals.any() == (gain < 2)
    restore = interrupt_after(4, monkeypatch)
    with pytest.raises(Interrupted, match=r"run.h5: interrupted .* run the same command again"):
        lyapy.lyapunov_spectrum(net, DRIVE[:1], checkpoint=path, **OPTIONS)
    restore()
    assert_same_bits(lyapy.lyapunov_spectrum(net, DRIVE[:1], checkpoint=path, **OPTIONS), whole)


@pytest.mark.parametrize(
    ("record", "every"),
    [("growth", 10), (("states", "growth"), 64), (("frames", "factors"), 5), ("states", None)],
)
def test_records_are_continued(record, every, path, monkeypatch, tmp_path):
    options = {**OPTIONS, "record": record, "record_every": every}
    monkeypatch.setattr(checkpointer, "BUFFER_BYTES", 5000)
    drive = DRIVE[:2, :300]
    lyapy.lyapunov_spectrum(network(), drive, checkpoint=tmp_path / "whole.h5", **options)
    restore = interrupt_after(20 if every == 5 else 2, monkeypatch)
    for _ in range(100):
        try:
            lyapy.lyapunov_spectrum(network(), drive, checkpoint=path, **options)
            break
        except Interrupted:
            pass
    restore()
    assert datasets(path) == datasets(tmp_path / "whole.h5")


# a state-space layer is followed in the directions of its units
@pytest.mark.parametrize("kind", ["gru", "state-space"])
def test_records_agree_with_the_run(path, kind):
    net = network(kind, layers=1)
    kinds = ("growth", "states", "frames", "factors")
    found = lyapy.lyapunov_spectrum(
        net, DRIVE, checkpoint=path, record=kinds, record_every=10, **OPTIONS
    )
    with h5py.File(path) as file:
        records = file["records"]
        steps = records["step"][()]
        growth, states = records["growth"][()], records["states"][()]
        frames, factors = records["frames/0"][()], records["factors/0"][()]
    assert steps.tolist() == [*range(10, 870, 10), 870]
    np.testing.assert_allclose(growth.sum(axis=1), found.growth.sum(axis=1), atol=1e-9)
    diagonal = np.diagonal(factors, axis1=2, axis2=3)
    np.testing.assert_allclose(np.log(diagonal), growth, atol=1e-7)
    # J Q = Q' R, from one row to the next
    state = states[0, 20]
    J = np.eye(net.state_size)
    for x in DRIVE[0, OPTIONS["transient"] + steps[20] :][:10]:
        J = lyapy.jacobian(net, state, x) @ J
        state = forward_chunk(net, x[None], state).states[-1]
    np.testing.assert_allclose(state, states[0, 21], atol=1e-13)
    np.testing.assert_allclose(J @ frames[0, 20].T, frames[0, 21].T @ factors[0, 21], atol=1e-12)
    np.testing.assert_allclose(states[:, -1], found.final_state, atol=0)


def test_a_finished_run_is_read_and_another_one_refused(path, caplog):
    first = lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **OPTIONS)
    before = path.read_bytes()
    with caplog.at_level("INFO", "lyapy"):
        again = lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **OPTIONS)
    assert "finished already" in caplog.text
    assert_same_bits(first, again)
    assert path.read_bytes() == before
    for net, drive, options, key in (
        (network(), DRIVE, {"k": 3}, "k is 24 there, 3 here"),
        (network(), DRIVE + 1, {}, "inputs_sha256"),
        (network(gain=3.0), DRIVE, {}, "network_sha256"),
        (network(), DRIVE, {"record_every": 128}, "record_every is 64 there, 128 here"),
        (network(), DRIVE, {"initial_state": np.ones(24)}, "initial_states_sha256"),
    ):
        with pytest.raises(ValueError, match=f"another run.*{key}"):
            lyapy.lyapunov_spectrum(net, drive, checkpoint=path, **{**OPTIONS, **options})
    assert path.read_bytes() == before
    lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, k=3, overwrite=True, **OPTIONS)
    assert lyapy.Spectrum.load(path).exponents.shape == (3,)


def test_an_unfinished_run_is_continued_elsewhere_with_a_warning_and_another_is_refused(
    path, monkeypatch
):
    restore = interrupt_after(3, monkeypatch)
    with pytest.raises(Interrupted):
        lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **OPTIONS)
    restore()
    with pytest.raises(ValueError, match="another run, seed is 0 there, 1 here"):
        lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, seed=1, **OPTIONS)
    other = {**OPTIONS, "threads": 1}
    with pytest.raises(ValueError, match="other conditions, threads is 2 there, 1 here"):
        lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, require_identical=True, **other)
    with pytest.warns(RuntimeWarning, match="other conditions.*threads is 2 there, 1 here"):
        found = lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **other)
    assert "threads is 2 there, 1 here" in found.settings["environment_changes"][0]
    assert_same_bits(found, lyapy.lyapunov_spectrum(network(), DRIVE, **OPTIONS))


def test_a_second_writer_is_refused(path):
    from lyapy.storage import lock

    folder = path.with_name("run.h5.checkpoints")
    with lock.held(folder, "run.h5"):
        with pytest.raises(LockedError, match=rf"computed by process {os.getpid()} on "):
            lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **OPTIONS)
        assert lock.holder(folder).startswith(f"process {os.getpid()} on ")
    assert not folder.exists()
    assert lock.holder(folder) is None


def test_a_dead_process_holds_nothing(path):
    folder = path.with_name("run.h5.checkpoints")
    folder.mkdir()
    (folder / "lock").write_text('{"host": "elsewhere", "process": 1}')
    lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **OPTIONS)
    assert os.listdir(path.parent) == ["run.h5"]


def test_a_failing_disk_leaves_the_last_checkpoint(path, monkeypatch):
    folder = unfinished(path, monkeypatch)
    before = {p.name: p.read_bytes() for p in folder.glob("*.h5")}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpointer, "write_checkpoint", full)
    with pytest.raises(CheckpointError, match=r"No space left.* is whole, run the command again"):
        lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, checkpoint_every=1e-6, **OPTIONS)
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in folder.glob("*.h5")} == before
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    found = lyapy.lyapunov_spectrum(network(), DRIVE, checkpoint=path, **OPTIONS)
    assert_same_bits(found, lyapy.lyapunov_spectrum(network(), DRIVE, **OPTIONS))
