"""How time and memory grow with the work: ``python -m tools.benchmarks.growth [--write]``.

Each row varies one quantity and leaves the others; the exponent is that of a power law fitted
to its times. Memory is the peak of a separate process for each run.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from tools.tables import add_write, environment, head, report, row

BASE = {"kind": "vanilla", "n": 64, "k": 64, "steps": 1024, "trajectories": 4, "layers": 1}
ALL = {n: {"n": n, "k": n} for n in (8, 16, 32, 64, 128, 256, 512, 1024)}
LSTMS = [{"kind": "lstm", "n": n, "k": 2 * n, "steps": 2**15 // n} for n in (32, 64, 128)]
ROWS = [
    ("n", "n to 256, all", [{**ALL[n], "steps": 2**22 // n**2} for n in (8, 16, 32, 64, 128, 256)]),
    ("n", "n from 256, all", [ALL[n] | {"steps": 64, "trajectories": 1} for n in (256, 512, 1024)]),
    ("n", "n, k = 8", [{"n": n, "k": 8, "steps": 2**16 // n} for n in (64, 128, 256, 512, 1024)]),
    ("k", "k of 256", [{"n": 256, "k": k, "steps": 128} for k in (8, 16, 32, 64, 128, 256)]),
    ("steps", "steps", [{"steps": steps} for steps in (1024, 4096, 16384)]),
    ("trajectories", "trajectories", [{"trajectories": b} for b in (1, 4, 16)]),
    ("layers", "layers", [{"layers": layers} for layers in (1, 2, 4, 8)]),
    ("n", "n, GRU, all", [{**ALL[n], "kind": "gru", "steps": 2**17 // n} for n in (32, 64, 128)]),
    ("k", "n, LSTM, all 2n", LSTMS),
    ("n", "4096, k = 64, 200 steps", [{"n": 4096, "k": 64, "steps": 200, "trajectories": 1}]),
]
HEADER = head("varied", "values", "seconds", "exponent of the time per step", "peak memory, MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_write(parser)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(**json.loads(arguments.one))))
        return
    report(measured(), environment("python -m tools.benchmarks.growth --write", 2),
           "benchmarks.md#growth", arguments.write)  # fmt: skip


def measured():
    yield HEADER
    yield from (measure(*one) for one in ROWS)
    yield from ("", speed_of_two_cores())


def measure(varied: str, name: str, cases: list[dict]) -> str:
    import numpy as np

    found = [in_a_process({**BASE, **case, "threads": 1}) for case in cases]
    seconds, memory = zip(*found, strict=True)
    values = [case[varied] for case in cases]
    exponent = "–"
    if len(cases) > 1:
        steps = [case.get("steps", 1) if varied != "steps" else 1 for case in cases]
        per_step = np.log(np.divide(seconds, steps))
        exponent = f"{np.polyfit(np.log(values), per_step, 1)[0]:.2f}"
    texts = [", ".join(f"{x:{form}}" for x in numbers) for numbers, form in
             ((values, "d"), (seconds, ".3g"), (memory, ".0f"))]  # fmt: skip
    return row(name, *texts[:2], exponent, texts[2])


def speed_of_two_cores() -> str:
    import os

    if len(os.sched_getaffinity(0)) < 2:
        return "Two cores: not measured, there is one."
    ratios = []
    for case in ({"n": 128, "k": 128, "steps": 512}, {"kind": "lstm", "k": 128, "steps": 512}):
        case = BASE | case | {"trajectories": 8}
        one, two = (in_a_process(case | {"threads": t})[0] for t in (1, 2))
        ratios.append(f"{one / two:.2f}")
    return (
        "Two cores against one, eight trajectories: "
        f"{ratios[0]} times faster (tanh, n = 128), {ratios[1]} (LSTM, n = 64)."
    )


def in_a_process(case: dict) -> list[float]:
    command = [sys.executable, "-m", "tools.benchmarks.growth", "--one", json.dumps(case)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    return json.loads(done.stdout)


def run(
    kind: str, n: int, k: int, steps: int, trajectories: int, layers: int, threads: int
) -> tuple[float, float]:
    """Return the seconds, the shortest of three where that is quick, and the peak memory."""
    import resource
    import time

    import numpy as np

    import lyapy

    gain = 1.5 if kind == "vanilla" else 1.0
    network = lyapy.random_network(kind, n, 4, gain=gain, layers=layers, bias=0.1, seed=1)
    inputs = np.random.default_rng(0).normal(size=(trajectories, steps, 4))
    options = {"k": k if layers == 1 else None, "threads": threads}
    small = lyapy.random_network(kind, 8, 4, seed=1)
    for t in (65, 130):
        lyapy.lyapunov_spectrum(small, inputs[:, :t])
    times: list[float] = []
    while not times or (len(times) < 3 and sum(times) < 2.0):
        start = time.perf_counter()
        lyapy.lyapunov_spectrum(network, inputs, **options)
        times.append(time.perf_counter() - start)
    return min(times), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
