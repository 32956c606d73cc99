"""A folder of eight networks that differ in three fields of their paths, and how to sweep it."""

from concurrent.futures import ThreadPoolExecutor

import lyapy
from tests.support.made_weights import DRIVE, write_files, write_network

OPTIONS = {"backend": "numpy", "steps": 30, "seed": 3}
WORDS = ["--inputs", "drive.npy", "--backend", "numpy", "--steps", "30", "--seed", "3"]
NAMES = [f"lr{lr}_g{g}/epoch{epoch}" for lr in ("0.1", "1e-3") for g in (1, 2) for epoch in (0, 1)]
PATTERN = "runs/lr{lr}_g{gain}/epoch{epoch}"
NETWORKS = "runs/*/epoch*.npz"


def write_networks(folder):
    write_files()
    for factor, name in enumerate(NAMES, 1):
        write_network(folder / f"runs/{name}.npz", factor / 4)


def statuses(found):
    return {row.name: row.columns["status"] for row in found.rows}


def swept(networks=NETWORKS, inputs=DRIVE, **options):
    with ThreadPoolExecutor(2) as executor:
        return lyapy.sweep(networks, inputs, executor=executor, **OPTIONS | options)
