"""Columns that the user adds to a sweep, from a pattern or a table."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.sweeps import merge
from lyapy.sweeps.metadata import match_paths, metadata_of, read_table
from lyapy.sweeps.names import named
from tests.support.made_sweeps import NAMES, PATTERN, swept

pytestmark = pytest.mark.usefixtures("eight_networks")


def write_table(path, lines):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(lines)


def test_a_table_is_joined_by_the_fields_of_the_pattern():
    lines = [["epoch", "lr", "gain", "loss", "note"]]
    # numbers are compared, not their spelling
    lines += [[e, lr, g, 10 * g + e, f"n{e}"] for e in (0, 1) for lr in ("1e-1",) for g in (1, 2)]
    write_table("losses.csv", [*lines, [9, 9, 9, 9, "other"]])
    found = swept(pattern=PATTERN, metadata="losses.csv")
    np.testing.assert_array_equal(found.column("loss"), [10, 11, 20, 21] + [np.nan] * 4)
    assert found.column("note").tolist() == ["n0", "n1", "n0", "n1", "", "", "", ""]


@pytest.mark.parametrize("key", ["name", "weights"])
def test_a_table_is_joined_by_name_or_file(key):
    named = {"name": NAMES[1], "weights": f"./runs/{NAMES[1]}.npz"}
    write_table("losses.csv", [[key, "loss"], [named[key], 0.5]])
    found = swept(metadata="losses.csv")
    np.testing.assert_array_equal(found.column("loss"), [np.nan, 0.5] + [np.nan] * 6)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([["loss"], [1]], "has none of the columns name, weights"),
        ([["name", "loss"], ["x", 1]], "no line agrees with a network in name"),
        ([["name", "loss"], [NAMES[0], 1], [NAMES[0], 2]], "has two lines for name"),
        ([["name", "loss"], [NAMES[0]]], "line 2 has 1 values"),
        ([["name", "mean"], [NAMES[0], 1]], "'mean' is a column of every result"),
        ([], "is empty"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(lines, message):
    write_table("losses.csv", lines)
    with pytest.raises(ValueError, match=r"losses\.csv") as error:
        swept(metadata="losses.csv")
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"name,x\na," + b"1" * 200_000, b"name,x\n\xff,1\n"])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "losses.csv"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"losses\.csv: is no CSV file in UTF-8 \(.*\); correct it"
    ):
        read_table(path)


def test_a_selection_and_the_columns_of_a_table():
    found = swept(pattern=PATTERN)
    chosen = found.where(epoch=1, gain=2)
    assert [row.name for row in chosen.rows] == [NAMES[3], NAMES[7]]
    with pytest.raises(ValueError, match="'epocj' is no column"):
        found.where(epocj=1)
    columns = found.columns(spectra=True)
    assert list(columns)[:4] == ["name", "epoch", "gain", "lr"]
    np.testing.assert_array_equal(columns["exponent_1"], found.column("largest"))
    assert {len(values) for values in columns.values()} == {8}


@pytest.mark.parametrize(
    ("text", "value"),
    [("2024_01", "2024_01"), ("nan", "nan"), ("infinity", "infinity"), ("1" * 20, "1" * 20),
     ("010", 10), ("1e-3", 1e-3), ("-.5", -0.5), ("٣", "٣"), ("1_0.5", "1_0.5"), ("0x10", "0x10"),
     ("9" * 5000, "9" * 5000), ("1e999", "1e999")],
)  # fmt: skip
def test_texts_stay_texts_unless_they_are_plainly_numbers(text, value):
    found = match_paths("run{field}", {"a": f"run{text}.pt"})["a"]["field"]
    assert (type(found), found) == (type(value), value)


def test_a_table_may_spell_missing_numbers():
    write_table(
        "losses.csv", [["name", "loss"], [NAMES[0], "NaN"], [NAMES[1], ""], [NAMES[2], 1.5]]
    )
    values = [row["loss"] for row in read_table("losses.csv")]
    assert np.isnan(values[:2]).all() and values[2] == 1.5


@pytest.mark.parametrize(
    ("value", "words"), [([1, 2], "holds a list"), (None, "holds a NoneType"), (2**63, "64 bits")]
)
def test_values_that_cannot_be_kept_are_refused_before(value, words):
    with pytest.raises((TypeError, ValueError), match=f"metadata of '{NAMES[0]}', x: .*{words}"):
        swept(metadata={NAMES[0]: {"x": value}})
    assert not os.path.exists("sweep.h5.runs")


def test_long_ids_and_odd_texts_are_kept():
    ids = {name: {"id": "1" * 20, "note": "a\0b"} for name in NAMES}
    found = swept(metadata=ids)
    assert set(found.column("id")) == {"1" * 20} and set(found.column("note")) == {r"a\0b"}


def test_a_file_that_appears_during_the_sweep_is_left_alone(monkeypatch):
    held = merge.lock.held

    def meanwhile(*arguments):
        Path("sweep.h5").write_bytes(b"of another program")
        return held(*arguments)

    monkeypatch.setattr(merge.lock, "held", meanwhile)
    with pytest.raises(OSError, match=r"sweep\.h5: .*left alone"):
        swept()
    assert Path("sweep.h5").read_bytes() == b"of another program"


@pytest.mark.parametrize("names", [["g0.5", "g1.5e-3"], ["g0.5_s1", "g.25_s1"]])
def test_the_end_of_a_number_is_no_suffix(names):
    gains = [name[1:].removesuffix("_s1") for name in names]
    pattern = "g{gain}" + "_s1" * names[0].endswith("_s1")
    networks = {name: lyapy.random_network("vanilla", 4, 1, seed=1) for name in names}
    for given in (networks, {name: f"runs/{name}.pt" for name in names}):
        found = metadata_of(given, pattern, None, {})
        assert found == {n: {"gain": float(g)} for n, g in zip(names, gains, strict=True)}
    assert named([f"runs/{name}.pt" for name in names]).keys() == set(names)


def test_files_whose_names_end_with_a_number_keep_it():
    assert named(["runs/g0.5", "runs/g1.5e-3"]).keys() == {"g0.5", "g1.5e-3"}
    assert match_paths("g{gain}", {"net": "runs/g0.5"}) == {"net": {"gain": 0.5}}
