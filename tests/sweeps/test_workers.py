"""Workers of a sweep that are killed, break or receive a signal to end."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.errors import Interrupted
from lyapy.weights.frameworks.canonical import canonical_bytes
from tests.support.made_sweeps import NAMES, NETWORKS, OPTIONS, statuses, swept
from tests.support.made_weights import DRIVE

pytestmark = pytest.mark.usefixtures("eight_networks")


LONG = """
import sys
import numpy as np
import lyapy

if __name__ == "__main__":
    networks = {f"net{i}": lyapy.random_network("gru", 6, 2, gain=i, seed=i) for i in (1, 2, 3)}
    drive = np.random.default_rng(0).normal(size=(12000, 2))
    lyapy.sweep(networks, drive, workers=2, backend="numpy", checkpoint_every=0.2)
"""


def assert_complete(found):
    assert all(row.has_result for row in found.rows)


def worker_of(folder, process):
    for _ in range(600):
        for lock in folder.glob("sweep.h5.runs/*.checkpoints/lock"):
            if len(list(lock.parent.iterdir())) > 2:
                with suppress(ValueError, OSError):
                    return json.loads(lock.read_text())["process"]
        assert process.poll() is None, "it has ended too early"
        time.sleep(0.1)
    raise AssertionError("no checkpoint in a minute")


def test_a_killed_worker_loses_nothing(tmp_path):
    (tmp_path / "long.py").write_text(LONG)
    with subprocess.Popen([sys.executable, "long.py"]) as process:
        worker = worker_of(tmp_path, process)
        assert worker != process.pid
        os.kill(worker, signal.SIGKILL)
        assert process.wait(120) == 0
    found = lyapy.Sweep.load("sweep.h5")
    assert_complete(found)
    drive = np.random.default_rng(0).normal(size=(12000, 2))
    for i, exponents in enumerate(found.exponents, 1):
        network = lyapy.random_network("gru", 6, 2, gain=i, seed=i)
        expected = lyapy.lyapunov_spectrum(network, drive, backend="numpy")
        np.testing.assert_array_equal(exponents, expected.exponents)


def test_workers_end_with_the_process_that_started_them(tmp_path):
    (tmp_path / "long.py").write_text(LONG)
    with subprocess.Popen([sys.executable, "long.py"]) as process:
        worker = worker_of(tmp_path, process)
        process.kill()
    stat = Path(f"/proc/{worker}/stat")
    for _ in range(100):
        if not stat.exists() or "Z" in stat.read_text().split()[2]:
            return
        time.sleep(0.1)
    raise AssertionError("a worker goes on alone")


class KillsItsProcess(lyapy.Network):
    def digest(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_only_the_network_that_kills_its_process_is_given_up():
    deadly = KillsItsProcess(lyapy.random_network("gru", 4, 3).cells)
    good = {name: f"runs/{name}.npz" for name in NAMES}
    found = lyapy.sweep({"deadly": deadly, **good}, DRIVE, workers=2, **OPTIONS)
    assert [name for name, status in statuses(found).items() if status == "failed"] == ["deadly"]
    assert "its process died twice" in found.rows[0].columns["advice"]
    assert sum(row.has_result for row in found.rows) == len(NAMES)


def test_a_broken_executor_keeps_finished_networks():
    class Breaks(Executor):
        def submit(self, function, task):
            future = Future()
            if task.name == NAMES[0]:
                future.set_result(function(task))
            else:
                future.set_exception(BrokenProcessPool("gone"))
            return future

    with pytest.raises(BrokenProcessPool):
        lyapy.sweep(NETWORKS, DRIVE, executor=Breaks(), **OPTIONS)
    assert set(statuses(lyapy.Sweep.load("sweep.h5")).values()) >= {"missing"}
    assert_complete(swept())


def test_the_same_call_continues_after_an_interruption():
    def interrupt(outcome):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="the same sweep"):
        swept(report=interrupt)
    assert_complete(swept())


def test_after_sigterm_the_workers_write_checkpoints_and_the_command_continues(tmp_path):
    for i in (0, 1):
        network = lyapy.random_network("gru", 6, 2, gain=i + 1, seed=i + 1)
        (tmp_path / f"net{i}.h5").write_bytes(canonical_bytes(network))
    np.save("long.npy", np.random.default_rng(0).normal(size=(12000, 2)))
    words = ["sweep", "net0.h5", "net1.h5", "--inputs", "long.npy", "--backend", "numpy"]
    words += ["--workers", "2", "-o", "sweep.h5"]
    # no checkpoint is due before the signal
    command = [sys.executable, "-m", "lyapy", *words, "--checkpoint-every", "1000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            locks = list(tmp_path.glob("sweep.h5.runs/*.checkpoints/lock"))
            if len(locks) == 2:
                break
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 75, error
    assert "continues" in error and "Traceback" not in error
    for lock in locks:
        assert len(list(lock.parent.iterdir())) > 1, "no checkpoint was written"
    assert main([*words, "--quiet"]) == 0
    assert_complete(lyapy.Sweep.load("sweep.h5"))
