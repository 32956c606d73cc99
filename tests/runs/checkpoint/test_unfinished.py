"""Reports of `lyapy show` and `lyapy verify` on a run that is unfinished or damaged."""

import json
import os

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.runs.checkpoint.folder import checkpoint_folder
from lyapy.runs.checkpoint.unfinished import read_unfinished
from lyapy.storage import lock
from tests.support.made_checkpoints import DRIVE, assert_same_bits, compute, flip, unfinished


@pytest.fixture
def path(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    return "run.h5"


def leave_unfinished(path, monkeypatch, chunks):
    unfinished(path, monkeypatch, chunks, together=2, often=False, drive=DRIVE[:2])


def test_an_unfinished_run_shows_its_progress(path, monkeypatch, capsys):
    leave_unfinished(path, monkeypatch, 8)
    found = read_unfinished(path)
    assert found.holder is None
    # the transient takes three chunks, two of 64 steps and one of 2
    assert found.steps == 2 * (130 + 5 * 64)
    assert found.total == 2 * 1000
    shorter = compute(drive=DRIVE[:2, : 130 + 5 * 64])
    np.testing.assert_array_equal(found.spectrum.growth, shorter.growth)
    np.testing.assert_array_equal(found.spectrum.exponents, shorter.exponents)
    assert found.spectrum.status.code == "interrupted"

    assert main(["show", path]) == 0
    shown = capsys.readouterr().out
    assert "run.h5: unfinished, 900 of 2000 steps (45 %), checkpoint of 20" in shown
    assert "computed by nobody; run its command again to continue" in shown
    assert "24 of 24 Lyapunov exponents" in shown

    assert main(["show", path, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["unfinished"], shown["steps_done"], shown["status"]) == (True, 900, "interrupted")


def test_a_run_in_its_transient_and_one_that_runs(path, monkeypatch, capsys):
    leave_unfinished(path, monkeypatch, 2)
    assert read_unfinished(path).spectrum is None
    with lock.held(checkpoint_folder(path), path):
        assert main(["show", path]) == 0
    shown = capsys.readouterr().out
    assert "256 of 2000 steps (13 %)" in shown
    assert f"computed by process {os.getpid()} on" in shown


def test_nothing_is_no_unfinished_run(path, capsys):
    assert read_unfinished(path) is None
    assert main(["show", path]) == 2
    assert main(["verify", path]) == 2
    assert capsys.readouterr().err.count("run.h5: does not exist; check the path") == 2


def test_verify_names_damaged_files(path, monkeypatch, capsys):
    leave_unfinished(path, monkeypatch, 8)
    assert main(["verify", path]) == 0
    assert "state-000001.h5: whole" in capsys.readouterr().out
    segment = checkpoint_folder(path) / "segment-000001.h5"
    content = segment.read_bytes()
    segment.unlink()
    assert main(["verify", path]) == 1
    assert "segment-000001.h5: DAMAGED" in capsys.readouterr().out
    segment.write_bytes(content)
    flip(checkpoint_folder(path) / "state-000001.h5", 999)
    assert main(["verify", path]) == 1
    shown = capsys.readouterr().out
    assert "state-000001.h5: DAMAGED" in shown
    assert "segment-000001.h5: whole" in shown


def test_a_file_without_a_seal_is_damaged(path, capsys):
    import h5py

    from lyapy.spectra.file import _write_contents

    spectrum = compute()
    with h5py.File(path, "w", userblock_size=512) as file:
        _write_contents(spectrum, file)
    assert_same_bits(lyapy.Spectrum.load(path, check=False), spectrum)
    assert main(["verify", path]) == 1
    assert "has no seal" in capsys.readouterr().out
