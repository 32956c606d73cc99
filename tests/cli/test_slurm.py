"""The batch scripts of the examples under a real Slurm; see `slurm_cluster`.

Everything is submitted at the beginning, so that the waiting is done once.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.runs import schedule
from tests.support.made_checkpoints import datasets
from tests.support.made_weights import M, write_network
from tests.support.slow_lyapy import TILES
from tests.support.slurm_cluster import SlurmCluster, missing_programs

pytestmark = pytest.mark.slurm

SCRIPTS = Path(__file__).parents[2] / "examples" / "slurm"
STEPS = 12_800
MEMBERS = 5
LONG = ["weights/epoch1.npz", "weights/epoch2.npz"]
FEW = ["--steps", "640"]
WORDS = ["--inputs", "drive.npy", "--backend", "numpy", "--quiet", "--checkpoint-every", "0.5"]
# a run of more than a minute, so that every signal meets it on its way
SLOW = 0.7
WAIT = 240.0


@pytest.fixture(scope="module")
def cluster():
    missing = missing_programs()
    if missing:
        packages = "Debian packages slurm-wlm, slurmctld, slurmd and munge"
        pytest.skip(f"no Slurm on this machine ({', '.join(missing)} missing; {packages})")
    # a socket's path must be short
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        cluster = SlurmCluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Return a folder with weights, inputs, and results of uninterrupted runs."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(1)
    np.save(folder / "drive.npy", rng.normal(size=(STEPS, M)))
    for number in range(MEMBERS):
        write_network(folder / f"weights/epoch{number}.npz", 1 + 0.2 * number)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(schedule, "CHUNK_TILES", TILES)
        assert main(["spectrum", *LONG, *WORDS, "-o", "expected/long"]) == 0
        assert main(["spectrum", "weights/*.npz", *WORDS, *FEW, "-o", "expected/short"]) == 0
    (folder / "weights/epoch3.npz").write_bytes(b"PK\x03\x04 broken on the way")
    return folder


@pytest.fixture(scope="module")
def jobs(cluster, work):
    """Submit everything, and let a job of higher priority push aside the one that may be."""
    commands = work / "bin"
    commands.mkdir()
    slow = Path(__file__).parents[1] / "support" / "slow_lyapy.py"
    (commands / "lyapy").write_text(f'#!/bin/sh\nexec {sys.executable} {slow} "$@"\n')
    (commands / "lyapy").chmod(0o755)
    (commands / "urgent.sh").write_text("#!/bin/bash\nsleep 2\n")
    cluster.environment["PATH"] = os.pathsep.join([str(commands), cluster.environment["PATH"]])
    cluster.environment["LYAPY_SLOW"] = str(SLOW)

    def submit(*words):
        return cluster.submit(*words, folder=work)

    script = SCRIPTS / "spectrum.sh"
    # Slurm looks every 30 s, and signals rather too early than too late: after 20 to 50 s
    limits = ["--array=1-2", "--time=1", "--signal=B:USR1@10", "--cpus-per-task=1"]
    found = {"limited": submit(*limits, script, *LONG, *WORDS, "-o", "limited", "--shard", "auto")}
    one = [LONG[0], *WORDS]
    lowly = ["--partition=scavenge", "--cpus-per-task=2"]
    found["preempted"] = submit(*lowly, script, *one, "-o", "preempted.h5")
    found["cancelled"] = submit("--cpus-per-task=1", script, *one, "-o", "cancelled.h5")
    for name in ("preempted", "cancelled"):
        wait_for_checkpoint(work / f"{name}.h5")
    cluster.run("scancel", str(found["cancelled"]))
    # one CPU is free now, and two more if the job that may be is pushed aside
    found["urgent"] = submit("--cpus-per-task=3", commands / "urgent.sh")
    many = ["weights/*.npz", *WORDS, *FEW, "-o", "runs", "--shard", "auto"]
    found["array"] = submit("--array=1-3", "--cpus-per-task=1", script, *many)
    swept = ["sweep", "weights/*.npz", *WORDS, *FEW, "--pattern", "epoch{epoch}", "-o", "sweep.h5"]
    found["sweep"] = submit("--array=1-3", "--cpus-per-task=1", script, *swept, "--shard", "auto")
    after = f"--dependency=afterany:{found['array']}"
    merge, expect = SCRIPTS / "merge.sh", ["--expect", "weights/*.npz"]
    found["merge"] = submit(after, merge, "runs", "-o", "all.h5", *expect)
    ends = f"--dependency=afterany:{found['limited']}:{found['preempted']}"
    found["all"] = submit(ends, merge, "limited", "preempted.h5", "-o", "long.h5")
    return found


def wait_for_checkpoint(run):
    deadline = time.monotonic() + 60.0
    while not list(run.with_name(f"{run.name}.checkpoints").glob("state-*")):
        assert time.monotonic() < deadline, f"{run} has no checkpoint after a minute"
        time.sleep(0.2)


def check_requeued(cluster, work, job, run, expected):
    facts = cluster.wait_for(job, "COMPLETED", seconds=WAIT)
    log = (work / f"spectrum-{facts['JobId']}.log").read_text()
    # a signal in the last moments starts it once more, to find itself finished
    assert int(facts["Restarts"]) >= 1, log
    numbers = re.search(r"checkpoint (\d+) is kept(?:.|\n)*?continues from checkpoint (\d+)", log)
    assert numbers and numbers[1] == numbers[2], log
    assert datasets(work / run) == datasets(work / expected)
    assert not (work / f"{run}.checkpoints").exists()


def test_a_preempted_job_gives_the_same_as_an_uninterrupted_run(cluster, work, jobs):
    check_requeued(cluster, work, jobs["preempted"], "preempted.h5", "expected/long/epoch1.h5")


@pytest.mark.parametrize("task", [1, 2])
def test_a_time_limit_gives_the_same_as_an_uninterrupted_run(cluster, work, jobs, task):
    run = f"epoch{task}.h5"
    job = f"{jobs['limited']}_{task}"
    check_requeued(cluster, work, job, f"limited/{run}", f"expected/long/{run}")


def test_a_job_that_was_cancelled_stays_so_and_goes_on_when_submitted_again(cluster, work, jobs):
    # by then it would have been back from the queue
    cluster.wait_for(jobs["preempted"], "COMPLETED", seconds=WAIT)
    assert cluster.facts(jobs["cancelled"])["JobState"] == "CANCELLED"
    assert not (work / "cancelled.h5").exists()
    cluster.environment["LYAPY_SLOW"] = "0"
    words = [SCRIPTS / "spectrum.sh", LONG[0], *WORDS, "-o", "cancelled.h5"]
    job = cluster.submit("--cpus-per-task=1", *words, folder=work)
    cluster.wait_for(job, "COMPLETED", seconds=WAIT)
    assert "continues from checkpoint" in (work / f"spectrum-{job}.log").read_text()
    assert datasets(work / "cancelled.h5") == datasets(work / "expected/long/epoch1.h5")


def test_a_job_array_computes_each_member_once(cluster, work, jobs):
    # epoch0 and epoch3, which is broken, are the first task's
    for task, state in enumerate(["FAILED", "COMPLETED", "COMPLETED"], 1):
        cluster.wait_for(f"{jobs['array']}_{task}", state, seconds=WAIT)
    for number in (0, 1, 2, 4):
        name = f"epoch{number}.h5"
        assert datasets(work / "runs" / name) == datasets(work / "expected/short" / name)
    assert not (work / "runs/epoch3.h5").exists()


def test_a_sweep_as_a_job_array_is_complete_when_its_last_task_ends(cluster, work, jobs):
    for task, state in enumerate(["FAILED", "COMPLETED", "COMPLETED"], 1):
        cluster.wait_for(f"{jobs['sweep']}_{task}", state, seconds=WAIT)
    found = lyapy.Sweep.load(work / "sweep.h5")
    assert found.column("epoch").tolist() == [0, 1, 2, 3, 4]
    assert found.column("status").tolist().count("failed") == 1
    for row in found.rows:
        if row.name == "epoch3":
            assert "weights/epoch3.npz" in row.columns["advice"]
        else:
            expected = lyapy.Spectrum.load(work / f"expected/short/{row.name}.h5")
            np.testing.assert_array_equal(row.spectra["exponents"], expected.exponents)


def test_the_merge_waits_for_the_array_and_names_missing_runs(cluster, work, jobs):
    cluster.wait_for(jobs["merge"], "FAILED", seconds=WAIT)
    log = (work / f"merge-{jobs['merge']}.log").read_text()
    assert "4 of 5 networks merged, written to all.h5" in log
    assert "epoch3 (weights/epoch3.npz): failed: weights/epoch3.npz:" in log
    with h5py.File(work / "all.h5") as file:
        assert file["k"][()].tolist() == [5, 5, 5, 0, 5]


def test_a_dependency_waits_for_jobs_that_were_requeued(cluster, work, jobs):
    cluster.wait_for(jobs["all"], "COMPLETED", seconds=WAIT)
    assert "3 of 3 networks merged" in (work / f"merge-{jobs['all']}.log").read_text()
