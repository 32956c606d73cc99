"""Sweeps: each network is computed once, in any order, by any workers, if others break."""

import os
import random
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.errors import CheckpointError
from lyapy.runs import provenance as origin
from lyapy.runs.checkpoint import checkpointer
from lyapy.sweeps import workers
from lyapy.sweeps.inputs import as_file
from tests.support.made_sweeps import NAMES, NETWORKS, OPTIONS, PATTERN, WORDS, statuses, swept
from tests.support.made_weights import DRIVE, GRU

pytestmark = pytest.mark.usefixtures("eight_networks")


class Shuffled(Executor):
    def __init__(self, seed):
        self.tasks, self.seed = [], seed

    def submit(self, function, *arguments):
        future = Future()
        self.tasks.append((future, function, arguments))
        if len(self.tasks) == len(NAMES):
            random.Random(self.seed).shuffle(self.tasks)
            for made, compute, given in self.tasks:
                made.set_result(compute(*given))
        return future


def test_each_network_is_a_row_with_its_metadata_and_its_own_spectrum():
    found = swept(pattern=PATTERN)
    assert [row.name for row in found.rows] == NAMES
    np.testing.assert_array_equal(found.column("lr"), [0.1] * 4 + [0.001] * 4)
    np.testing.assert_array_equal(found.column("gain"), [1, 1, 2, 2] * 2)
    assert found.column("epoch").dtype.kind == "i"
    single = lyapy.lyapunov_spectrum(lyapy.load(f"runs/{NAMES[5]}.npz"), DRIVE, **OPTIONS)
    np.testing.assert_array_equal(found.exponents[5], single.exponents)
    np.testing.assert_equal(lyapy.Sweep.load("sweep.h5").rows[5].columns, found.rows[5].columns)


def test_spawned_processes_give_the_bits_of_threads():
    expected = swept(inputs="drive.npy", checkpoint="one.h5")
    outcomes = []
    found = lyapy.sweep(NETWORKS, DRIVE, workers=2, report=outcomes.append, **OPTIONS)
    np.testing.assert_array_equal(found.exponents, expected.exponents)
    assert sorted(outcome.name for outcome in outcomes) == NAMES
    assert {outcome.code for outcome in outcomes} == {"computed"}


@pytest.fixture
def no_clock(monkeypatch):

    class Still:
        UTC = origin.datetime.UTC
        datetime = type("datetime", (), {"now": staticmethod(lambda zone: origin_date)})

    origin_date = origin.datetime.datetime(2026, 1, 1, tzinfo=origin.datetime.UTC)
    monkeypatch.setattr(origin, "datetime", Still)
    monkeypatch.setattr(checkpointer.Checkpointer, "seconds", 0.0)


@pytest.mark.usefixtures("no_clock")
def test_the_order_of_completion_does_not_change_the_bytes(tmp_path):
    found = []
    for seed in range(4):
        path = tmp_path / str(seed) / "sweep.h5"
        path.parent.mkdir()
        lyapy.sweep(NETWORKS, DRIVE, checkpoint=path, executor=Shuffled(seed), **OPTIONS)
        found.append(path.read_bytes())
    assert found[1:] == found[:-1]


def test_a_broken_network_is_a_named_row_and_the_others_go_on(tmp_path):
    broken = tmp_path / f"runs/{NAMES[3]}.npz"
    broken.write_bytes(broken.read_bytes()[:100])
    found = swept()
    assert [name for name, status in statuses(found).items() if status == "failed"] == [NAMES[3]]
    # as it was given, not where it lies
    assert found.rows[3].columns["advice"].startswith(f"runs/{NAMES[3]}.npz: is a truncated")
    assert np.isnan(found.exponents[3]).all()
    assert np.isfinite(np.delete(found.exponents, 3, axis=0)).all()


def test_an_unforeseen_error_is_a_row_too():
    network = lyapy.Network([lyapy.Map(lambda h, x: {}[0], lambda h, x: {}[0], 3)])
    found = swept({"a": network, "b": f"runs/{NAMES[0]}.npz"})
    assert statuses(found)["a"] == "failed"
    assert found.rows[1].has_result


def test_a_full_disk_ends_the_sweep(monkeypatch):
    def full(task):
        raise CheckpointError("no space left")

    monkeypatch.setattr(workers, "compute", full)
    with pytest.raises(CheckpointError, match="no space"):
        swept()


def test_finished_networks_are_not_computed_again(tmp_path):
    few = {"networks": "runs/lr0.1_g1/*.npz", "checkpoint": "a.h5"}
    swept(**few)
    run = tmp_path / "a.h5.runs/epoch0.h5"
    before = run.read_bytes()
    os.link(f"runs/{NAMES[2]}.npz", "runs/lr0.1_g1/epoch7.npz")
    assert list(statuses(swept(**few))) == ["epoch0", "epoch1", "epoch7"]
    assert run.read_bytes() == before


def test_inputs_may_be_written_at_the_same_time(tmp_path, monkeypatch):
    save, meeting, folder = np.save, threading.Barrier(2), tmp_path / "inputs"
    folder.mkdir()

    def slow_save(*args, **options):
        save(*args, **options)
        meeting.wait(timeout=30)

    monkeypatch.setattr(np, "save", slow_save)
    with ThreadPoolExecutor(2) as executor:
        paths = list(executor.map(lambda _: as_file(np.arange(6.0), folder), range(2)))
    assert paths[0] == paths[1] and os.listdir(folder) == [os.path.basename(paths[0])]


def test_shards_at_the_same_time_end_in_one_whole_file():
    with ThreadPoolExecutor(3) as shards:
        list(shards.map(lambda i: swept(shard=(i, 3)), (1, 2, 3)))
    assert all(row.has_result for row in lyapy.Sweep.load("sweep.h5").rows)


def test_a_shard_names_the_networks_of_the_others():
    found = swept(shard="2/3")
    expected = ["converged" if i % 3 == 1 else "missing" for i in range(8)]
    assert [s if s == "missing" else "converged" for s in statuses(found).values()] == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, "stepz is no argument of sweep"),
        ({"until": 0.1}, "until is no argument"),
        ({"workers": 0}, "workers is 0"),
        ({"shard": "4/3"}, "'4/3' is neither"),
        ({"pattern": "runs/epoch"}, "it must have a field"),
        ({"pattern": "g{gain}"}, "does not match the pattern"),
        ({"pattern": "{largest}"}, "'largest' is a column of every result"),
        ({"pattern": "{1x}"}, "'1x' cannot name a column"),
        ({"metadata": {"x": {"loss": 1}}}, "'x' is not the name of a network"),
        ({"checkpoint": "drive.npy"}, "drive.npy: exists"),
        ({"checkpoint": "none/sweep.h5"}, "does not exist"),
        ({"networks": {"../x": "runs"}}, "cannot name a run file"),
        ({"networks": "none*.npz"}, "matches no file"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_computed(tmp_path, change, message):
    before = sorted(tmp_path.rglob("*"))
    arguments = {"networks": NETWORKS, "inputs": DRIVE, **OPTIONS, **change}
    with pytest.raises((ValueError, TypeError, OSError)) as error:
        lyapy.sweep(**arguments)
    assert message in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_writes_the_file_of_the_function(capsys):
    words = ["sweep", NETWORKS, *WORDS, "--pattern", PATTERN, "--workers", "2", "-o", "all.h5"]
    assert main(words) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "8 of 8 networks written to all.h5"
    assert sorted(line.split(":")[0] for line in out[:-1]) == NAMES
    expected = swept(pattern=PATTERN)
    found = lyapy.Sweep.load("all.h5")
    np.testing.assert_array_equal(found.exponents, expected.exponents)
    assert [row.metadata for row in found.rows] == [row.metadata for row in expected.rows]


def test_the_command_names_a_broken_network_and_ends_with_1(tmp_path, capsys):
    broken = tmp_path / f"runs/{NAMES[3]}.npz"
    broken.write_bytes(broken.read_bytes()[:100])
    assert main(["sweep", NETWORKS, *WORDS, "--workers", "1", "-o", "all.h5"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "7 of 8 networks written to all.h5"
    named = f"runs/{NAMES[3]}.npz"
    assert err.startswith(f"lyapy: error: {NAMES[3]}: {named}: is a truncated")
    assert main(["sweep", NETWORKS, "-o", "all.h5", "--workers", "1", "--mpi"]) == 2


def test_closed_loops_are_swept_as_in_single_runs(tmp_path, capsys):
    head = {"head.weight": np.ones((3, 5)) / 5, "head.bias": np.arange(3.0)}
    for number in (1, 2):
        np.savez(f"loop{number}.npz", **{k: number * a for k, a in GRU.items()}, **head)
    words = ["sweep", "loop*.npz", *WORDS, "--transient", "5", "--quiet", "--workers", "1"]
    assert main([*words, "--closed-loop", "--readout", "head"]) == 0
    found = lyapy.Sweep.load("sweep.h5")
    named = [row.columns["weights"] for row in found.rows]
    assert named == [f"loop{number}.npz, closed loop" for number in (1, 2)]
    for number, exponents in zip((1, 2), found.exponents, strict=True):
        loop = lyapy.ClosedLoop(lyapy.load(f"loop{number}.npz"), *head.values())
        start = loop.warm_up(DRIVE)
        expected = lyapy.lyapunov_spectrum(loop, initial_state=start, transient=5, **OPTIONS)
        np.testing.assert_array_equal(exponents, expected.exponents)
    assert main([*words, "--readout", "head"]) == 2
    assert "readout is 'head', for an open loop; add closed_loop=True" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"'a' is a network; give a lyapy.ClosedLoop"):
        lyapy.sweep({"a": lyapy.load("loop1.npz")}, closed_loop=True)
    made = swept({"a": loop}, transient=5, checkpoint="made.h5")
    np.testing.assert_array_equal(made.exponents[0], found.exponents[1])


def test_progress_counts_the_networks(tmp_path, capsys):
    networks = {name: lyapy.random_network("vanilla", 4, seed=1) for name in "ab"}
    options = {"steps": 200, "executor": ThreadPoolExecutor(1), "checkpoint": tmp_path / "s.h5"}
    lyapy.sweep(networks, **options)
    assert "networks" not in capsys.readouterr().err
    # finished ones are counted, too
    lyapy.sweep({**networks, "c": networks["a"]}, progress=True, **options)
    assert "lyapy: 3 of 3 networks (100 %), " in capsys.readouterr().err
