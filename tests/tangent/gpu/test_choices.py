"""Which way a size is computed on a GPU: what measurements come to, and what they change."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.tangent.gpu import choices, fused_step, qr, shared_qr, step, whole_interval
from lyapy.tangent.gpu.choices import CHOICES, Choices
from lyapy.tangent.gpu.precision import PRECISIONS
from tests.support import stand_in, stand_in_kernels
from tools.benchmarks import gpu, gpu_choices
from tools.benchmarks.gpu_choices import SHARES, write_choices

ROOT = Path(__file__).parents[3]
DOUBLE = PRECISIONS["float64"]
needs_compiler = pytest.mark.skipif(not stand_in_kernels.COMPILER, reason="no C++ compiler")


def read(path):
    """Return the thresholds of a file."""
    spec = importlib.util.spec_from_file_location("choices_of_a_card", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CHOICES


def step_times(least):
    """Seconds that are in favour of merged terms from a share on."""
    fast = {f"merged {s:g}": 1.0 if s >= least else 3.0 for s in SHARES}
    return fast | {f"apart {s:g}": 2.0 for s in SHARES}


def test_what_follows_from_times():
    """The kernel until it is overtaken, the panel that is best on the whole, the first share."""
    small = {n: {"shared": n / 50.0, 1: 9.0, 8: 2.0} for n in (32, 64, 128)}
    always = {"steps 2": 1.0, "whole 9": 0.5, "steps 9": 0.6}
    walks = {n: {"whole 2": n / 40.0} | always for n in (32, 64)}
    passes = {n: {"whole 2": n / 90.0} | always for n in (32, 64, 128)}
    large = {256: {1: 9.0, 8: 1.0, 32: 2.0}, 512: {1: 9.0, 8: 5.0, 32: 2.0}}
    found = gpu_choices.choose(
        small, large, {64: step_times(0.25), 128: step_times(0.25)}, walks, passes
    )
    assert found == Choices(64, 32, 32, 64, 0.25)
    # the kernel wins as far as was measured: what fits decides; merged terms never win
    small = {n: {"shared": 1.0, 1: 9.0} for n in (32, 64)}
    large[512][8] = 3.0
    walks[64]["whole 2"] = 1.0
    found = gpu_choices.choose(small, large, {64: step_times(9.0)}, walks, passes)
    assert found == Choices(shared_qr.THREADS, 8, shared_qr.THREADS, 64, 2.0)
    # a panel that falls back at one size is not taken, and the kernel need never win
    del large[512][8]
    small[32]["shared"] = 10.0
    walks[32]["whole 9"] = 3.0
    found = gpu_choices.choose(small, large, {64: step_times(0.0)}, walks, passes)
    assert found == Choices(0, 32, 0, 64, SHARES[0])


def test_thresholds_are_written_and_written_again(tmp_path):
    path = tmp_path / "choices.py"
    path.write_text(Path(choices.__file__).read_text())
    for found in (Choices(96, 16, 64, 0, 0.25), Choices(128, 8, 0, 64, 2.0)):
        write_choices(found, "one card", path)
        assert read(path) == found
    text = path.read_text()
    assert text.count("# Measured on one card") == 1
    assert "Not measured" not in text
    path.write_text("CHOICES = None\n")
    with pytest.raises(ValueError, match="has no lines to write the thresholds to"):
        write_choices(found, "one card", path)


@needs_compiler
def test_the_command_runs_on_the_stand_in(tmp_path):
    page, library = tmp_path / "page.md", tmp_path / "choices.py"
    page.write_text(f"before\n{gpu_choices.BEGIN}\n{gpu_choices.END}\nafter\n")
    library.write_text(Path(choices.__file__).read_text())
    words = ["--stand-in", "--write", "--page", page, "--library", library]
    command = [sys.executable, "-m", "tools.benchmarks.gpu_choices", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    # the stand-in has no room for thoughts: a launch less is always faster
    assert read(library).shared_vectors > 0
    assert f"Chosen: {read(library)}. Before: {CHOICES}" in page.read_text()
    assert "| 12 |" in page.read_text()


def test_without_a_card_the_benchmark_tells_and_goes_on(monkeypatch):
    refused = subprocess.CompletedProcess([], 1, "", "some\nbackend='cupy' finds no NVIDIA GPU\n")
    monkeypatch.setattr(gpu.subprocess, "run", lambda *arguments, **options: refused)
    assert gpu.run_choices() == (
        "The thresholds were not measured: backend='cupy' finds no NVIDIA GPU"
    )


@needs_compiler
def test_thresholds_decide(choose):
    """On the kernels, the panel, and merged terms."""
    choose()
    device = stand_in.stand_in(kernels=True)
    assert shared_qr.fits(device, DOUBLE, 5, 5)
    assert qr.first_panel(40) == 10
    program = lyapy.random_network("gru", 6, 2, seed=1).program
    merged = step._groups(program.assignments[0], 6, lambda term: term)
    assert whole_interval.fits(program, 6, device, DOUBLE)
    choose(Choices(4, 2, 6, 6, 2.0))
    larger = lyapy.random_network("gru", 7, 2, seed=1).program
    assert whole_interval.fits(program, 6, device, DOUBLE)
    assert not whole_interval.fits(larger, 7, device, DOUBLE)
    assert not shared_qr.fits(device, DOUBLE, 5, 5)
    assert shared_qr.fits(device, DOUBLE, 4, 5)
    assert qr.first_panel(40) == 2
    assert len(step._groups(program.assignments[0], 6, lambda term: term)) > len(merged)
    products = [
        len(fused_step.FusedStep(program, 6, device, DOUBLE, share).parts[0].products)
        for share in (0.5, None)
    ]
    assert products == [1, 3]


@pytest.mark.parametrize(
    "other",
    [Choices(0, 1, 0, 0, 0.0), Choices(0, 2, 64, 0, 2.0), Choices(256, 64, 0, 64, 2.0)],
    ids=str,
)
def test_every_choice_gives_the_same_exponents(other, device, choose):
    """Whatever a card prefers."""
    network = lyapy.random_network("gru", 12, 2, gain=0.8, layers=2, seed=1)
    inputs = np.random.default_rng(0).normal(size=(2, 100, 2))
    options = {"frame": "identity", "backend": "cupy"}
    choose()
    wanted = lyapy.lyapunov_spectrum(network, inputs, **options)
    choose(other)
    found = lyapy.lyapunov_spectrum(network, inputs, **options)
    np.testing.assert_allclose(found.per_trajectory, wanted.per_trajectory, atol=1e-9)
