"""A folder of eight networks that differ in three fields of their paths, and how to sweep it."""

import numpy as np

from tests.support.made_weights import GRU, write_files

OPTIONS = {"backend": "numpy", "steps": 30, "seed": 3}

WORDS = ["--inputs", "drive.npy", "--backend", "numpy", "--steps", "30", "--seed", "3"]

MEMBERS = [
    f"lr{lr}_g{gain}/epoch{epoch}" for lr in ("0.1", "1e-3") for gain in (1, 2) for epoch in (0, 1)
]

PATTERN = "runs/lr{lr}_g{gain}/epoch{epoch}"

NETWORKS = "runs/*/epoch*.npz"


def write_networks(folder):
    """Write the weights of eight networks, and inputs, into the working folder."""
    write_files()
    for factor, name in enumerate(MEMBERS, 1):
        path = folder / f"runs/{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{key: factor / 4 * array for key, array in GRU.items()})


def statuses(found):
    return {row.name: row.columns["status"] for row in found.rows}
