"""Many weights files: names, shards, and the effect of a broken one."""

import os
import signal

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.errors import CheckpointError
from lyapy.runs.checkpoint.folder import checkpoint_folder
from lyapy.storage import lock
from lyapy.sweeps.names import Shard, expand, named, parse_shard, shard_of_array
from tests.support.made_weights import GRU, write_files, write_network

RUN = ["--inputs", "drive.npy", "--backend", "numpy", "--steps", "30", "--quiet"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files()
    for gain in (1, 2):
        for epoch in (0, 1, 2):
            write_network(tmp_path / f"sweep/gain{gain}/epoch{epoch}.npz", gain * (1 + epoch))
    return tmp_path


NAMES = [f"gain{gain}/epoch{epoch}" for gain in (1, 2) for epoch in (0, 1, 2)]


def run_files(folder):
    found = folder.rglob("*.h5")
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in found)


def test_names_are_the_paths_below_the_common_folder(folder):
    weights = named(expand(["sweep/*/epoch*.npz"]))
    assert list(weights) == NAMES
    assert weights["gain1/epoch2"] == "sweep/gain1/epoch2.npz"
    assert list(named([str(folder / "gru.npz")])) == ["gru"]
    mixed = ["sweep/gain1/epoch0.npz", str(folder / "gru.npz")]
    assert list(named(mixed)) == ["gru", "sweep/gain1/epoch0"]


def test_the_same_files_in_any_words_have_the_same_names(folder):
    paths = sorted(str(path) for path in (folder / "sweep").rglob("*.npz"))
    spelled = expand(["sweep/gain2/*.npz", "./sweep/gain1/../gain1/*.npz", "sweep/**/*.npz"])
    assert list(named(spelled)) == list(named(expand(paths))) == NAMES
    assert len(spelled) == len(NAMES)


def test_a_file_whose_name_looks_like_a_pattern_is_itself(folder):
    (folder / "run[1].npz").write_bytes(b"")
    assert expand(["run[1].npz"]) == ["run[1].npz"]


def test_a_pattern_without_files_and_two_networks_of_one_name_are_refused():
    with pytest.raises(FileNotFoundError, match=r"none\*\.pt: matches no file"):
        expand(["none*.pt"])
    with pytest.raises(ValueError, match=r"a\.pt: would be the network 'a', as is a\.npz"):
        named(["a.npz", "a.pt"])


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 13])
def test_shards_hold_each_network_once(parts):
    shares = [Shard(part, parts).select(NAMES) for part in range(1, parts + 1)]
    assert sorted(name for share in shares for name in share) == NAMES
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/3", "1/", "-1/3", "1/2/3", ""])
def test_a_shard_that_is_none_is_refused(text, capsys):
    with pytest.raises(ValueError, match="is neither auto nor i/n"):
        parse_shard(text)
    assert main(["spectrum", "gru.npz", f"--shard={text}", "-o", "runs"]) == 2
    assert "argument --shard" in capsys.readouterr().err


def array_task(task, tasks, step=1):
    numbers = {"ID": task, "MIN": tasks[0], "MAX": tasks[-1], "COUNT": len(tasks), "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(number) for name, number in numbers.items()}


def test_the_tasks_of_a_job_array_are_the_shards():
    assert shard_of_array({}) == (1, 1)
    assert [shard_of_array(array_task(i, [0, 1, 2])).i for i in (0, 1, 2)] == [1, 2, 3]
    assert shard_of_array(array_task(5, [5])) == (1, 1)
    assert shard_of_array(array_task(20, [0, 10, 20, 30], step=10)) == (3, 4)
    with pytest.raises(ValueError, match="the 3 tasks of this job array are numbered unevenly"):
        shard_of_array(array_task(3, [1, 3, 8]))
    with pytest.raises(ValueError, match=r"ID is set, but not SLURM_ARRAY_TASK_MIN; give --shard"):
        shard_of_array({"SLURM_ARRAY_TASK_ID": "3"})


def test_shards_write_one_run_file_for_each_weights_file(folder, monkeypatch):
    words = ["spectrum", "sweep/*/epoch*.npz", *RUN, "-o", "runs"]
    assert main([*words, "--shard", "1/4"]) == 0
    assert run_files(folder / "runs") == ["gain1/epoch0", "gain2/epoch1"]
    for name, value in array_task(12, [10, 11, 12, 13]).items():
        monkeypatch.setenv(name, value)
    assert main([*words, "--shard", "auto"]) == 0
    assert run_files(folder / "runs") == ["gain1/epoch0", "gain1/epoch2", "gain2/epoch1"]


def test_results_are_those_of_single_runs(folder):
    assert main(["spectrum", "gru.npz", "sweep/gain2/epoch1.npz", *RUN, "-o", "runs"]) == 0
    assert main(["spectrum", "sweep/gain2/epoch1.npz", *RUN, "-o", "single.h5"]) == 0
    found = lyapy.Spectrum.load("runs/sweep/gain2/epoch1.h5")
    expected = lyapy.Spectrum.load("single.h5")
    np.testing.assert_array_equal(found.growth, expected.growth)
    np.testing.assert_array_equal(found.final_frame, expected.final_frame)
    assert found.settings["network_origin"] == "sweep/gain2/epoch1.npz"


def test_one_file_is_a_network_where_a_folder_is_named(folder):
    assert main(["spectrum", "gru.npz", *RUN, "-o", "runs/"]) == 0
    assert run_files(folder / "runs") == ["gru"]


def test_a_broken_network_is_named_and_does_not_stop_the_others(folder, capsys):
    (folder / "sweep/gain1/epoch1.npz").write_bytes(b"PK\x03\x04 broken")
    words = ["spectrum", *(f"sweep/gain1/epoch{i}.npz" for i in (0, 1, 2, 3)), *RUN, "-o", "runs"]
    assert main(words) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("lyapy: error: epoch1: sweep/gain1/epoch1.npz: ")
    assert lines[1].startswith("lyapy: error: epoch3: sweep/gain1/epoch3.npz: does not exist")
    assert run_files(folder / "runs") == ["epoch0", "epoch2"]
    failure = folder / "runs/epoch1.h5.failed"
    assert failure.read_text() == lines[0].removeprefix("lyapy: error: epoch1: ") + "\n"
    np.savez("sweep/gain1/epoch1.npz", **GRU)
    assert main(["spectrum", "sweep/gain1/epoch[13].npz", *RUN, "-o", "runs/"]) == 0
    assert run_files(folder / "runs") == ["epoch0", "epoch1", "epoch2"]
    assert not failure.exists()


def test_a_shard_prints_a_line_for_each_network(folder, capsys):
    words = [word for word in RUN if word != "--quiet"]
    assert main(["spectrum", "sweep/gain1/*.npz", *words, "--shard", "2/2", "-o", "runs"]) == 0
    largest = lyapy.Spectrum.load("runs/epoch1.h5").largest
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "epoch1: 1 of 1 in this shard"
    assert second.startswith(f"epoch1: largest exponent {largest:.6g} nats per step, ")
    assert third == "1 of 1 networks written to runs"


def test_a_shard_without_networks_has_nothing_to_do(folder):
    words = ["spectrum", "gru.npz", *RUN, "-o", "runs"]
    assert main([*words, "--shard", "2/2"]) == 0
    assert run_files(folder) == []


def test_an_interrupted_shard_is_continued_by_the_same_command(folder, monkeypatch, capsys):
    words = ["spectrum", "sweep/*/epoch0.npz", "sweep/*/epoch1.npz", *RUN, "-o", "runs"]
    loading = lyapy.load

    def interrupted(path, **hints):
        if path.endswith("gain1/epoch1.npz"):
            os.kill(os.getpid(), signal.SIGUSR1)
        return loading(path, **hints)

    monkeypatch.setattr("lyapy.weights.load.load", interrupted)
    assert main(words) == 75
    message = "interrupted with 1 of 4 networks computed: run the same command again to go on"
    assert capsys.readouterr().err == f"lyapy: {message}\n"
    assert run_files(folder / "runs") == ["gain1/epoch0"]
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert main(words) == 0
    err = capsys.readouterr().err
    assert err.count("finished already") == 1
    assert "runs/gain1/epoch0.h5: finished already" in err
    assert len(run_files(folder / "runs")) == 4


def test_a_network_that_another_process_computes_is_skipped(folder, capsys):
    words = ["spectrum", "sweep/gain1/*.npz", *RUN, "-o", "runs"]
    run = folder / "runs/epoch1.h5"
    run.parent.mkdir()
    with lock.held(checkpoint_folder(run), run):
        assert main(words) == 73
        assert run_files(folder / "runs") == ["epoch0", "epoch2"]
        assert "lyapy: epoch1: runs/epoch1.h5: is being computed by" in capsys.readouterr().err
        assert main(["merge", "runs", "-o", "all.h5"]) == 1
        assert "epoch1: unfinished: is being computed by process" in capsys.readouterr().err
    assert main(words) == 0
    assert run_files(folder / "runs") == ["epoch0", "epoch1", "epoch2"]


def test_a_full_disk_ends_the_shard(folder, monkeypatch, capsys):
    def full(path, **hints):
        raise CheckpointError("no space")

    monkeypatch.setattr("lyapy.weights.load.load", full)
    assert main(["spectrum", "sweep/*/*.npz", *RUN, "-o", "runs"]) == 74
    assert capsys.readouterr().err == "lyapy: error: no space\n"


def test_other_settings_are_refused_once_and_keep_the_results(folder, capsys):
    words = ["spectrum", "sweep/gain1/*.npz", *RUN, "-o", "runs"]
    assert main(words) == 0
    before = (folder / "runs/epoch0.h5").read_bytes()
    assert main([*words, "--seed", "1"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "epoch0.h5: is another run, seed is 0 there, 1 here" in lines[0]
    assert lines[1].startswith("lyapy: error: 2 more networks: is another run, seed is 0")
    assert (folder / "runs/epoch0.h5").read_bytes() == before
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
