"""Merged files: contents, reasons for missing results, and the same bytes in any order."""

import itertools
import json
import os
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.spectra.exponents import QUANTITIES
from lyapy.storage.sealed import open_sealed
from lyapy.sweeps.merged_file import read_rows
from lyapy.sweeps.rows import COLUMNS, SPECTRA
from tests.spectra.test_file import table
from tests.support.made_spectra import edited
from tests.support.made_weights import VANILLA, write_files, write_network

NAMES = ["a", "b", "c/a", "small"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_files()
        for gain, name in enumerate(NAMES[:3], 1):
            write_network(folder / f"weights/{name}.npz", gain)
        np.savez("weights/small.npz", **VANILLA | {"weight_ih_l0": np.ones((4, 3))})
        words = ["--inputs", "drive.npy", "--backend", "numpy", "--quiet"]
        words += ["--nonlinearity", "tanh", "-o", "runs"]
        assert main(["spectrum", "weights/**/*.npz", *words]) == 0
    return folder


@pytest.fixture(autouse=True)
def folder(made, tmp_path, monkeypatch):
    copied = tmp_path / "work"
    shutil.copytree(made, copied)
    monkeypatch.chdir(copied)
    return copied


def columns(path="all.h5"):
    with open_sealed(path) as file:
        return {name: file[name].read().tolist() for name in COLUMNS}


def test_a_merged_file_holds_the_contents_of_the_run_files(capsys):
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
    assert capsys.readouterr().out == "4 of 4 networks merged, written to all.h5\n"
    found = columns()
    assert found["name"] == NAMES
    assert found["k"] == [5, 5, 5, 4]
    with h5py.File("all.h5") as file:
        for row, name in enumerate(NAMES):
            spectrum = lyapy.Spectrum.load(f"runs/{name}.h5")
            k = found["k"][row]
            np.testing.assert_array_equal(file["exponents"][row, :k], spectrum.exponents)
            np.testing.assert_array_equal(file["standard_error"][row, :k], spectrum.standard_error)
            assert np.isnan(file["exponents"][row, k:]).all()
            assert found["largest"][row] == spectrum.largest
            assert found["mean_error"][row] == spectrum.measures()["mean"].standard_error
            assert found["network_sha256"][row] == spectrum.settings["network_sha256"]
            assert found["status"][row] == spectrum.status.code
            assert found["weights"][row] == f"weights/{name}.npz"
            np.testing.assert_array_equal(file[f"runs/{row}/growth"], spectrum.growth)
            assert file[f"runs/{row}/settings"].attrs["seed"] == 0


def test_every_dataset_has_axes_units_and_a_description():
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
    with h5py.File("all.h5") as file:
        for name, quantity in (COLUMNS | SPECTRA).items():
            assert file[name].attrs["units"] == quantity.units.format(time="step")
            assert file[name].attrs["description"] == quantity.text
            names = [axis[0].name for axis in file[name].dims]
            assert names == ["/network", *(f"/{axis}" for axis in quantity.axes)]
        run = file["runs/3"]
        for name, quantity in QUANTITIES.items():
            names = [axis[0].name for axis in run[name].dims]
            assert names == [f"/runs/3/{axis}" for axis in quantity.axes]


def test_a_quantity_that_the_file_is_too_old_for_is_missing():
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
    with h5py.File("all.h5", "r+") as file:
        del file["entropy_rate"], file["bounded"]
    rows = read_rows("all.h5", check=False)
    assert all(np.isnan(row.columns["entropy_rate"]) for row in rows)
    assert not any(row.spectra["bounded"].any() for row in rows)
    assert all(len(row.spectra["bounded"]) == row.columns["k"] for row in rows)


def virtual(file):
    del file["growth"]
    layout = h5py.VirtualLayout((1, 3, 5), "f8")
    layout[:] = h5py.VirtualSource("/elsewhere.h5", "growth", (1, 3, 5))
    file.create_virtual_dataset("growth", layout)


def test_a_crafted_run_file_does_not_stop_the_merge_of_others(capsys):
    edited("runs/a.h5", virtual)
    edited("runs/b.h5", lambda file: file.__setitem__("records/growth", h5py.SoftLink("/growth")))
    assert main(["merge", "runs", "-o", "all.h5"]) == 1
    err = capsys.readouterr().err
    assert "holds 'records/growth' as a link to another place" in err and "only its row" in err
    statuses = {row.name: row.columns["status"] for row in read_rows("all.h5")}
    assert statuses["a"] == "damaged" and "damaged" not in (statuses["b"], statuses["c/a"])
    with h5py.File("all.h5") as file:
        assert sorted(file["runs"]) == ["2", "3"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.__delitem__("exponents"), "column exponents"),
        (lambda file: file["k"].__setitem__(0, 99), "other lengths than k"),
        (lambda file: (file.__delitem__("name"), file.__setitem__("name", 3.0)), "column name"),
        (
            lambda file: (file.__delitem__("largest"), file.__setitem__("largest", [1.0])),
            r"largest has shape (1,)",
        ),
        (lambda file: file.attrs.__setitem__("format_version", 9), "newer lyapy"),
    ],
)
def test_a_crafted_merged_file_is_refused(change, words, capsys):
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
    edited("all.h5", change)
    assert main(["show", "all.h5"]) == 2
    assert main(["verify", "all.h5"]) == 1
    out, err = capsys.readouterr()
    assert words in err and words in out


def test_no_flipped_bit_of_a_merged_file_is_silent(folder):
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
    content = (folder / "all.h5").read_bytes()
    for bit in np.random.default_rng(0).integers(8 * len(content), size=100):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (folder / "all.h5").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"all\.h5: is (truncated|no merged)"):
            read_rows("all.h5")


def test_the_order_and_the_time_do_not_change_the_bytes(folder):
    paths = [f"runs/{name}.h5" for name in NAMES]
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
    expected = (folder / "all.h5").read_bytes()
    time.sleep(1.1)
    for order in itertools.islice(itertools.permutations(paths), 0, None, 5):
        assert main(["merge", *order, "-o", "all.h5", "--overwrite"]) == 0
        assert (folder / "all.h5").read_bytes() == expected


def test_missing_unfinished_failed_and_damaged_networks_are_named(folder, capsys):
    for name in ("e.npz", "f.npz", "g.npz"):
        shutil.copy("weights/a.npz", f"weights/{name}")
    (folder / "runs/e.h5.checkpoints").mkdir()
    (folder / "runs/f.h5.failed").write_text("weights/f.npz: is broken; export it again\n")
    (folder / "runs/b.h5").write_bytes((folder / "runs/b.h5").read_bytes()[:4000])
    expect = ["--expect", "weights/**/*.npz"]
    assert main(["merge", "runs", "-o", "all.h5", *expect]) == 1
    out, err = capsys.readouterr()
    assert out == "3 of 7 networks merged, written to all.h5\n"
    lines = err.splitlines()
    assert [line.split(":")[1].split()[0] for line in lines] == ["b", "e", "f", "g"]
    assert lines[0].startswith("lyapy: b (weights/b.npz): damaged: ")
    assert "unfinished" in lines[1]
    assert lines[2].endswith("f (weights/f.npz): failed: weights/f.npz: is broken; export it again")
    assert "g (weights/g.npz): missing" in lines[3]
    found = columns()
    assert found["status"][1:2] == ["damaged"]
    assert found["name"] == ["a", "b", "c/a", "e", "f", "g", "small"]
    with h5py.File("all.h5") as file:
        for row, k in enumerate(found["k"]):
            assert (k == 0) == (f"runs/{row}" not in file) == np.isnan(file["exponents"][row]).all()
            assert np.isnan(found["largest"][row]) == (k == 0)


def test_without_expectations_traces_of_networks_are_found(folder, capsys):
    (folder / "runs/e.h5.checkpoints").mkdir()
    (folder / "runs/c/f.h5.failed").write_text("is broken\n")
    assert main(["merge", "runs", "-o", "all.h5"]) == 1
    assert columns()["name"] == ["a", "b", "c/a", "c/f", "e", "small"]
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.parametrize("position", [100, 600, 9_000, -1])
def test_a_flipped_bit_is_found_and_the_network_named(folder, position):
    data = bytearray((folder / "runs/a.h5").read_bytes())
    data[position] ^= 4
    (folder / "runs/a.h5").write_bytes(data)
    assert main(["merge", "runs", "-o", "all.h5"]) == 1
    assert columns()["status"][0] == "damaged"
    assert columns()["k"] == [0, 5, 5, 4]


def test_a_failure_counts_more_than_an_older_run_file(folder):
    (folder / "runs/a.h5.failed").write_text("other settings\n")
    assert main(["merge", "runs", "-o", "all.h5"]) == 1
    assert columns()["status"][0] == "failed"


def test_unexpected_networks_are_left_out_and_named(capsys):
    assert main(["merge", "runs", "-o", "all.h5", "--expect", "weights/a.npz"]) == 0
    assert columns()["name"] == ["a"]
    expected = [f"lyapy: {name}: is not expected, and left out" for name in NAMES[1:]]
    assert capsys.readouterr().err.splitlines() == expected


def test_a_merged_file_in_the_folder_is_no_network(folder):
    assert main(["merge", "runs", "-o", "runs/all.h5"]) == 0
    before = (folder / "runs/all.h5").read_bytes()
    assert main(["merge", "runs", "-o", "runs/all.h5"]) == 2
    assert main(["merge", "runs", "-o", "runs/all.h5", "--overwrite"]) == 0
    assert (folder / "runs/all.h5").read_bytes() == before


def test_nothing_to_merge_is_refused(folder, capsys):
    (folder / "empty").mkdir()
    assert main(["merge", "empty", "-o", "all.h5"]) == 2
    assert capsys.readouterr().err.startswith("lyapy: error: empty: holds no run file; give")
    assert main(["merge", "none.h5", "-o", "all.h5"]) == 2
    assert not (folder / "all.h5").exists()


def test_show_lists_the_networks(folder, capsys):
    (folder / "runs/e.h5.checkpoints").mkdir()
    assert main(["merge", "runs", "-o", "all.h5"]) == 1
    capsys.readouterr()
    assert main(["show", "all.h5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "4 spectra of 5 networks, in nats per step"
    largest = lyapy.Spectrum.load("runs/c/a.h5").largest
    assert lines[5].split()[:3] == ["c/a", "5", f"{largest:.6g}"]
    assert lines[6].split() == ["e", "unfinished"]
    assert lines[-1].startswith("e: ")
    assert main(["show", "all.h5", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["a", "b", "c/a", "e", "small"]
    assert rows[2]["exponents"] == lyapy.Spectrum.load("runs/c/a.h5").exponents.tolist()
    assert rows[3]["exponents"] == []
    assert rows[3]["largest"] is None


def test_show_a_network_as_its_run_file(folder, capsys):
    (folder / "runs/e.h5.checkpoints").mkdir()
    assert main(["merge", "runs", "-o", "all.h5"]) == 1
    for more in ([], ["--json"]):
        capsys.readouterr()
        assert main(["show", "runs/c/a.h5", *more]) == 0
        expected = capsys.readouterr().out
        assert main(["show", "all.h5", "--network", "c/a", *more]) == 0
        assert capsys.readouterr().out == expected
    assert main(["show", "all.h5", "--network", "x"]) == 2
    assert "all.h5: has no network 'x'" in capsys.readouterr().err
    assert main(["show", "all.h5", "--network", "e"]) == 2
    assert "all.h5: e is unfinished" in capsys.readouterr().err
    assert main(["show", "runs/b.h5", "--network", "b"]) == 2
    assert "runs/b.h5: is no merged file" in capsys.readouterr().err


def test_a_name_that_is_not_utf8_is_merged(folder):
    (folder / "runs/a.h5").rename(folder / "runs" / os.fsdecode(b"caf\xe9.h5"))
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
    assert r"caf\udce9" in columns()["name"]


def test_the_layout_in_the_docs_is_that_of_the_file():
    docs = (Path(__file__).parents[2] / "docs/file_formats.md").read_text(encoding="utf-8")
    rows = [(n, (("network", *q.axes), *q[1:3])) for n, q in (COLUMNS | SPECTRA).items()]
    assert table(rows) in docs


def test_the_reader_in_the_docs_reads_it(folder, capsys):
    docs = (Path(__file__).parents[2] / "docs/file_formats.md").read_text(encoding="utf-8")
    reader = docs.split("## Merged files")[1].split("```python\n")[1].split("```")[0]
    (folder / "runs/e.h5.checkpoints").mkdir()
    assert main(["merge", "runs", "-o", "all.h5"]) == 1
    capsys.readouterr()
    exec(reader, {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["a", "b", "c/a", "e", "small"]
    assert lines[3] == "e unfinished"


def test_verify_a_merged_file(folder, capsys):
    assert main(["merge", "runs", "-o", "all.h5"]) == 0
    assert main(["verify", "all.h5"]) == 0
    assert "all.h5: whole, SHA-256" in capsys.readouterr().out
    data = bytearray((folder / "all.h5").read_bytes())
    data[-5000] ^= 1
    (folder / "all.h5").write_bytes(data)
    assert main(["verify", "all.h5"]) == 1
    assert "DAMAGED" in capsys.readouterr().out
