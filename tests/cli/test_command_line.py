"""The command line, as a user types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.cli import COMMANDS, check, main
from tests.support.made_weights import DRIVE, GRU, RUN, VANILLA, lyapy_process

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def run_file(folder):
    assert main(["spectrum", "gru.npz", "--inputs", "drive.npy", *RUN]) == 0
    return folder / "run.h5"


def test_a_run_as_a_user_types_it():
    done = lyapy_process(
        *("spectrum", "gru.npz", "--inputs", "drive.npy", "--transient", "20", "-o", "run.h5"),
        *("--backend", "numpy"),
        python=("-W", "error"),
    )
    assert done.returncode == 0, done.stderr
    assert "5 of 5 Lyapunov exponents" in done.stdout
    assert done.stdout.endswith("written to run.h5\n")
    assert "240 of 240 steps" in done.stderr
    shown = lyapy_process("show", "run.h5")
    assert shown.returncode == 0
    assert shown.stdout.strip() == done.stdout.split("\n\nwritten")[0].strip()
    assert shown.stderr == ""


def test_a_run_gives_the_same_as_the_library():
    words = ["--steps", "60", "-k", "2", "--transient", "10", "--interval", "3", "--seed", "5"]
    words += ["--tolerance", "1e-7", "--frame", "identity", "--threads", "1"]
    assert main(["spectrum", "gru.npz", "--inputs", "drive.npy", *words, *RUN]) == 0
    expected = lyapy.lyapunov_spectrum(
        lyapy.load("gru.npz"), DRIVE, steps=60, k=2, transient=10, interval=3, seed=5,
        tolerance=1e-7, frame="identity", threads=1, backend="numpy",
    )  # fmt: skip
    found = lyapy.Spectrum.load("run.h5")
    np.testing.assert_array_equal(found.exponents, expected.exponents)
    changing = {"seconds", "date"}
    assert {n: v for n, v in found.settings.items() if n not in changing} == {
        n: v for n, v in expected.settings.items() if n not in changing
    }


def test_an_autonomous_network_and_hints():
    words = ["vanilla.npz", "--nonlinearity", "tanh", "--steps", "50", "--trajectories", "3"]
    assert main(["spectrum", *words, *RUN]) == 0
    assert lyapy.Spectrum.load("run.h5").per_trajectory.shape == (3, 4)


def test_text_is_read_through_the_vocabulary(folder):
    (folder / "text.txt").write_text("abcab" * 20)
    (folder / "vocabulary.txt").write_text("cab")
    words = ["gru.npz", "--inputs", "text.txt", "--vocabulary", "vocabulary.txt"]
    assert main(["spectrum", *words, *RUN]) == 0
    rows = [["cab".index(c) for c in "abcab" * 20]]
    network = lyapy.load("gru.npz")
    expected = lyapy.lyapunov_spectrum(network, np.eye(3)[rows], backend="numpy")
    np.testing.assert_array_equal(lyapy.Spectrum.load("run.h5").exponents, expected.exponents)


def test_show_prints_the_exponents(run_file, capsys):
    assert main(["show", "run.h5"]) == 0
    assert "5 of 5 Lyapunov exponents" in capsys.readouterr().out
    assert main(["show", "run.h5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = lyapy.Spectrum.load(run_file).exponents
    assert [entry["value"] for entry in found["exponents"]] == expected.tolist()


def test_plot_writes_a_picture_once(run_file, capsys):
    assert main(["plot", "run.h5"]) == 0
    assert capsys.readouterr().out == "written to run.png\n"
    assert run_file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert main(["plot", "run.h5", "-o", "figure.pdf"]) == 0
    assert main(["plot", "run.h5"]) == 2
    assert capsys.readouterr().err.startswith("lyapy: error: run.png: exists;")
    assert main(["plot", "run.h5", "--overwrite"]) == 0


def test_info_describes_the_network(capsys):
    assert main(["info", "gru.npz"]) == 0
    out = capsys.readouterr().out
    assert "layer 0: gru, 3 inputs, state h (5)" in out
    assert "state dimension D, the number of exponents: 5" in out
    assert lyapy.load("gru.npz").digest() in out
    assert "assumed: layer 0: the GRU's reset gate comes after the product" in out
    assert main(["info", "gru.npz", "--cell", "gru-reset-before"]) == 0
    assert "assumed: nothing" in capsys.readouterr().out


def test_check_passes(capsys):
    assert main(["check", "gru.npz", "--backend", "numpy"]) == 0
    assert capsys.readouterr().out.count("passed") == 2


@pytest.mark.parametrize("measure", ["jacobian_difference", "sum_rule_residual"])
def test_check_reports_a_failure(monkeypatch, capsys, measure):
    monkeypatch.setattr(check, measure, lambda *arguments: 1e-3)
    assert main(["check", "gru.npz", "--backend", "numpy"]) == 1
    out = capsys.readouterr().out
    assert (out.count("passed"), out.count("FAILED")) == (1, 1)


def test_check_finds_a_wrong_jacobian(monkeypatch):
    right = lyapy.jacobian
    monkeypatch.setattr("lyapy.networks.jacobian.jacobian", lambda *given: right(*given).T)
    assert check.jacobian_difference(lyapy.load("gru.npz"), 0) > 0.1


def test_check_reports_that_the_sum_rule_does_not_apply(capsys, folder):
    singular = VANILLA | {"weight_hh_l0": np.diag([1.0, 1.0, 1.0, 0.0])}
    np.savez("singular.npz", **singular)
    words = ["check", "singular.npz", "--nonlinearity", "tanh", "--backend", "numpy"]
    assert main(words) == 0
    assert "does not apply" in capsys.readouterr().out


def test_the_demo_writes_a_spectrum_and_a_picture(folder, capsys):
    assert main(["demo", "-o", "made/here"]) == 0
    out = capsys.readouterr().out
    assert "character-level LSTM" in out
    assert "16 of 128 Lyapunov exponents" in out
    assert "converged" in out and "not converged" not in out
    spectrum = lyapy.Spectrum.load("made/here/spectrum.h5")
    assert len(spectrum.per_trajectory) == 8
    assert (folder / "made/here/spectrum.png").read_bytes().startswith(b"\x89PNG")


def test_demo_replaces_only_files_of_a_demo(folder, capsys, run_file, monkeypatch):
    monkeypatch.setattr("lyapy.cli.demo.STEPS", 64)
    monkeypatch.setattr("lyapy.cli.demo.TRANSIENT", 4)
    run_file.rename("spectrum.h5")
    before = (folder / "spectrum.h5").read_bytes()
    assert main(["demo", "--backend", "numpy"]) == 2
    assert "lyapy: error: spectrum.h5: exists" in capsys.readouterr().err
    assert (folder / "spectrum.h5").read_bytes() == before
    assert main(["demo", "--backend", "numpy", "--overwrite"]) == 0
    assert main(["demo", "--backend", "numpy"]) == 0
    (folder / "spectrum.h5").unlink()
    assert main(["demo", "--backend", "numpy"]) == 2
    assert "lyapy: error: spectrum.png: exists" in capsys.readouterr().err


def test_overwrite_replaces(folder):
    (folder / "run.h5").write_bytes(b"old")
    words = ["spectrum", "gru.npz", "--inputs", "drive.npy", *RUN]
    assert main(words) == 2
    assert main([*words, "--overwrite"]) == 0
    assert h5py.is_hdf5("run.h5")


def test_a_warning_is_one_line(capsys):
    words = ["gru.npz", "--inputs", "drive.npy", "--interval", "100"]
    assert main(["spectrum", *words, *RUN]) == 0
    err = capsys.readouterr().err
    assert err.startswith("lyapy: warning: interval=100 is too long")
    assert err.count("\n") == 1


def test_an_interruption_is_one_line(capsys, monkeypatch, folder):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("lyapy.runs.lyapunov.lyapunov_spectrum", interrupt)
    assert main(["spectrum", "gru.npz", "--inputs", "drive.npy", *RUN]) == 130
    assert capsys.readouterr().err == "lyapy: interrupted\n"
    assert not (folder / "run.h5").exists()


def test_a_bad_input_as_a_user_sees_it():
    done = lyapy_process("info", "none.pt")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "lyapy: error: none.pt: does not exist; check the path\n"


def test_a_reader_that_closes_early_is_no_error(run_file):
    command = f"{sys.executable} -m lyapy show run.h5 --json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{", "")


def test_a_name_that_is_not_utf8_is_printed(folder):
    name = os.fsdecode(b"caf\xe9.npz")
    np.savez(name, **GRU)
    done = lyapy_process("info", name)
    assert done.returncode == 0, done.stderr
    assert r"caf\udce9.npz" in done.stdout


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["spectrum", "--help"]])
def test_help_imports_nothing_heavy(words):
    script = (
        "import sys\nfrom lyapy.cli import main\n"
        f"assert main({words}) == 0\n"
        "heavy = {'numpy', 'scipy', 'numba', 'h5py', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "lyapy" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(capsys, command):
    assert main([command, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"usage: lyapy {command}" in out
    assert f"example: lyapy {command}" in out


@pytest.mark.parametrize("words", [["--help"], ["spectrum", "--help"]])
def test_the_docs_show_every_flag_and_its_help(capsys, words):
    page = (Path(__file__).parents[2] / "docs/command_line.md").read_text()
    shown = page.partition(f"$ lyapy {' '.join(words)}\n")[2].partition("\n```")[0]
    assert main(words) == 0
    # line breaks, and some commas, depend on the terminal and on Python
    words_of = [set(text.replace(",", " ").split()) for text in (shown, capsys.readouterr().out)]
    assert words_of[0] == words_of[1]
