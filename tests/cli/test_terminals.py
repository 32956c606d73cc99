"""Texts of files on a terminal: no control characters, one line, bounded; CSV without formulas."""

import csv
import io
import os

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.errors import LENGTH, UNSEEN, one_line, visible
from lyapy.sweeps.merged_file import write_merged
from lyapy.sweeps.names import expand, matching
from lyapy.sweeps.rows import row_without
from tests.support.made_weights import GRU, RUN, lyapy_process

# sets a window's title, clears the screen, turns the direction of writing
EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202eb"
SHOWN = r"a\x1b]0;owned\x07\x1b[2J\x9b31m\u202eb"


pytestmark = pytest.mark.usefixtures("folder")


def test_control_characters_become_escapes():
    assert visible(f"{EVIL}\n") == f"{SHOWN}\n"
    assert visible("λ₁ = −∞, 95 % ± 2\n") == "λ₁ = −∞, 95 % ± 2\n"
    assert one_line("a\r\nb\t c\x00") == r"a b c\x00"
    long = one_line(f"/folder/{'x' * 10**6}: is damaged; save it again")
    assert len(long) < LENGTH + 10
    assert long.startswith("/folder/x") and long.endswith("is damaged; save it again")


def evil_rows():
    rows = [row_without(f"{EVIL}\n{i}", f"failed {EVIL}", f"{EVIL}\nadvice") for i in range(2)]
    return [row._replace(metadata={EVIL: EVIL, "formula": '=HYPERLINK("a")'}) for row in rows]


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_merged_files_show_no_control_characters(capsys, form):
    write_merged(evil_rows(), {}, "all.h5")
    assert main(["show", "all.h5", *form]) == 0
    found = capsys.readouterr().out
    assert not UNSEEN.search(found) and "owned" in found
    if not form:
        # a name of two lines would look like two networks
        assert len(found.splitlines()) == 2 + 3 + 3
    assert not UNSEEN.search(str(lyapy.Sweep.load("all.h5")))


def test_csv_holds_no_formula(capsys):
    texts = ["=1+1", "+1", "-1", "@a", " =1", "\t=1", "plain", "a=b"]
    rows = [row_without(str(i), "failed", text) for i, text in enumerate(texts)]
    write_merged(rows, {}, "all.h5")
    assert main(["show", "all.h5", "--csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    found = [line["advice"] for line in lines]
    assert found == ["'=1+1", "'+1", "'-1", "'@a", "' =1", r"\t=1", "plain", "a=b"]


def test_weights_and_errors_show_no_control_characters(capsys):
    np.savez("evil.npz", **{f"{EVIL}.{name}": array for name, array in GRU.items()})
    assert main(["info", "evil.npz"]) == 0
    np.savez("others.npz", **{f"{EVIL}\nassumed: nothing": np.zeros(3)} | GRU)
    assert main(["info", "others.npz"]) == 0
    np.savez("none.npz", **{f"{EVIL}{i}": np.zeros(3) for i in range(3)})
    assert main(["info", "none.npz"]) == 2
    assert main(["show", EVIL]) == 2
    assert main(["show", "run.h5", EVIL]) == 2
    found = capsys.readouterr()
    assert not UNSEEN.search(found.out + found.err)
    assert len(found.err.splitlines()) == 3
    assert r"not recurrent: " + SHOWN + r"\nassumed: nothing (3,)" in found.out


def test_a_run_shows_no_control_characters_of_its_origin(capsys):
    np.savez(f"{EVIL}.npz", **GRU)
    assert main(["spectrum", f"{EVIL}.npz", "--inputs", "drive.npy", *RUN]) == 0
    for words in (["show", "run.h5"], ["show", "run.h5", "--json"], ["verify", "run.h5"]):
        assert main(words) == 0
    found = capsys.readouterr()
    assert "owned" in found.out and not UNSEEN.search(found.out + found.err)


def merge(*words):
    return lyapy_process("merge", *words, "-o", "all.h5", timeout=60)


def test_links_that_loop_neither_multiply_nor_hang():
    os.makedirs("runs/deep/deeper")
    assert main(["spectrum", "gru.npz", "--inputs", "drive.npy", *RUN]) == 0
    os.rename("run.h5", "runs/deep/run.h5")
    for number in range(6):
        os.symlink("..", f"runs/deep/deeper/back{number}")
        os.symlink("deep", f"runs/again{number}")
    done = merge("runs")
    assert (done.returncode, done.stdout) == (
        0,
        "1 of 1 networks merged, written to all.h5\n",
    ), done.stderr
    assert lyapy.Sweep.load("all.h5").names == ["deep/run"]


def test_links_behind_which_runs_are_lead_to_them():
    os.makedirs("elsewhere/inner")
    assert main(["spectrum", "gru.npz", "--inputs", "drive.npy", *RUN]) == 0
    os.rename("run.h5", "elsewhere/inner/run.h5")
    os.mkdir("runs")
    os.symlink("../elsewhere", "runs/link")
    assert merge("runs").returncode == 0
    assert lyapy.Sweep.load("all.h5").names == ["link/inner/run"]


def test_a_pattern_looks_into_each_folder_once():
    for place in ("w/a", "w/.hidden", "w/b/c"):
        os.makedirs(place)
    for name in ("w/1.npz", "w/a/2.npz", "w/.hidden/3.npz", "w/b/c/4.npz"):
        np.savez(name, **GRU)
    os.symlink("w", "linked")
    assert expand(["w/**/*.npz"]) == ["w/1.npz", "w/a/2.npz", "w/b/c/4.npz"]
    assert expand(["**/c/*.npz"]) == ["w/b/c/4.npz"]
    assert expand(["linked/**/4.npz"]) == ["linked/b/c/4.npz"]
    assert expand(["w/**"]) == ["w/1.npz", "w/a/2.npz", "w/b/c/4.npz"]
    for number in range(8):
        os.symlink("..", f"w/a/back{number}")
    assert expand(["w/**/*.npz"]) == ["w/1.npz", "w/a/2.npz", "w/b/c/4.npz"]
    assert len(list(matching("w/**/*.npz"))) == 3


def test_pipes_among_the_files_are_damage():
    os.mkdir("runs")
    os.mkdir("runs/c.h5.checkpoints")
    for name in (
        "a.h5",
        "b.h5.failed",
        "c.h5.checkpoints/lock",
        "c.h5.checkpoints/state-000001.h5",
    ):
        os.mkfifo(f"runs/{name}")
    done = merge("runs")
    assert done.returncode == 1
    assert "a: damaged: " in done.stderr and "is not a regular file" in done.stderr
    done = lyapy_process("show", "runs/c.h5", timeout=60)
    assert done.returncode in (0, 2) and "Traceback" not in done.stderr
