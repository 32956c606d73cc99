"""The benchmark runs: sizes are tiny, and no time is asserted."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tools.benchmarks import exchange, growth


def tiny(name, *starts):
    """Run a benchmark at tiny sizes; return the cells of the rows that start so."""
    command = [sys.executable, "-m", f"tools.benchmarks.{name}", "--tiny"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.splitlines() if line.startswith(starts)]


def test_the_cpu_benchmark_runs():
    rows = tiny("cpu", "| vanilla", "| lstm")
    assert len(rows) == 2
    assert all(float(row[-2]) < 1e-6 for row in rows)


def test_the_benchmark_of_trained_networks_runs():
    (row,) = tiny("trained", "| lstm")
    assert float(row[2]) > 0.0


def test_one_case_of_the_growth_benchmark_runs():
    case = {"kind": "gru", "n": 6, "k": 3, "steps": 70, "trajectories": 1, "layers": 1}
    seconds, memory = growth.in_a_process(case | {"threads": 1})
    assert seconds > 0.0
    assert 10.0 < memory < 2000.0


def test_the_sparse_benchmark_runs():
    assert [int(row[4]) for row in tiny("sparse", "| 60 |")] == [360, 3600]


@pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning")
def test_bounds_hold_where_growth_is_exchanged():
    """Against the benchmark's reference, which is computed again where sums end in other bits."""
    references = dict(np.load(exchange.REFERENCES))
    counts = exchange.Counts(*exchange.saturated("lstm", 6, 200.0, 2, 1e-8, references))
    assert (counts.exponents, counts.missed, counts.failing) == (12, 0, 0)
    assert counts.bounds >= 2


@pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning")
def test_directions_between_exchanged_ones_are_marked():
    """Of this LSTM the sixth exponent takes the place of the third, and moves two others."""
    references = dict(np.load(exchange.REFERENCES))
    counts = exchange.Counts(*exchange.saturated("lstm", 6, 200.0, 0, 1e-8, references))
    assert counts.missed == 0 and counts.wrong >= 4
