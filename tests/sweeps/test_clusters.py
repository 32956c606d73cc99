"""Sweeps on real engines: the ranks of an MPI job, and a dask cluster of which a worker dies."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.sweeps.workers import check_ranks, dask_executor
from tests.support.made_weights import lyapy_process, write_network

pytestmark = pytest.mark.cluster

STEPS = 6000
NAMES = ["net0", "net1", "net2", "net3"]
WORDS = ["sweep", "net*.npz", "--inputs", "drive.npy", "--backend", "numpy", "-o", "sweep.h5"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(NAMES, 1):
        write_network(tmp_path / f"{name}.npz", i / 3)
    np.save("drive.npy", np.random.default_rng(0).normal(size=(STEPS, 3)))
    return tmp_path


def assert_complete(found, **options):
    assert [row.name for row in found.rows] == NAMES
    drive = np.load("drive.npy")
    for name, exponents in zip(NAMES, found.exponents, strict=True):
        network = lyapy.load(f"{name}.npz")
        expected = lyapy.lyapunov_spectrum(network, drive, backend="numpy", **options)
        np.testing.assert_array_equal(exponents, expected.exponents)


def mpiexec():
    """Return the command that starts ranks of the MPI which mpi4py uses; skip without."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed; pip install 'lyapy[mpi]' mpich")
    local = Path(sys.executable).with_name("mpiexec")
    found = str(local) if local.exists() else shutil.which("mpiexec")
    if found is None:
        pytest.skip("there is no mpiexec; pip install mpich")
    return found


def test_three_ranks_compute_one_sweep(folder):
    lyapy_sweep = [sys.executable, "-m", "lyapy", *WORDS, "--mpi", "--steps", "500"]
    command = [mpiexec(), "-n", "3", *lyapy_sweep]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    # rank 0 alone reports, and computes nothing itself
    assert done.stdout.splitlines()[-1] == "4 of 4 networks written to sweep.h5"
    assert done.stdout.count("networks written") == 1
    assert_complete(lyapy.Sweep.load("sweep.h5"), steps=500)


def test_ranks_that_do_not_know_of_one_another_are_refused(folder):
    mpiexec()
    environment = {**os.environ, "SLURM_NTASKS": "3"}
    done = lyapy_process(*WORDS, "--mpi", env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith("lyapy: error: SLURM_NTASKS is 3, but MPI has one rank")
    assert not (folder / "sweep.h5").exists()


def test_one_rank_alone_is_no_mistake():
    check_ranks(1, {"SLURM_NTASKS": "1"})
    check_ranks(1, {})
    check_ranks(3, {"SLURM_NTASKS": "3"})
    with pytest.raises(ValueError, match="OMPI_COMM_WORLD_SIZE is 2"):
        check_ranks(1, {"OMPI_COMM_WORLD_SIZE": "2"})


@pytest.fixture
def cluster():
    reason = "distributed is not installed; pip install 'lyapy[dask]'"
    distributed = pytest.importorskip("distributed", reason=reason)
    options = {"threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(n_workers=2, **options) as cluster:
        yield cluster


def kill_a_worker(folder, killed):
    while not killed:
        for lock in folder.glob("sweep.h5.runs/*.checkpoints/lock"):
            if len(list(lock.parent.iterdir())) > 2 and lock.stat().st_size:
                killed.append(json.loads(lock.read_text())["process"])
                os.kill(killed[0], signal.SIGKILL)
                return
        time.sleep(0.02)


# dask leaves sockets to the collector where a worker was killed
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_a_dask_worker_is_killed_in_the_middle_and_the_sweep_is_complete(folder, cluster):
    killed = []
    killer = threading.Thread(target=kill_a_worker, args=(folder, killed), daemon=True)
    killer.start()
    with dask_executor(cluster.scheduler_address) as executor:
        where = {"checkpoint": folder / "sweep.h5", "executor": executor, "checkpoint_every": 0.1}
        networks, drive = str(folder / "net*.npz"), folder / "drive.npy"
        found = lyapy.sweep(networks, drive, backend="numpy", **where)
    killer.join(1)
    assert killed and killed[0] != os.getpid()
    assert_complete(found)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_command_uses_a_dask_cluster(folder, cluster):
    words = [*WORDS, "--dask", cluster.scheduler_address, "--steps", "50", "--quiet"]
    done = lyapy_process(*words)
    assert done.returncode == 0, done.stderr
    assert all(row.has_result for row in lyapy.Sweep.load("sweep.h5").rows)


def test_loky_computes_a_sweep(folder):
    loky = pytest.importorskip("loky", reason="loky is not installed; pip install loky")
    with loky.ProcessPoolExecutor(2) as executor:
        found = lyapy.sweep("net*.npz", "drive.npy", executor=executor, backend="numpy", steps=500)
    assert_complete(found, steps=500)
