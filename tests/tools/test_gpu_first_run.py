"""The first run on a card: its measurements on the stand-in, and how its stages end."""

import subprocess
import sys
import time

import pytest

from lyapy.runs.gpu import batch
from tests.support import stand_in, stand_in_kernels
from tools import gpu_first_run as first_run


@pytest.mark.skipif(not stand_in_kernels.COMPILER, reason="no C++ compiler")
@pytest.mark.parametrize("stage", ["smoke", "engine"])
def test_measurements_run_on_the_stand_in(stage, monkeypatch):
    device = stand_in.stand_in()
    monkeypatch.setattr("lyapy.tangent.engine.find_devices", lambda: (device,))
    monkeypatch.setattr(batch.Batch, "advance", batch.Batch.advance)
    found = []
    first_run.MEASURED[stage](lambda **one: found.append(one), True)
    assert not [one for one in found if "error" in one and stage == "engine"]
    if stage == "smoke":
        assert len(found) == 4
        assert all(one["right"] for one in found)
        return
    assert [one["case"] for one in found] == [str(case) for case in first_run.TINY]
    assert all(one["ms"] > 0.0 and one["repeated"] == 0 for one in found)
    rows = first_run.table([{"stage": "engine", **one} for one in found]).splitlines()
    assert len(rows) == 4


def test_a_case_that_fails_leaves_the_others(monkeypatch):
    found = []
    monkeypatch.setattr(batch.Batch, "advance", batch.Batch.advance)
    monkeypatch.setattr(first_run, "measured", fails_first)
    first_run.engine(lambda **one: found.append(one), True)
    assert "ZeroDivisionError" in found[0]["error"]
    assert [one.get("ms") for one in found[1:]] == [2.0] * (len(first_run.TINY) - 1)


def fails_first(case, steps, chunks):
    if case == first_run.TINY[0]:
        return {"ms": 1 / 0}
    return {"ms": 2.0}


CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}])"


def test_stages_that_fail_or_hang_leave_the_rest(monkeypatch, tmp_path):
    """Their processes end with them; a second call goes on with the stages that have not ended."""
    mark = tmp_path / "alive"
    late = f"import time; time.sleep(4); open({str(mark)!r}, 'w')"
    commands = {
        "good": ([sys.executable, "-c", "print('fine')"], 60),
        "bad": ([sys.executable, "-c", "raise SystemExit(3)"], 60),
        "hangs": ([sys.executable, "-c", CHILD.format(late)], 1.5),
        "absent": (["no-such-program"], 60),
    }
    monkeypatch.setattr(
        first_run, "stages", lambda *rest: [(name, *one) for name, one in commands.items()]
    )
    monkeypatch.setattr(first_run, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(sys, "argv", ["gpu_first_run", str(tmp_path)])
    began = time.monotonic()
    assert first_run.main() == 0
    found = first_run.read(tmp_path / "first_run.jsonl")
    assert [one["stage"] for one in found] == list(commands)
    good, bad, hangs, absent = found
    assert (good["status"], good["last"], bad["status"], hangs["limit"]) == (0, "fine", 3, 1.5)
    assert "no-such-program" in absent["missing"]
    commands["hangs"] = commands["good"]
    with open(tmp_path / "first_run.jsonl", "a") as file:
        file.write('{"stage": "cut sh')
    assert first_run.main() == 0
    again = first_run.read(tmp_path / "first_run.jsonl")
    assert [one["stage"] for one in again[4:]] == ["hangs"]
    time.sleep(max(0.0, began + 6.5 - time.monotonic()))
    assert not mark.exists()


def test_without_a_gpu_it_reports_why(tmp_path):
    command = [sys.executable, "-m", "tools.gpu_first_run", str(tmp_path), "--stages", "system"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=first_run.ROOT)
    assert '"stage": "system", "status": 0' in done.stdout
