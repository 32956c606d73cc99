"""What is told of a sweep's networks beside their spectra."""

import csv
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lyapy
from tests.support.made_sweeps import MEMBERS, NETWORKS, OPTIONS, PATTERN, write_networks
from tests.support.made_weights import DRIVE


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder with the weights of eight networks, and inputs."""
    monkeypatch.chdir(tmp_path)
    write_networks(tmp_path)
    return tmp_path


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
