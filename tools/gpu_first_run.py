"""Tests and measures the GPU engine on a card: ``python -m tools.gpu_first_run FOLDER``.

Stages run in separate process groups with limits, 520 s in all: one that fails or hangs leaves the
rest. Each result is a line of JSON in FOLDER/first_run.jsonl; a stage that has ended there is not
run again, so that a second call goes on. At the end, and with ``--table``, the times are printed
as a table for docs/benchmarks.md. ``--tiny`` is for the CUDA emulator, ``--stages`` for some.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
TOTAL_SECONDS = 520.0
LEAST_SECONDS = 10.0
ROUNDS = 3
# ms of a step of 64 trajectories, tanh, on a card of H100's class
TARGETS = {64: 0.25, 128: 0.5, 256: 0.8, 512: 2.5, 1024: 14.0}


class Case(NamedTuple):
    """A full spectrum of a random network along some trajectories."""

    kind: str
    n: int
    trajectories: int

    def __str__(self) -> str:
        return f"{self.kind} n={self.n}, {self.trajectories} trajectories"

    def network(self) -> Any:
        import lyapy

        gain = 1.5 if self.kind == "vanilla" else 1.0
        return lyapy.random_network(self.kind, self.n, 4, gain=gain, bias=0.1, seed=1)

    def inputs(self, steps: int) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(self.trajectories, steps, 4))


CASES = [
    *(Case("vanilla", n, 64) for n in TARGETS),
    *(Case("gru", n, 64) for n in (64, 128, 256, 1024)),
    *(Case("lstm", n, 64) for n in (64, 128, 256)),
    *(Case(kind, 32, 1024) for kind in ("vanilla", "gru", "lstm")),
]
TINY = [Case("gru", 6, 3), Case("vanilla", 9, 2)]
# kind, n, trajectories and k of the comparisons with NumPy
SMOKE = [("gru", 32, 4, 32), ("lstm", 16, 3, 32), ("vanilla", 96, 3, 96)]
SMOKE += [("gru", 100, 2, 7), ("vanilla", 200, 2, 200), ("lstm", 100, 2, 200)]

Report = Callable[..., None]


def smoke(report: Report, tiny: bool) -> None:
    """Compare each way through the engine with NumPy, in both precisions."""
    import lyapy

    for kind, n, B, k in [("gru", 6, 3, 6), ("vanilla", 9, 2, 4)] if tiny else SMOKE:
        case = Case(kind, n, B)
        network, inputs = case.network(), case.inputs(70)
        wanted = lyapy.lyapunov_spectrum(network, inputs, k=k, backend="numpy")
        for precision, tolerance in (("float64", 1e-8), ("float32", 2.5e-4)):
            options = {"backend": "cupy", "precision": precision}
            found = lyapy.lyapunov_spectrum(network, inputs, k=k, **options)
            error = float(np.abs(found.per_trajectory - wanted.per_trajectory).max())
            report(case=str(case), precision=precision, error=error, right=error < 30 * tolerance)


def engine(report: Report, tiny: bool) -> None:
    """Report the time of a step of all trajectories, without a run's beginning and end."""
    from lyapy.runs.gpu import batch

    chunks: list[tuple[float, int]] = []
    advance = batch.Batch.advance

    def timed(self: Any) -> int:
        start = time.perf_counter()
        done = advance(self)
        chunks.append((time.perf_counter() - start, done // len(self.trajectories)))
        return done

    batch.Batch.advance = timed  # type: ignore[method-assign]
    for case in TINY if tiny else CASES:
        chunks.clear()
        try:
            found = measured(case, 512 if case.n <= 128 and not tiny else 128, chunks)
        except Exception as error:
            traceback.print_exc()
            report(case=str(case), error=repr(error)[:300])
        else:
            report(case=str(case), **found)


def measured(case: Case, steps: int, chunks: list[tuple[float, int]]) -> dict[str, Any]:
    """Return the measurements of a case; ``chunks`` are the seconds and steps of each chunk."""
    import lyapy
    from lyapy.tangent import engine as engines

    network, inputs = case.network(), case.inputs(steps)
    start = time.perf_counter()
    # kernels are compiled, and memory is taken
    lyapy.lyapunov_spectrum(network, inputs, backend="cupy")
    first = time.perf_counter() - start
    chunks.clear()
    found = lyapy.lyapunov_spectrum(network, inputs, backend="cupy")
    step, interval = min(s / n for s, n in chunks), float(found.steps / found.intervals.mean())
    # a QR of n vectors takes at least the operations of two products
    products = product_seconds(case, network.state_size, engines.find_devices()[0])
    tried = found.intervals.mean() + found.rejections.mean()
    return {
        "ms": 1e3 * step,
        "floors": step / (products * (1 + 2 / interval)),
        "interval": interval,
        "rejected": float(found.rejections.mean() / tried),
        "repeated": found.settings["repeated_tiles"],
        "first_seconds": first,
        "target": TARGETS.get(case.n) if case.kind == "vanilla" else None,
    }


def product_seconds(case: Case, vectors: int, device: Any) -> float:
    """Return the median seconds of one step's products of deviation vectors, of all trajectories.

    One n × n weight for all of them (tanh, and the output gate of an LSTM), or a matrix for
    each (a GRU's, and the other gates of an LSTM).
    """
    B, n, rng = case.trajectories, case.n, np.random.default_rng(0)
    shapes = (B, vectors, n), (n, n), (B, n, n)
    frame, weight, weights = (device.to_device(rng.normal(size=shape)) for shape in shapes)
    out = np.empty_like(frame)
    used = {"vanilla": (weight,), "gru": (weights,), "lstm": (weight, weights)}[case.kind]
    times = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        for _ in range(20):
            for one in used:
                device.multiply(frame, one, out)
        device.to_host(out[:1, :1])
        times.append((time.perf_counter() - start) / 20)
    return float(np.median(times[1:]))


def peer(library: str, report: Report, tiny: bool) -> None:
    """Report the time of a step in JAX or PyTorch, with a QR at every step."""
    from .benchmarks import peers

    if library == "jax":
        import jax

        seconds = partial(peers.jax_seconds, interval=1)
        on_card = jax.default_backend() == "gpu"
    else:
        import torch

        seconds = partial(peers.torch_seconds, device="cuda")
        on_card = torch.cuda.is_available()
    if not on_card:
        report(missing=f"{library} sees no GPU")
        return
    peers.ROUNDS = 1
    for case in TINY if tiny else [case for case in CASES if case.n <= 256]:
        network, inputs = case.network(), case.inputs(4)
        each = seconds(network, inputs, network.state_size)
        report(case=str(case), ms=1e3 * each * case.trajectories)


MEASURED: dict[str, Callable[[Report, bool], None]] = {
    "smoke": smoke,
    "engine": engine,
    "jax": partial(peer, "jax"),
    "torch": partial(peer, "torch"),
}


def stages(folder: Path, tiny: bool) -> Iterator[tuple[str, list[str], float]]:
    """Yield the name, command and limit in seconds of each stage."""
    here = [sys.executable, "-m", "tools.gpu_first_run", str(folder), *["--tiny"] * tiny]
    tests = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider"]
    kernels = "tests/tangent/gpu/test_engine.py"
    yield "system", [sys.executable, "-m", "lyapy", "info", "--system"], 40
    yield "smoke", [*here, "--measure", "smoke"], 60
    yield "engine", [*here, "--measure", "engine"], 130
    yield "tests", [*tests, *([kernels, "-k", "given_jacobians"] if tiny else ["-n", "6"])], 150
    for library in ("jax", "torch"):
        yield library, [*here, "--measure", library], 90
    check = ["compute-sanitizer", "--tool", "racecheck", *tests, kernels]
    yield "race", [*check, "-k", "sizes_and_programs"], 60


def write(path: Path, stage: str, **found: Any) -> None:
    """Append a result, on a new line even after one that was cut short, and print it."""
    line = json.dumps({"stage": stage, **found})
    print(line, flush=True)
    with open(path, "a") as file:
        file.write(f"\n{line}\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Return the results so far; a line that was cut short is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def run_stage(command: list[str], limit: float, log: Path) -> dict[str, Any]:
    """Run a command in a separate process group, and return how it ended."""
    environment = os.environ | {
        # JAX takes most of the memory at once otherwise
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONUNBUFFERED": "1",
    }
    start = time.monotonic()
    with open(log, "a") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return {"missing": str(error)}
        try:
            ended: dict[str, Any] = {"status": process.wait(limit)}
        except subprocess.TimeoutExpired:
            ended = {"limit": limit}
        finally:
            # processes that a stage has started end with it
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    return ended | {"seconds": round(time.monotonic() - start, 1), "last": "".join(last)[:200]}


def table(results: list[dict[str, Any]]) -> str:
    """Return the times as Markdown."""
    lines = ["| case | ms a step | target | floors | JAX | PyTorch | interval | rejected |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    # the last of each case counts
    times = {(one["stage"], one["case"]): one for one in results if "ms" in one}
    for (stage, case), one in times.items():
        if stage != "engine":
            continue
        peers = [times.get((library, case)) for library in ("jax", "torch")]
        ratios = [f"{other['ms'] / one['ms']:.1f}×" if other else "–" for other in peers]
        cells = [one["case"], f"{one['ms']:.3g}", str(one["target"] or "–"), f"{one['floors']:.1f}"]
        cells += [*ratios, f"{one['interval']:.1f}", f"{one['rejected']:.0%}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run the stages that have not ended yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="that the results go to")
    parser.add_argument("--tiny", action="store_true", help="small sizes, as for an emulator")
    parser.add_argument("--stages", nargs="*", default=[], help="these only, ended or not")
    parser.add_argument("--table", action="store_true", help="print the table only")
    parser.add_argument("--measure", choices=MEASURED, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path, log = arguments.folder / "first_run.jsonl", arguments.folder / "log.txt"
    if arguments.measure:
        try:
            MEASURED[arguments.measure](partial(write, path, arguments.measure), arguments.tiny)
        except Exception:
            traceback.print_exc()
            return 1
        return 0
    end = time.monotonic() + TOTAL_SECONDS
    done = {one["stage"] for one in read(path) if "status" in one or "missing" in one}
    for stage, command, limit in (
        () if arguments.table else stages(arguments.folder, arguments.tiny)
    ):
        if stage not in arguments.stages if arguments.stages else stage in done:
            continue
        left = min(limit, end - time.monotonic())
        if left < LEAST_SECONDS:
            break
        write(path, stage, **run_stage(command, left, log))
    print(table(read(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
