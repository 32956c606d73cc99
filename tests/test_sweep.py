"""Sweeps: every member computed once, whatever the workers, the order, and what breaks."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from made_weights import DRIVE, GRU, write_files

import lyapy
from lyapy import origin
from lyapy.checkpoint import checkpointer
from lyapy.cli import main
from lyapy.errors import CheckpointError, Interrupted
from lyapy.sweeps import sweeping
from lyapy.sweeps.asked import as_file

OPTIONS = {"backend": "numpy", "steps": 30, "seed": 3}
WORDS = ["--inputs", "drive.npy", "--backend", "numpy", "--steps", "30", "--seed", "3"]
MEMBERS = [
    f"lr{lr}_g{gain}/epoch{epoch}" for lr in ("0.1", "1e-3") for gain in (1, 2) for epoch in (0, 1)
]
PATTERN = "runs/lr{lr}_g{gain}/epoch{epoch}"
NETWORKS = "runs/*/epoch*.npz"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder with the weights of eight networks, and inputs."""
    monkeypatch.chdir(tmp_path)
    write_files()
    for factor, name in enumerate(MEMBERS, 1):
        path = tmp_path / f"runs/{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{key: factor / 4 * array for key, array in GRU.items()})
    return tmp_path


class Shuffled(Executor):
    """Computes each task here and now, in an order drawn by lot."""

    def __init__(self, seed):
        self.tasks, self.seed = [], seed

    def submit(self, function, *arguments):
        future = Future()
        self.tasks.append((future, function, arguments))
        if len(self.tasks) == len(MEMBERS):
            random.Random(self.seed).shuffle(self.tasks)
            for made, compute, given in self.tasks:
                made.set_result(compute(*given))
        return future


def statuses(found):
    return {row.name: row.columns["status"] for row in found.rows}


def test_each_network_is_a_row_with_its_metadata_and_its_own_spectrum():
    with ThreadPoolExecutor(2) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, pattern=PATTERN, **OPTIONS)
    assert [row.name for row in found.rows] == MEMBERS
    np.testing.assert_array_equal(found.column("lr"), [0.1] * 4 + [0.001] * 4)
    np.testing.assert_array_equal(found.column("gain"), [1, 1, 2, 2] * 2)
    assert found.column("epoch").dtype.kind == "i"
    single = lyapy.lyapunov_spectrum(lyapy.load(f"runs/{MEMBERS[5]}.npz"), DRIVE, **OPTIONS)
    np.testing.assert_array_equal(found.exponents[5], single.exponents)
    assert lyapy.Sweep.load("sweep.h5").rows[5].columns == found.rows[5].columns


def test_spawned_processes_give_the_bits_of_threads():
    with ThreadPoolExecutor(1) as executor:
        expected = lyapy.sweep(
            NETWORKS, "drive.npy", executor=executor, checkpoint="one.h5", **OPTIONS
        )
    outcomes = []
    found = lyapy.sweep(NETWORKS, DRIVE, workers=2, report=outcomes.append, **OPTIONS)
    np.testing.assert_array_equal(found.exponents, expected.exponents)
    assert sorted(outcome.name for outcome in outcomes) == MEMBERS
    assert {outcome.code for outcome in outcomes} == {"computed"}


@pytest.fixture
def no_clock(monkeypatch):
    """Let no time pass, so that files tell of none."""

    class Still:
        UTC = origin.datetime.UTC
        datetime = type("datetime", (), {"now": staticmethod(lambda zone: origin_date)})

    origin_date = origin.datetime.datetime(2026, 1, 1, tzinfo=origin.datetime.UTC)
    monkeypatch.setattr(origin, "datetime", Still)
    monkeypatch.setattr(checkpointer.Checkpointer, "seconds", 0.0)


@pytest.mark.usefixtures("no_clock")
def test_the_order_of_completion_does_not_change_the_bytes(folder):
    found = []
    for seed in range(4):
        path = folder / str(seed) / "sweep.h5"
        path.parent.mkdir()
        lyapy.sweep(NETWORKS, DRIVE, checkpoint=path, executor=Shuffled(seed), **OPTIONS)
        found.append(path.read_bytes())
    assert found[1:] == found[:-1]


def test_a_broken_network_is_a_named_row_and_the_others_go_on(folder):
    broken = folder / f"runs/{MEMBERS[3]}.npz"
    broken.write_bytes(broken.read_bytes()[:100])
    with ThreadPoolExecutor(2) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, **OPTIONS)
    assert [name for name, status in statuses(found).items() if status == "failed"] == [MEMBERS[3]]
    # as it was given, not where it lies
    assert found.rows[3].columns["advice"].startswith(f"runs/{MEMBERS[3]}.npz: is a truncated")
    assert np.isnan(found.exponents[3]).all()
    assert np.isfinite(np.delete(found.exponents, 3, axis=0)).all()


def test_an_error_of_a_kind_that_nobody_foresaw_is_a_row_too():
    network = lyapy.Network([lyapy.Map(lambda h: {}[0], lambda h: {}[0], 3)])
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(
            {"a": network, "b": f"runs/{MEMBERS[0]}.npz"}, DRIVE, executor=executor, **OPTIONS
        )
    assert statuses(found)["a"] == "failed"
    assert found.rows[1].has_result


def test_a_full_disk_ends_the_sweep(monkeypatch):
    def full(task):
        raise CheckpointError("no space left")

    monkeypatch.setattr(sweeping, "compute", full)
    with ThreadPoolExecutor(2) as executor, pytest.raises(CheckpointError, match="no space"):
        lyapy.sweep(NETWORKS, DRIVE, executor=executor, **OPTIONS)


def test_what_is_finished_is_not_computed_again(folder):
    with ThreadPoolExecutor(2) as executor:
        lyapy.sweep("runs/lr0.1_g1/*.npz", DRIVE, executor=executor, checkpoint="a.h5", **OPTIONS)
        run = folder / "a.h5.runs/epoch0.h5"
        before = run.read_bytes()
        os.link(f"runs/{MEMBERS[2]}.npz", "runs/lr0.1_g1/epoch7.npz")
        found = lyapy.sweep(
            "runs/lr0.1_g1/*.npz", DRIVE, executor=executor, checkpoint="a.h5", **OPTIONS
        )
    assert list(statuses(found)) == ["epoch0", "epoch1", "epoch7"]
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
    def part(i):
        with ThreadPoolExecutor(1) as executor:
            lyapy.sweep(NETWORKS, DRIVE, executor=executor, shard=(i, 3), **OPTIONS)

    threads = [threading.Thread(target=part, args=(i,)) for i in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(row.has_result for row in lyapy.Sweep.load("sweep.h5").rows)


def test_a_shard_names_what_the_others_have_still_to_do():
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, shard="2/3", **OPTIONS)
    expected = ["converged" if i % 3 == 1 else "missing" for i in range(8)]
    assert [s if s == "missing" else "converged" for s in statuses(found).values()] == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, "stepz is no argument of sweep"),
        ({"progress": True}, "progress is no argument"),
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
def test_wrong_arguments_are_refused_before_anything_is_computed(folder, change, message):
    before = sorted(folder.rglob("*"))
    arguments = {"networks": NETWORKS, "inputs": DRIVE, **OPTIONS, **change}
    with pytest.raises((ValueError, TypeError, OSError)) as error:
        lyapy.sweep(**arguments)
    assert message in str(error.value)
    assert sorted(folder.rglob("*")) == before


LONG = """
import sys
import numpy as np
import lyapy

if __name__ == "__main__":
    networks = {f"net{i}": lyapy.random_network("gru", 6, 2, gain=i, seed=i) for i in (1, 2, 3)}
    drive = np.random.default_rng(0).normal(size=(12000, 2))
    lyapy.sweep(networks, drive, workers=2, backend="numpy", checkpoint_every=0.2)
"""


def _workers_at_work(folder, process):
    """Return the process of each member that has a checkpoint and is being computed."""
    for _ in range(600):
        found = {}
        for lock in folder.glob("sweep.h5.runs/*.parts/lock"):
            if len(list(lock.parent.iterdir())) > 2:
                try:
                    found[lock.parent] = json.loads(lock.read_text())["process"]
                except (ValueError, OSError):
                    continue
        if found:
            return found
        assert process.poll() is None, "it has ended too early"
        time.sleep(0.1)
    raise AssertionError("no checkpoint in a minute")


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(folder):
    (folder / "long.py").write_text(LONG)
    with subprocess.Popen([sys.executable, "long.py"]) as process:
        worker = next(iter(_workers_at_work(folder, process).values()))
        assert worker != process.pid
        os.kill(worker, signal.SIGKILL)
        assert process.wait(120) == 0
    found = lyapy.Sweep.load("sweep.h5")
    assert all(row.has_result for row in found.rows)
    drive = np.random.default_rng(0).normal(size=(12000, 2))
    for i, exponents in enumerate(found.exponents, 1):
        network = lyapy.random_network("gru", 6, 2, gain=i, seed=i)
        expected = lyapy.lyapunov_spectrum(network, drive, backend="numpy")
        np.testing.assert_array_equal(exponents, expected.exponents)


def test_workers_end_with_the_process_that_started_them(folder):
    (folder / "long.py").write_text(LONG)
    with subprocess.Popen([sys.executable, "long.py"]) as process:
        worker = next(iter(_workers_at_work(folder, process).values()))
        process.kill()
    for _ in range(100):
        if (
            not Path(f"/proc/{worker}").exists()
            or "Z" in Path(f"/proc/{worker}/stat").read_text().split()[2]
        ):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("a worker goes on alone")


class KillsItsProcess(lyapy.Network):
    """A network that no process survives."""

    def digest(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_network_that_kills_its_process_is_given_up_and_only_that():
    deadly = KillsItsProcess(lyapy.random_network("gru", 4, 3).cells)
    good = {name: f"runs/{name}.npz" for name in MEMBERS}
    found = lyapy.sweep({"deadly": deadly, **good}, DRIVE, workers=2, **OPTIONS)
    assert [name for name, status in statuses(found).items() if status == "failed"] == ["deadly"]
    assert "its process died twice" in found.rows[0].columns["advice"]
    assert sum(row.has_result for row in found.rows) == len(MEMBERS)


def test_an_executor_that_breaks_leaves_what_it_has_done():
    class Breaks(Executor):
        def submit(self, function, task):
            future = Future()
            if task.name == MEMBERS[0]:
                future.set_result(function(task))
            else:
                future.set_exception(BrokenProcessPool("gone"))
            return future

    with pytest.raises(BrokenProcessPool):
        lyapy.sweep(NETWORKS, DRIVE, executor=Breaks(), **OPTIONS)
    assert set(statuses(lyapy.Sweep.load("sweep.h5")).values()) >= {"missing"}
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, **OPTIONS)
    assert all(row.has_result for row in found.rows)


def test_an_interruption_is_handed_on_and_the_same_call_continues():
    def interrupt(outcome):
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(Interrupted, match="the same sweep"):
        lyapy.sweep(NETWORKS, DRIVE, executor=executor, report=interrupt, **OPTIONS)
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, **OPTIONS)
    assert all(row.has_result for row in found.rows)


def test_sigterm_lets_the_workers_write_a_checkpoint_and_the_command_continues(folder):
    networks = [lyapy.random_network("gru", 6, 2, gain=i, seed=i) for i in (1, 2)]
    for i, network in enumerate(networks):
        from lyapy.layouts.canonical import canonical_bytes

        (folder / f"net{i}.h5").write_bytes(canonical_bytes(network))
    np.save("long.npy", np.random.default_rng(0).normal(size=(12000, 2)))
    words = ["sweep", "net0.h5", "net1.h5", "--inputs", "long.npy", "--backend", "numpy"]
    words += ["--workers", "2", "-o", "sweep.h5"]
    # no checkpoint is due before the signal
    command = [sys.executable, "-m", "lyapy", *words, "--checkpoint-every", "1000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            locks = list(folder.glob("sweep.h5.runs/*.parts/lock"))
            if len(locks) == 2:
                break
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 75, told
    assert "continues" in told and "Traceback" not in told
    for lock in locks:
        assert len(list(lock.parent.iterdir())) > 1, "no checkpoint was written"
    assert main([*words, "--quiet"]) == 0
    assert all(row.has_result for row in lyapy.Sweep.load("sweep.h5").rows)


def test_the_command_writes_what_the_function_does(capsys):
    words = ["sweep", NETWORKS, *WORDS, "--pattern", PATTERN, "--workers", "2", "-o", "all.h5"]
    assert main(words) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "8 of 8 networks written to all.h5"
    assert sorted(line.split(":")[0] for line in out[:-1]) == MEMBERS
    with ThreadPoolExecutor(1) as executor:
        expected = lyapy.sweep(NETWORKS, DRIVE, executor=executor, pattern=PATTERN, **OPTIONS)
    found = lyapy.Sweep.load("all.h5")
    np.testing.assert_array_equal(found.exponents, expected.exponents)
    assert [row.metadata for row in found.rows] == [row.metadata for row in expected.rows]


def test_the_command_names_what_is_broken_and_ends_with_1(folder, capsys):
    broken = folder / f"runs/{MEMBERS[3]}.npz"
    broken.write_bytes(broken.read_bytes()[:100])
    assert main(["sweep", NETWORKS, *WORDS, "--workers", "1", "-o", "all.h5"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "7 of 8 networks written to all.h5"
    named = f"runs/{MEMBERS[3]}.npz"
    assert err.startswith(f"lyapy: error: {MEMBERS[3]}: {named}: is a truncated")
    assert main(["sweep", NETWORKS, "-o", "all.h5", "--workers", "1", "--mpi"]) == 2


def write_table(path, lines):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(lines)


def test_a_table_is_joined_by_the_fields_of_the_pattern(folder):
    lines = [["epoch", "lr", "gain", "loss", "note"]]
    # numbers are compared, not their spelling
    lines += [[e, lr, g, 10 * g + e, f"n{e}"] for e in (0, 1) for lr in ("1e-1",) for g in (1, 2)]
    write_table("losses.csv", [*lines, [9, 9, 9, 9, "other"]])
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(
            NETWORKS, DRIVE, executor=executor, pattern=PATTERN, metadata="losses.csv", **OPTIONS
        )
    np.testing.assert_array_equal(found.column("loss"), [10, 11, 20, 21] + [np.nan] * 4)
    assert found.column("note").tolist() == ["n0", "n1", "n0", "n1", "", "", "", ""]


@pytest.mark.parametrize("key", ["name", "weights"])
def test_a_table_is_joined_by_name_or_file(folder, key):
    named = {"name": MEMBERS[1], "weights": f"./runs/{MEMBERS[1]}.npz"}
    write_table("losses.csv", [[key, "loss"], [named[key], 0.5]])
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, metadata="losses.csv", **OPTIONS)
    np.testing.assert_array_equal(found.column("loss"), [np.nan, 0.5] + [np.nan] * 6)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([["loss"], [1]], "has none of the columns name, weights"),
        ([["name", "loss"], ["x", 1]], "no line agrees with a network in name"),
        ([["name", "loss"], [MEMBERS[0], 1], [MEMBERS[0], 2]], "has two lines for name"),
        ([["name", "loss"], [MEMBERS[0]]], "line 2 has 1 values"),
        ([["name", "mean"], [MEMBERS[0], 1]], "'mean' is a column of every result"),
        ([], "is empty"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(lines, message):
    write_table("losses.csv", lines)
    with pytest.raises(ValueError, match=r"losses\.csv") as error:
        lyapy.sweep(NETWORKS, DRIVE, metadata="losses.csv", **OPTIONS)
    assert message in str(error.value)


def test_a_selection_and_the_columns_of_a_table():
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, pattern=PATTERN, **OPTIONS)
    chosen = found.where(epoch=1, gain=2)
    assert [row.name for row in chosen.rows] == [MEMBERS[3], MEMBERS[7]]
    with pytest.raises(ValueError, match="'epocj' is no column"):
        found.where(epocj=1)
    columns = found.columns(spectra=True)
    assert list(columns)[:4] == ["name", "epoch", "gain", "lr"]
    np.testing.assert_array_equal(columns["exponent_1"], found.column("largest"))
    assert {len(values) for values in columns.values()} == {8}


def test_closed_loops_are_swept_as_each_alone_would_be(folder, capsys):
    head = {"head.weight": np.ones((3, 5)) / 5, "head.bias": np.arange(3.0)}
    for number in (1, 2):
        np.savez(f"loop{number}.npz", **{k: number * a for k, a in GRU.items()}, **head)
    words = ["sweep", "loop*.npz", *WORDS, "--transient", "5", "--quiet", "--workers", "1"]
    assert main([*words, "--closed-loop", "--readout", "head"]) == 0
    found = lyapy.Sweep.load("sweep.h5")
    assert [row.columns["weights"] for row in found.rows] == [
        f"loop{number}.npz, closed loop" for number in (1, 2)
    ]
    for number, exponents in zip((1, 2), found.exponents, strict=True):
        loop = lyapy.ClosedLoop(lyapy.load(f"loop{number}.npz"), *head.values())
        start = loop.warm_up(DRIVE)
        expected = lyapy.lyapunov_spectrum(loop, initial_state=start, transient=5, **OPTIONS)
        np.testing.assert_array_equal(exponents, expected.exponents)
    assert main([*words, "--readout", "head"]) == 2
    assert "readout is 'head', for an open loop; add closed_loop=True" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"'a' is a network; give a lyapy.ClosedLoop"):
        lyapy.sweep({"a": lyapy.load("loop1.npz")}, closed_loop=True)
    with ThreadPoolExecutor(1) as executor:
        options = {**OPTIONS, "transient": 5, "executor": executor, "checkpoint": "made.h5"}
        made = lyapy.sweep({"a": loop}, DRIVE, **options)
    np.testing.assert_array_equal(made.exponents[0], found.exponents[1])
