"""Commands that end by a signal or a kill, and are continued."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lyapy.weights.frameworks.canonical import canonical_bytes
from tests.support.made_checkpoints import datasets, network

COMMAND = """
import sys
from lyapy.runs import schedule
from lyapy.cli import main
schedule.CHUNK_TILES = 1
sys.exit(main(sys.argv[1:]))
"""


def command(folder, *more):
    words = ["spectrum", "net.h5", "--inputs", "drive.npy", "-o", "run.h5", "--quiet"]
    words += ["--backend", "numpy", *more]
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words], cwd=folder, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.h5").write_bytes(canonical_bytes(network(layers=1)))
    np.save(tmp_path / "drive.npy", np.random.default_rng(0).normal(size=(2, 3000, 2)))
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_ends_a_run_in_good_order(folder, number):
    run = command(folder)
    wait_for(folder / "run.h5.checkpoints" / "lock")
    time.sleep(0.3)
    run.send_signal(number)
    error = run.communicate(timeout=60)[1]
    assert run.returncode == 75, error
    assert "run the same command again to continue" in error
    # on a busy machine it may ask for patience first
    assert len([line for line in error.splitlines() if "stopping after" not in line]) == 1


def test_kills_change_nothing(folder):
    """Kill runs at random times until one has ended; its file is that of one never killed."""
    began = time.monotonic()
    assert not command(folder).communicate(timeout=120)[1]
    taken = time.monotonic() - began
    shutil.move(folder / "run.h5", folder / "whole.h5")
    rng, kills = np.random.default_rng(0), 0
    while not (folder / "run.h5").exists() and kills < 60:
        run = command(folder, "--checkpoint-every", "0.01")
        wait_for(folder / "run.h5.checkpoints" / "lock", run)
        time.sleep(rng.uniform(0.0, 0.2 * taken))
        run.kill()
        run.communicate(timeout=60)
        kills += 1
    assert kills > 3
    done = command(folder)
    error = done.communicate(timeout=60)[1]
    assert done.returncode == 0, error
    assert datasets(folder / "run.h5") == datasets(folder / "whole.h5")
    assert not (folder / "run.h5.checkpoints").exists()


def wait_for(path, run=None):
    deadline = time.monotonic() + 60
    while not path.exists() and (run is None or run.poll() is None):
        assert time.monotonic() < deadline
        time.sleep(0.01)
