"""The benchmark runs: sizes are tiny, and no time is asserted."""

import subprocess
import sys
from pathlib import Path


def test_tiny_benchmark_runs():
    command = [sys.executable, "-m", "tests.benchmarks.cpu", "--tiny"]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| vanilla", "| lstm"))]
    assert len(rows) == 2
    errors = [float(row.split("|")[-2]) for row in rows]
    assert all(error < 1e-6 for error in errors)
