"""Columns that the user adds to a sweep, from a pattern or a table."""

import csv

import numpy as np
import pytest

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
