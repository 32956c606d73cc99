"""Runs that are interrupted end as if they had not been."""

import os

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.errors import CheckpointError, LockedError
from lyapy.networks.forward import forward_chunk
from lyapy.runs import schedule
from lyapy.runs.checkpoint import checkpointer
from tests.support.made_checkpoints import (
    DRIVE,
    OPTIONS,
    assert_same_bits,
    compute,
    datasets,
    in_pieces,
    network,
    unfinished,
)


@pytest.mark.parametrize("chunks", [1, 3, 5])
def test_a_run_continues_with_longer_chunks_where_it_was(chunks, path, monkeypatch):
    whole = compute()
    unfinished(path, monkeypatch, chunks, often=False)
    # as in another version of lyapy: the position need not be a multiple of the chunk
    monkeypatch.setattr(schedule, "CHUNK_TILES", 4)
    found = compute(path)
    for name in ("growth", "final_state", "final_frame", "intervals"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), strict=True)


@pytest.mark.parametrize("kind", ["vanilla", "gru", "lstm", "lstm-projected"])
@pytest.mark.parametrize("chunks", [1, 2, 3, 9])
def test_a_continued_run_has_the_same_bits(kind, chunks, path, monkeypatch):
    net = network(kind, gain=2.0)
    whole = compute(net=net)
    assert_same_bits(in_pieces(chunks, monkeypatch, path, net), whole)
    assert_same_bits(lyapy.Spectrum.load(path), whole)
    assert os.listdir(path.parent) == ["run.h5"]


@pytest.mark.parametrize("gain", [1.5, 8.0])
def test_both_ends_and_graded_steps_are_continued(gain, path, monkeypatch):
    net = lyapy.random_network("vanilla", 40, 2, gain=gain, seed=1)
    whole = compute(net=net, drive=DRIVE[:1])
    # saturated units leave one frame with separate steps
    assert whole.trailing_intervals.any() == (gain < 2)
    unfinished(path, monkeypatch, 4, often=False, net=net, drive=DRIVE[:1])
    assert_same_bits(compute(path, net, DRIVE[:1]), whole)


@pytest.mark.parametrize(
    ("record", "every"),
    [("growth", 10), (("states", "growth"), 64), (("frames", "factors"), 5), ("states", None)],
)
def test_records_are_continued(record, every, path, monkeypatch, tmp_path):
    options = {"drive": DRIVE[:2, :300], "record": record, "record_every": every}
    monkeypatch.setattr(checkpointer, "BUFFER_BYTES", 5000)
    compute(tmp_path / "whole.h5", **options)
    in_pieces(20 if every == 5 else 2, monkeypatch, path, **options)
    assert datasets(path) == datasets(tmp_path / "whole.h5")


# a state-space layer is followed in the directions of its units
@pytest.mark.parametrize("kind", ["gru", "state-space"])
def test_records_agree_with_the_run(path, kind):
    net = network(kind, layers=1)
    kinds = ("growth", "states", "frames", "factors")
    found = compute(path, net, record=kinds, record_every=10)
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
    first = compute(path)
    before = path.read_bytes()
    with caplog.at_level("INFO", "lyapy"):
        again = compute(path)
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
            compute(path, net, drive, **options)
    assert path.read_bytes() == before
    compute(path, k=3, overwrite=True)
    assert lyapy.Spectrum.load(path).exponents.shape == (3,)


def test_an_unfinished_run_continues_elsewhere_with_a_warning(path, monkeypatch):
    unfinished(path, monkeypatch, 3, often=False)
    with pytest.raises(ValueError, match="another run, seed is 0 there, 1 here"):
        compute(path, seed=1)
    with pytest.raises(ValueError, match="other conditions, threads is 2 there, 1 here"):
        compute(path, require_identical=True, threads=1)
    with pytest.warns(RuntimeWarning, match="other conditions.*threads is 2 there, 1 here"):
        found = compute(path, threads=1)
    assert "threads is 2 there, 1 here" in found.settings["environment_changes"][0]
    assert_same_bits(found, compute())


def test_a_second_writer_is_refused(path):
    from lyapy.storage import lock

    folder = path.with_name("run.h5.checkpoints")
    with lock.held(folder, "run.h5"):
        with pytest.raises(LockedError, match=rf"computed by process {os.getpid()} on "):
            compute(path)
        assert lock.holder(folder).startswith(f"process {os.getpid()} on ")
    assert not folder.exists()
    assert lock.holder(folder) is None


def test_a_dead_process_holds_nothing(path):
    folder = path.with_name("run.h5.checkpoints")
    folder.mkdir()
    (folder / "lock").write_text('{"host": "elsewhere", "process": 1}')
    compute(path)
    assert os.listdir(path.parent) == ["run.h5"]


def test_a_failing_disk_leaves_the_last_checkpoint(path, monkeypatch):
    folder = unfinished(path, monkeypatch)
    before = {p.name: p.read_bytes() for p in folder.glob("*.h5")}

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpointer, "write_checkpoint", full)
    with pytest.raises(CheckpointError, match=r"No space left.* is whole, run the command again"):
        compute(path, checkpoint_every=1e-6)
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in folder.glob("*.h5")} == before
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    found = compute(path)
    assert_same_bits(found, compute())
