"""
A job array on a cluster
========================

Hundreds of checkpoints, and a cluster with Slurm: each task of a job array computes its share, and
the last one to end merges all into one file. This page writes such a batch script and runs its two
tasks here, one after the other, with the variables that Slurm would set. Where a cluster differs
is said at the end.
"""

# %%
# A folder to compute in
# ----------------------
# Weights, inputs and losses, in a folder that all nodes see. Every fifth checkpoint of the training
# of :doc:`2_checkpoints_and_loss` will do for this page.

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

import lyapy

source = next(
    path / "examples/flip_flop"
    for path in (Path.cwd(), *Path.cwd().parents)
    if (path / "examples/flip_flop").is_dir()
)
folder = Path(tempfile.mkdtemp())
(folder / "weights").mkdir()
for path in sorted(source.glob("*.safetensors"))[::5]:
    shutil.copy(path, folder / "weights")
shutil.copy(source / "losses.csv", folder)

rng = np.random.default_rng(0)
pulses = rng.choice([-1.0, 0.0, 1.0], p=[0.05, 0.9, 0.05], size=(4, 1500, 1))
np.save(folder / "pulses.npy", pulses)

# %%
# The batch script
# ----------------
# ``--shard auto`` takes the number of the task and of all tasks from Slurm's variables. Quotes keep
# the shell from replacing the pattern.

script = """#!/bin/bash
#SBATCH --array=1-2
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=1
#SBATCH --requeue
python -m lyapy sweep 'weights/*.safetensors' --inputs pulses.npy --transient 200 \\
    --pattern 'update{update}' --metadata losses.csv -o sweep.h5 --shard auto
"""
with open(folder / "sweep.sh", "w") as file:
    file.write(script)

# %%
# Its two tasks
# -------------
# On a cluster, ``sbatch sweep.sh`` starts both, each with its own number. Here a loop does.


def run_task(number, count=2):
    """Run the script as one task of a job array, and show its log."""
    slurm = {"ID": number, "COUNT": count, "MIN": 1, "MAX": count, "STEP": 1}
    variables = {f"SLURM_ARRAY_TASK_{name}": str(slurm[name]) for name in slurm}
    # the Python of this page, as an activated environment would be
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "sweep.sh"],
        cwd=folder,
        env={**os.environ, **variables, "SLURM_CPUS_PER_TASK": "1", "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(f"task {number} ended with exit code {ran.returncode}\n{ran.stdout}")


run_task(1)

# %%
# Half of the networks, every second one. The second task has the others, and as it ends last, it
# leaves the file complete.

run_task(2)

# %%
# Exit codes say what to do: 0 is finished, 1 names networks that could not be computed, 75 means
# that the task was stopped and wrote checkpoints. Submitting the same script again is always right:
# finished networks are read, unfinished ones continue, to the same bits.
#
# Look at the file
# ----------------
# One file has all spectra, and goes to any computer.

sweep = lyapy.Sweep.load(folder / "sweep.h5")
sweep

# %%
# λ₁ and the loss over the updates of the training, now from the file:

ax = sweep.plot("measure", "update", "largest", metric="loss")
ax.set_xscale("symlog", linthresh=10)
plt.show()

# %%
# Such a plot also comes without Python, from ``lyapy plot sweep.h5 --metric loss``, and the table
# from ``lyapy show sweep.h5``, with ``--csv`` for a spreadsheet.
#
# On a cluster
# ------------
# - Tasks run at the same time, on several nodes, and share the folder. Whichever ends last merges.
# - A task may be killed, at its time limit or for a job of a higher priority. Submit this script
#   again: it continues from the last checkpoint, which is at most five minutes old.
#   ``examples/slurm/spectrum.sh`` needs no help and loses no time. It asks Slurm for a signal, lets
#   lyapy write a checkpoint, and puts itself back into the queue. It takes the same words:
#   ``sbatch --array=1-2 spectrum.sh sweep 'weights/*.safetensors' … --shard auto``.
# - The first run compiles, for some tens of seconds. Before hundreds of tasks do it at once, run
#   ``lyapy compile`` on a node of the same kind. A script on a cluster also activates the
#   environment that lyapy is installed in.
#
# :doc:`/hpc` has threads, long trajectories, logs and all exit codes.
