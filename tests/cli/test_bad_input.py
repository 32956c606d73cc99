"""Bad input: one line that names it, exit code 2, nothing written."""

import os
import re

import numpy as np
import pytest

from lyapy.cli import main
from tests.support.made_weights import GRU, RUN, VANILLA, M

pytestmark = pytest.mark.usefixtures("folder")


BAD_INPUTS = {
    "missing weights": (["info", "none.pt"], "none.pt: does not exist"),
    "a folder": (["info", "."], ".: is a directory"),
    "an empty file": (["info", "empty.pt"], "empty.pt: is empty"),
    "text named .pt": (["info", "text.pt"], "text.pt: is not a weights file despite its name"),
    "a result": (
        ["info", "result.h5"],
        "result.h5: is a result of lyapy, not weights; show it with lyapy show",
    ),
    "a web page": (["info", "page.pt"], "page.pt: is a web page"),
    "unknown names": (["info", "unknown.npz"], "unknown.npz: no recurrent layer .*a_tensor"),
    "wrong shapes": (["info", "shape.npz"], r"shape.npz: gru.weight_ih_l0 has shape \(7, 3\)"),
    "no nonlinearity": (["info", "vanilla.npz"], "vanilla.npz: .*nonlinearity="),
    "a wrong hint": (["info", "gru.npz", "--cell", "gnu"], "cell is 'gnu'; it must be one of"),
    "no inputs": (["spectrum", "gru.npz"], "inputs are missing, but gru.npz reads 3 at"),
    "no steps": (["spectrum", "vanilla.npz", "--nonlinearity", "relu"], "steps is missing"),
    "missing inputs": (["--inputs", "none.npy"], "none.npy: does not exist; check the path"),
    "inputs of wrong width": (["--inputs", "wide.npy"], r"wide.npy: has shape \(9, 4\)"),
    "short inputs": (["--transient", "120"], "inputs has 120 steps, too few for transient=120"),
    "text without vocabulary": (["--inputs", "text.txt"], "text.txt: .*--vocabulary"),
    "vocabulary without text": (["--vocabulary", "text.txt"], "--vocabulary: is for text; add"),
    "k = 0": (["-k", "0"], "k is 0; it must be a whole number from 1 to 5"),
    "k = x": (["-k", "x"], "k is 'x'; it must be a whole number, 'kaplan-yorke' or 'entropy'"),
    "k = 2.5": (["-k", "2.5"], "argument -k: invalid whole_or_name value: '2.5'"),
    "backend": (["--backend", "fast"], "argument --backend: invalid choice: 'fast'"),
    "no run file": (["show", "none.h5"], "none.h5: does not exist"),
    "another file to show": (["show", "gru.npz"], "gru.npz: is not an HDF5 file; give"),
    "another file to plot": (["plot", "drive.npy"], "drive.npy: is not an HDF5 file; give"),
    "a misspelt option": (
        ["--inpts", "x.npy"],
        "unrecognized arguments: --inpts x.npy; is --inputs meant\\?; see lyapy spectrum --h",
    ),
    "no command": ([], "the following arguments are required: COMMAND; see lyapy --help"),
    "unknown command": (["frobnicate"], "argument COMMAND: invalid choice: 'frobnicate'"),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_is_reported_in_one_line(folder, capsys, name):
    (folder / "empty.pt").touch()
    (folder / "result.h5").write_bytes(b"lyapy-sealed 1 ")
    (folder / "page.pt").write_text("<!DOCTYPE html><html>sign in</html>")
    (folder / "text.pt").write_text("these are not weights")
    (folder / "text.txt").write_text("abc")
    np.savez("unknown.npz", a_tensor=np.ones(3))
    np.savez("shape.npz", **GRU | {"gru.weight_ih_l0": np.ones((7, M))})
    np.save("wide.npy", np.ones((9, 4)))
    before = sorted(os.listdir(folder))
    words, expected = BAD_INPUTS[name]
    if words and words[0].startswith("-"):
        words = ["spectrum", "gru.npz", "--inputs", "drive.npy", *words]
    if words[:1] == ["spectrum"]:
        words = [*words, "--quiet", "-o", "run.h5"]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("lyapy: error: ")
    assert re.match(expected, err.removeprefix("lyapy: error: ")), err
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("run.h5", "run.h5: exists; choose another name, or replace it with .*--overwrite"),
        ("none/run.h5", "none/run.h5: the folder .* does not exist"),
        ("/proc/self/run.h5", "/proc/self/run.h5: the folder .* cannot be written"),
        (".", ".: is a folder"),
    ],
)
def test_an_output_is_refused_before_the_work(folder, capsys, monkeypatch, output, expected):
    (folder / "run.h5").write_bytes(b"precious")
    monkeypatch.setattr("lyapy.weights.load.load", lambda *a, **b: pytest.fail("worked"))
    words = ["spectrum", "gru.npz", "--inputs", "drive.npy", "-o", output]
    assert main(words) == 2
    assert re.match(expected, capsys.readouterr().err.removeprefix("lyapy: error: "))
    assert (folder / "run.h5").read_bytes() == b"precious"


def test_a_divergence_is_reported_and_writes_nothing(folder, capsys):
    np.savez("vanilla.npz", **VANILLA | {"weight_hh_l0": 1e3 * np.eye(4)})
    words = ["vanilla.npz", "--nonlinearity", "identity", "--steps", "500"]
    assert main(["spectrum", *words, *RUN]) == 2
    assert "not finite" in capsys.readouterr().err.splitlines()[-1]
    assert not (folder / "run.h5").exists()


def test_a_missing_backend_is_reported(capsys, monkeypatch):
    monkeypatch.setattr("lyapy.tangent.gpu.device.find_spec", lambda name: None)
    words = ["gru.npz", "--inputs", "drive.npy", "-o", "run.h5", "--backend", "cupy"]
    assert main(["spectrum", *words]) == 2
    assert capsys.readouterr().err.startswith("lyapy: error: backend='cupy' needs CuPy")
