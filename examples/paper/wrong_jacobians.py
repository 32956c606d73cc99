"""Spectra as the code of Vogt et al. defines them, to show how much that changes.

Their code multiplies by the transposed Jacobian of each step, in the order of time, and for an LSTM
takes only the block ∂h′/∂h, with the memory c held fixed. Each of these is done here by itself, and
both together, from the same states under the same inputs as the right spectrum::

    python examples/paper/wrong_jacobians.py runs --output examples/paper/results

after `spectra.py`, whose inputs it reads. The same command again adds missing ones.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from experiments import Run, all_runs
from spectra import TRANSIENTS

import lyapy
from lyapy.networks.apply import tangent_step
from lyapy.networks.forward import forward_chunk

# of one trajectory, as a dense Jacobian for each step takes its place
STEPS = 600
UNITS = 64
COLUMNS = (*Run._fields, "epoch", "kind", "largest", "mean", "exponents")


def jacobians(network: lyapy.Network, inputs: np.ndarray) -> np.ndarray:
    """Return J[t] (T, D, D) along the trajectory from the zero state."""
    chunk = forward_chunk(network, inputs, np.zeros(network.state_size))
    identity = np.eye(network.state_size)
    return np.stack([tangent_step(network.program, c, identity).T for c in chunk.coefficients])


def kinds(J: np.ndarray, n: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the right Jacobians and the wrong ones, each under its name."""
    yield "right", J
    yield "transposed", J.transpose(0, 2, 1)
    if J.shape[1] > n:
        yield "h only", J[:, :n, :n]
        yield "h only, transposed", J[:, :n, :n].transpose(0, 2, 1)


def lines_of(run: Run, epoch: int, folder: Path) -> Iterator[dict[str, object]]:
    """Yield a line of the table for each kind of Jacobian of one network."""
    weights = folder / run.folder / f"epoch{epoch}.safetensors"
    network = lyapy.load(weights, nonlinearity="tanh")
    transient = TRANSIENTS[run.task]
    inputs = np.load(folder / f"{run.task}.npy")[0, : transient + STEPS].astype(np.float64)
    for kind, J in kinds(jacobians(network, inputs), run.n):
        found = lyapy.spectrum_of_jacobians(np.ascontiguousarray(J), transient=transient, threads=1)
        numbers = {"largest": found.largest, "mean": found.measures()["mean"].value}
        exponents = " ".join(f"{x:.5f}" for x in found.exponents)
        yield run._asdict() | {"epoch": epoch, "kind": kind, "exponents": exponents} | numbers


def main() -> None:
    """Compute the missing spectra, for the first and the last epoch of each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("runs", type=Path, help="folder that train.py writes to")
    add("--output", type=Path, default=Path(__file__).parent / "results", metavar="FOLDER")
    options = parser.parse_args()
    table = options.output / "wrong_jacobians.csv"
    lines: list[dict[str, object]] = []
    if table.exists():
        with table.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
    done = {tuple(str(line[name]) for name in (*Run._fields, "epoch")) for line in lines}
    runs = [run for run in all_runs() if (options.runs / run.folder / "losses.csv").exists()]
    runs = [run for run in runs if run.n == UNITS]
    for run in runs:
        last = len(list((options.runs / run.folder).glob("epoch*.safetensors"))) - 1
        for epoch in (0, last):
            if (*map(str, run), str(epoch)) in done:
                continue
            try:
                lines += lines_of(run, epoch, options.runs)
            except lyapy.WeightsError as error:
                print(f"left out: {error}", flush=True)
            with table.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(lines)
        print(run.folder, flush=True)


if __name__ == "__main__":
    main()
