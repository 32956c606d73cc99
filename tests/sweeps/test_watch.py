"""Sweeps of trainings that are still running."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from tests.support.made_weights import DRIVE
from tests.support.made_weights import write_network as write

OPTIONS = {"backend": "numpy", "steps": 20, "every": 0.1, "idle": 3.0}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    np.save("drive.npy", DRIVE)
    return tmp_path


def names(sweep):
    return [row.name for row in sweep.rows]


def test_each_new_checkpoint_is_computed_once_and_keeps_its_name(folder):
    write(folder / "runs/lr1/epoch0.npz")
    outcomes, found = [], []
    with ThreadPoolExecutor(1) as executor:
        options = {"executor": executor, "report": outcomes.append, **OPTIONS}
        for sweep in lyapy.watch("runs", DRIVE, **options):
            found.append(names(sweep))
            if len(found) == 1:
                write(folder / "runs/lr1/epoch1.npz", 2.0)
            elif len(found) == 2:
                write(folder / "runs/lr2/epoch0.npz", 3.0)
    three = ["lr1/epoch0", "lr1/epoch1", "lr2/epoch0"]
    assert found == [three[:1], three[:2], three]
    assert [outcome.name for outcome in outcomes] == found[-1]
    assert all(row.has_result for row in lyapy.Sweep.load("sweep.h5").rows)


def test_results_next_to_the_weights_are_no_weights(folder):
    write(folder / "runs/epoch0.npz")
    with ThreadPoolExecutor(1) as executor:
        options = {"executor": executor, "checkpoint": "runs/all.h5", **OPTIONS}
        found = list(lyapy.watch("runs", DRIVE, **options))
    assert [names(sweep) for sweep in found] == [["epoch0"]]


def test_a_file_that_is_still_being_written_is_left_alone(folder):
    write(folder / "whole.npz")
    data = (folder / "whole.npz").read_bytes()

    def slowly():
        with open(folder / "runs/epoch0.npz", "wb") as file:
            for start in range(0, len(data), len(data) // 12):
                file.write(data[start : start + len(data) // 12])
                file.flush()
                time.sleep(0.05)

    writer = threading.Thread(target=slowly)
    writer.start()
    with ThreadPoolExecutor(1) as executor:
        options = {**OPTIONS, "every": 0.4}
        found = list(lyapy.watch("runs/*.npz", DRIVE, executor=executor, **options))
    writer.join()
    assert [row.columns["k"] for row in found[0].rows] == [5]


def test_it_waits_for_the_first_file_and_ends_when_nothing_comes(folder):
    began = time.monotonic()
    assert list(lyapy.watch("runs/*.npz", DRIVE, **{**OPTIONS, "idle": 0.5})) == []
    assert 0.5 <= time.monotonic() - began < 10
    with pytest.raises(ValueError, match="every is 0"):
        next(lyapy.watch("runs", DRIVE, every=0))


def test_the_command_follows(folder, capsys):
    write(folder / "runs/epoch0.npz")
    words = ["sweep", "runs", "--inputs", "drive.npy", "--backend", "numpy", "--steps", "20"]
    assert main([*words, "--follow", "--idle", "12", "--workers", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 networks written to sweep.h5"
