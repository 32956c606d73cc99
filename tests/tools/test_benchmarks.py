"""The benchmark runs: sizes are tiny, and no time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

from lyapy.errors import DeviceError
from lyapy.tangent.gpu.device import find_devices
from tools.benchmarks import gpu, gpu_case, growth


def test_tiny_benchmark_runs():
    command = [sys.executable, "-m", "tools.benchmarks.cpu", "--tiny"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| vanilla", "| lstm"))]
    assert len(rows) == 2
    errors = [float(row.split("|")[-2]) for row in rows]
    assert all(error < 1e-6 for error in errors)


def test_one_case_of_the_growth_benchmark_runs():
    case = {"kind": "gru", "n": 6, "k": 3, "steps": 70, "trajectories": 1, "layers": 1}
    seconds, memory = growth.in_a_process(case | {"threads": 1})
    assert seconds > 0.0
    assert 10.0 < memory < 2000.0


def test_gpu_benchmark_runs_on_the_stand_in(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{gpu.BEGIN}\n{gpu.END}\nafter\n")
    command = [
        sys.executable,
        "-m",
        "tools.benchmarks.gpu",
        "--stand-in",
        "--write",
        "--page",
        page,
    ]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    lines = page.read_text().splitlines()
    rows = [line for line in lines if line.startswith("|") and "trajectories" in line]
    assert len(rows) == 3
    assert all(float(row.split("|")[-2]) < 1e-6 for row in rows)
    assert "a stand-in; Python" in page.read_text()
    assert "Targets missed: vanilla n=4, 2 trajectories" in page.read_text()


def test_gpu_benchmark_without_a_gpu_leaves_the_page_as_it_is(tmp_path):
    try:
        find_devices()
    except (ModuleNotFoundError, DeviceError):
        pass
    else:
        pytest.skip("there is a GPU")
    page = tmp_path / "page.md"
    page.write_text(f"{gpu.BEGIN}\nmeasured\n{gpu.END}\n")
    command = [sys.executable, "-m", "tools.benchmarks.gpu", "--write", "--page", page]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root)
    assert done.returncode == 1
    assert "cupy" in done.stderr and "Traceback" not in done.stderr
    assert "measured" in page.read_text()


def test_a_case_of_the_gpu_benchmark_that_fails_leaves_the_others(monkeypatch, tmp_path, capsys):
    """Each is a process of its own; the rest of the table is kept, and the command fails."""
    page = tmp_path / "page.md"
    page.write_text(f"{gpu.BEGIN}\n{gpu.END}\n")
    broken, good = gpu_case.Case("vanilla", 5, 2), gpu_case.TINY[0]
    monkeypatch.setattr(gpu, "TINY", [broken, good])
    monkeypatch.setattr(gpu, "parts", lambda: ["lyapy"])
    words = ["gpu", "--stand-in", "--write", "--page", str(page)]
    monkeypatch.setattr(sys, "argv", words)
    assert gpu.main() == 1
    lines = page.read_text().splitlines()
    first, second = (x for x in lines if x.startswith("|") and "trajectories" in x)
    assert "invalid choice" in first
    assert float(second.split("|")[-2]) < 1e-6


def test_targets_that_are_missed_are_named():
    small, middle, large = (gpu_case.Case("gru", n) for n in (64, 256, 512))
    good = {"lyapy": {"seconds": 1.0, "floor": 0.6}, "jax": {"seconds": 11.0}}
    slow = {"lyapy": {"seconds": 1.0, "floor": 0.1}, "jax": {"seconds": 2.0}}
    alone = {"lyapy": {"seconds": 1.0, "floor": 0.6}, "jax": {"missing": "JAX computes on cpu"}}
    assert gpu.missed(small, good) == gpu.missed(middle, good) == gpu.missed(large, good) == []
    assert gpu.missed(small, slow) == ["gru n=64, 64 trajectories (2.0 times JAX)"]
    assert [one[27:] for one in gpu.missed(middle, slow)] == ["(2.0 times JAX)", "(10.0 floors)"]
    assert gpu.missed(large, slow) == ["gru n=512, 64 trajectories (10.0 floors)"]
    assert gpu.missed(small, alone) == ["gru n=64, 64 trajectories (JAX not measured)"]
    broken = {"lyapy": {"missing": "an error"}}
    assert gpu.missed(large, broken) == ["gru n=512, 64 trajectories (not measured)"]


def test_sparse_benchmark_runs():
    command = [sys.executable, "-m", "tools.benchmarks.sparse", "--tiny"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| 60 |")]
    assert [int(row.split("|")[4]) for row in rows] == [360, 3600]
