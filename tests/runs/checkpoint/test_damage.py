"""Damaged checkpoints are rolled back or refused; ``python -m tools.damage`` tries many more."""

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from tests.support.made_checkpoints import assert_same_bits, compute, flip, unfinished
from tools import damage


def test_no_damage_is_silent(tmp_path, monkeypatch):
    files, wanted = damage.unfinished_run(tmp_path, monkeypatch)
    assert len(files) > 4
    cut = list(damage.truncations(files, 512))
    some = [*damage.flips(files, 20, np.random.default_rng(1)), *cut[:: len(cut) // 20]]
    found = damage.count(some, files, wanted, tmp_path)
    assert found[damage.SILENT] == 0
    assert found[damage.SAME] and found[damage.REFUSED]


def test_a_damaged_state_is_rolled_back(path, monkeypatch):
    whole = compute()
    newest = max(unfinished(path, monkeypatch).glob("state-*.h5"))
    flip(newest, 4 * newest.stat().st_size)
    with pytest.warns(RuntimeWarning, match=f"{newest.name}: .* the checkpoint before it is used"):
        assert_same_bits(compute(path), whole)


def test_a_run_beyond_repair_is_refused(path, monkeypatch):
    first = min(unfinished(path, monkeypatch).glob("segment-*.h5"))
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{first.name}: is truncated.*--overwrite"):
        compute(path)
    found = compute(path, overwrite=True)
    assert_same_bits(found, compute())


def test_checkpoints_of_the_old_format_are_refused_by_name(path):
    old = path.with_name("run.h5.parts")
    old.mkdir()
    with pytest.raises(ValueError, match=r"run\.h5\.parts: holds an unfinished run of .* format 2"):
        compute(path)
    old.rmdir()
    compute(path)


def test_verify_finds_flipped_bits_of_a_result(path, capsys):
    spectrum = compute(path)
    assert main(["verify", str(path)]) == 0
    assert "run.h5: whole, SHA-256 " in capsys.readouterr().out
    whole = path.read_bytes()
    for bit in (0, 99, 4 * len(whole), 8 * len(whole) - 1):
        flip(path, bit)
        assert main(["verify", str(path)]) == 1
        path.write_bytes(whole)
    assert_same_bits(lyapy.Spectrum.load(path), spectrum)
