"""Weights and inputs in files, for tests of the command line."""

import subprocess
import sys

import numpy as np

RNG = np.random.default_rng(0)
UNITS, M = 5, 3
GRU = {
    "gru.weight_ih_l0": RNG.normal(size=(3 * UNITS, M)),
    "gru.weight_hh_l0": RNG.normal(size=(3 * UNITS, UNITS)),
    "gru.bias_ih_l0": RNG.normal(size=3 * UNITS),
    "gru.bias_hh_l0": RNG.normal(size=3 * UNITS),
}
VANILLA = {"weight_ih_l0": np.zeros((4, 0)), "weight_hh_l0": RNG.normal(size=(4, 4))}
DRIVE = RNG.normal(size=(2, 120, M))
RUN = ["--backend", "numpy", "--quiet", "-o", "run.h5"]


def write_network(path, gain=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: gain * array for name, array in GRU.items()})


def lyapy_process(*words, python=(), **options):
    """Run a command of lyapy in a process."""
    command = [sys.executable, *python, "-m", "lyapy", *words]
    options = {"timeout": 300, "encoding": "utf-8"} | options
    return subprocess.run(command, capture_output=True, check=False, **options)


def write_files():
    np.savez("gru.npz", **GRU)
    np.savez("vanilla.npz", **VANILLA)
    np.save("drive.npy", DRIVE)
