"""Workers of a sweep that are killed, break or are told to end."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.errors import Interrupted
from tests.support.made_sweeps import MEMBERS, NETWORKS, OPTIONS, statuses, write_networks
from tests.support.made_weights import DRIVE


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Work in a folder with the weights of eight networks, and inputs."""
    monkeypatch.chdir(tmp_path)
    write_networks(tmp_path)
    return tmp_path


LONG = """
import sys
import numpy as np
import lyapy

if __name__ == "__main__":
    networks = {f"net{i}": lyapy.random_network("gru", 6, 2, gain=i, seed=i) for i in (1, 2, 3)}
    drive = np.random.default_rng(0).normal(size=(12000, 2))
    lyapy.sweep(networks, drive, workers=2, backend="numpy", checkpoint_every=0.2)
"""


def _workers_at_work(folder, process):
    """Return the process of each member that has a checkpoint and is being computed."""
    for _ in range(600):
        found = {}
        for lock in folder.glob("sweep.h5.runs/*.checkpoints/lock"):
            if len(list(lock.parent.iterdir())) > 2:
                try:
                    found[lock.parent] = json.loads(lock.read_text())["process"]
                except (ValueError, OSError):
                    continue
        if found:
            return found
        assert process.poll() is None, "it has ended too early"
        time.sleep(0.1)
    raise AssertionError("no checkpoint in a minute")


def test_a_worker_that_is_killed_in_the_middle_costs_nothing(folder):
    (folder / "long.py").write_text(LONG)
    with subprocess.Popen([sys.executable, "long.py"]) as process:
        worker = next(iter(_workers_at_work(folder, process).values()))
        assert worker != process.pid
        os.kill(worker, signal.SIGKILL)
        assert process.wait(120) == 0
    found = lyapy.Sweep.load("sweep.h5")
    assert all(row.has_result for row in found.rows)
    drive = np.random.default_rng(0).normal(size=(12000, 2))
    for i, exponents in enumerate(found.exponents, 1):
        network = lyapy.random_network("gru", 6, 2, gain=i, seed=i)
        expected = lyapy.lyapunov_spectrum(network, drive, backend="numpy")
        np.testing.assert_array_equal(exponents, expected.exponents)


def test_workers_end_with_the_process_that_started_them(folder):
    (folder / "long.py").write_text(LONG)
    with subprocess.Popen([sys.executable, "long.py"]) as process:
        worker = next(iter(_workers_at_work(folder, process).values()))
        process.kill()
    for _ in range(100):
        if (
            not Path(f"/proc/{worker}").exists()
            or "Z" in Path(f"/proc/{worker}/stat").read_text().split()[2]
        ):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("a worker goes on alone")


class KillsItsProcess(lyapy.Network):
    """A network that no process survives."""

    def digest(self):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_network_that_kills_its_process_is_given_up_and_only_that():
    deadly = KillsItsProcess(lyapy.random_network("gru", 4, 3).cells)
    good = {name: f"runs/{name}.npz" for name in MEMBERS}
    found = lyapy.sweep({"deadly": deadly, **good}, DRIVE, workers=2, **OPTIONS)
    assert [name for name, status in statuses(found).items() if status == "failed"] == ["deadly"]
    assert "its process died twice" in found.rows[0].columns["advice"]
    assert sum(row.has_result for row in found.rows) == len(MEMBERS)


def test_an_executor_that_breaks_leaves_what_it_has_done():
    class Breaks(Executor):
        def submit(self, function, task):
            future = Future()
            if task.name == MEMBERS[0]:
                future.set_result(function(task))
            else:
                future.set_exception(BrokenProcessPool("gone"))
            return future

    with pytest.raises(BrokenProcessPool):
        lyapy.sweep(NETWORKS, DRIVE, executor=Breaks(), **OPTIONS)
    assert set(statuses(lyapy.Sweep.load("sweep.h5")).values()) >= {"missing"}
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, **OPTIONS)
    assert all(row.has_result for row in found.rows)


def test_an_interruption_is_handed_on_and_the_same_call_continues():
    def interrupt(outcome):
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(Interrupted, match="the same sweep"):
        lyapy.sweep(NETWORKS, DRIVE, executor=executor, report=interrupt, **OPTIONS)
    with ThreadPoolExecutor(1) as executor:
        found = lyapy.sweep(NETWORKS, DRIVE, executor=executor, **OPTIONS)
    assert all(row.has_result for row in found.rows)


def test_sigterm_lets_the_workers_write_a_checkpoint_and_the_command_continues(folder):
    networks = [lyapy.random_network("gru", 6, 2, gain=i, seed=i) for i in (1, 2)]
    for i, network in enumerate(networks):
        from lyapy.weights.frameworks.canonical import canonical_bytes

        (folder / f"net{i}.h5").write_bytes(canonical_bytes(network))
    np.save("long.npy", np.random.default_rng(0).normal(size=(12000, 2)))
    words = ["sweep", "net0.h5", "net1.h5", "--inputs", "long.npy", "--backend", "numpy"]
    words += ["--workers", "2", "-o", "sweep.h5"]
    # no checkpoint is due before the signal
    command = [sys.executable, "-m", "lyapy", *words, "--checkpoint-every", "1000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            locks = list(folder.glob("sweep.h5.runs/*.checkpoints/lock"))
            if len(locks) == 2:
                break
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 75, told
    assert "continues" in told and "Traceback" not in told
    for lock in locks:
        assert len(list(lock.parent.iterdir())) > 1, "no checkpoint was written"
    assert main([*words, "--quiet"]) == 0
    assert all(row.has_result for row in lyapy.Sweep.load("sweep.h5").rows)
