"""Measure large numbers of things: ``python -m tools.benchmarks.load [--case NAME] [--write]``.

Each row runs one command in a separate process, with one core for each computation, at three
sizes. Where the time for one thing grows with their number, the cost grows faster than the work.
Time is processor time of all processes; memory is the largest resident set of one of them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tools.tables import add_write, head, report, row, storage

HEADER = head("command", "number", "processor time", "for each thousand", "clock", "memory", "file")
TINY = ["--nonlinearity", "tanh", "--transient", "20"]


class Used(NamedTuple):
    """What a command and its processes took."""

    processor: float
    clock: float
    memory: int


def lyapy(*arguments: object) -> Used:
    """Run a command of lyapy's and measure it."""
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    command = [sys.executable, "-m", "lyapy", *map(str, arguments)]
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | threads
    ) as process:
        assert process.stderr is not None
        messages = process.stderr.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{messages}")
    clock = time.perf_counter() - began
    return Used(used.ru_utime + used.ru_stime, clock, used.ru_maxrss << 10)


def write_network(path: Path, units: int, gain: float, random: np.random.Generator) -> None:
    weights = gain * random.standard_normal((units, units)) / np.sqrt(units)
    np.savez(path, weight_hh_l0=weights, weight_ih_l0=random.standard_normal((units, 1)))


def sweeps(folder: Path, numbers: list[int]) -> Iterator[str]:
    """Sweep over tiny networks, and show the merged file."""
    random = np.random.default_rng(1)
    np.save(folder / "drive.npy", random.standard_normal((150, 1)))
    weights = folder / "weights"
    weights.mkdir()
    for number in numbers:
        for n in range(len(list(weights.iterdir())), number):
            write_network(weights / f"net{n:05}.npz", 4, 1.0 + n / number, random)
        target = folder / f"sweep{number}.h5"
        inputs = ["--inputs", folder / "drive.npy"]
        used = lyapy("sweep", weights / "*.npz", *inputs, *TINY, "--workers", 2, "-o", target)
        yield line("sweep", number, used, target)
        yield line("show", number, lyapy("show", target), target)


def merges(folder: Path, numbers: list[int]) -> Iterator[str]:
    """Merge the run files of tiny networks."""
    random = np.random.default_rng(1)
    runs, original = folder / "runs", folder / "original.h5"
    runs.mkdir()
    np.save(folder / "drive.npy", random.standard_normal((150, 1)))
    write_network(folder / "net.npz", 4, 1.5, random)
    lyapy("spectrum", folder / "net.npz", "--inputs", folder / "drive.npy", *TINY, "-o", original)
    content = original.read_bytes()
    for number in numbers:
        for n in range(len(list(runs.iterdir())), number):
            (runs / f"net{n:05}.h5").write_bytes(content)
        target = folder / f"all{number}.h5"
        yield line("merge", number, lyapy("merge", runs, "-o", target), target)


def trajectories(folder: Path, numbers: list[int]) -> Iterator[str]:
    """Follow many trajectories of one network for a few steps."""
    random = np.random.default_rng(1)
    write_network(folder / "net.npz", 16, 1.5, random)
    for number in numbers:
        inputs, target = folder / f"drive{number}.npy", folder / f"run{number}.h5"
        np.save(inputs, random.standard_normal((number, 150, 1)))
        used = lyapy("spectrum", folder / "net.npz", "--inputs", inputs, *TINY, "-o", target)
        yield line("trajectories of 150 steps", number, used, target)


def steps(folder: Path, numbers: list[int], *records: str) -> Iterator[str]:
    """Follow one trajectory for many steps."""
    random = np.random.default_rng(1)
    write_network(folder / "net.npz", 8, 1.5, random)
    text = f"steps{', ' if records else ''}{' '.join(records)}"
    for number in numbers:
        inputs, target = folder / f"drive{number}.npy", folder / f"run{number}.h5"
        np.save(inputs, random.standard_normal((number, 1)))
        used = lyapy(
            "spectrum", folder / "net.npz", "--inputs", inputs, *TINY, *records, "-o", target
        )
        yield line(text, number, used, target)
        inputs.unlink()


def line(text: str, number: int, used: Used, target: Path) -> str:
    each = used.processor / number * 1000
    return row(
        text, f"{number:,}".replace(",", " "), f"{used.processor:.1f} s", f"{each:.4g} s",
        f"{used.clock:.1f} s", f"{used.memory >> 20} MB", f"{target.stat().st_size / 2**20:.1f} MB",
    )  # fmt: skip


RECORDS = ["--record-every", "10", "--record", "states,frames"]
CASES: dict[str, tuple[Callable[..., Iterator[str]], list[int], list[str]]] = {
    "sweeps": (sweeps, [100, 1000, 10_000], []),
    "merges": (merges, [100, 1000, 10_000], []),
    "trajectories": (trajectories, [100, 1000, 10_000], []),
    "steps": (steps, [10_000, 100_000, 1_000_000], []),
    "records": (steps, [10_000, 100_000, 1_000_000], RECORDS),
}


def table(names: list[str], most: int) -> Iterator[str]:
    yield HEADER
    with tempfile.TemporaryDirectory() as folder:
        list(merges(Path(folder), [1]))  # compiles
    for name in names:
        measure, numbers, records = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            yield from measure(Path(folder), [n for n in numbers if n <= most], *records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="all by default")
    parser.add_argument("--most", type=int, default=10**6, help="leave larger numbers out")
    add_write(parser)
    given = parser.parse_args()
    note = f"`python -m tools.benchmarks.load`; {storage()}."
    report(table(given.case or list(CASES), given.most), note, "reliability.md#load", given.write)


if __name__ == "__main__":
    main()
