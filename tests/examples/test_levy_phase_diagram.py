"""The sweep over heavy-tailed networks, in its quick form, against the mean field."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

import lyapy

SCRIPT = Path(__file__).parents[2] / "examples" / "levy_phase_diagram.py"
# α and gain → q* and log|det U|/n − log gain of infinite networks
FIELD = {(1.5, 3.0): (3.618, -0.629), (2.0, 3.0): (6.305, -0.501)}


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_quick_sweep_agrees_with_the_mean_field(tmp_path):
    command = [sys.executable, str(SCRIPT), "levy.h5", "levy.png", "--quick", "--workers", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.replace("\\|", "/").strip().split("\n\n")
    for line in first.splitlines()[2:]:
        alpha, gain, theory, *measured = cells(line)
        q, log_det = FIELD.pop((float(alpha), float(gain)))
        assert float(theory) == pytest.approx(q, rel=3e-3)
        for text, known in zip(measured, (q, log_det), strict=True):
            value, error = map(float, text.split("±"))
            # three networks of 300 units
            assert abs(value - known) < 0.01 * abs(known) + 4.0 * error
    assert not FIELD
    shown = {tuple(cells(line)[:3]): cells(line)[3:] for line in second.splitlines()[2:]}
    shown = {key: [*map(float, values)] for key, values in shown.items()}
    # the radius of the circle of eigenvalues below gain 1
    assert shown["2", "∞", "λ₁"] == pytest.approx([math.log(0.6), 0.310], abs=2e-3)
    for low, high in (shown["2", "40", "λ₁"], shown["2", "80", "λ₁"]):
        assert low == pytest.approx(math.log(0.6), abs=0.08)
        assert 0.2 < high < 0.33
    # chaos of heavy tails has fewer dimensions, which are a share of N
    for n in ("40", "80"):
        assert shown["1.2", n, "D_KY/N"][0] == shown["2", n, "D_KY/N"][0] == 0.0
        assert shown["1.2", n, "D_KY/N"][1] < 0.5 * shown["2", n, "D_KY/N"][1]
    assert shown["2", "40", "D_KY/N"][1] == pytest.approx(shown["2", "80", "D_KY/N"][1], rel=0.2)
    sweep = lyapy.Sweep.load(tmp_path / "levy.h5")
    assert len(sweep) == 16 and all(row.has_result for row in sweep)
    strongest = sweep.where(alpha=2.0, gain=3.0, n=80).numbers("largest")
    assert shown["2", "80", "λ₁"][1] == pytest.approx(strongest.mean(), abs=5e-4)
    assert (tmp_path / "levy.png").stat().st_size > 20_000
