"""Which way is fastest on a card: ``python -m tools.benchmarks.gpu_choices [--write]``.

Times reorthonormalizations (Cholesky's factor of whole frames and of panels, Gram and Schmidt's
recipe by blocks, a kernel with the frame in shared memory) and tangent steps, with and without
merged terms, and all of an interval or of a forward pass in one launch. With ``--write`` the
thresholds go into lyapy/tangent/gpu/choices.py, and the tables into docs/benchmarks.md.
``--stand-in`` runs it at tiny sizes without a GPU.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import lyapy
from lyapy.errors import DeviceError
from lyapy.tangent import engine as engines
from lyapy.tangent.gpu import choices, whole_interval
from lyapy.tangent.gpu.choices import CHOICES, Choices
from lyapy.tangent.gpu.device import Device
from lyapy.tangent.gpu.fused_forward import FusedForward
from lyapy.tangent.gpu.fused_step import FusedStep
from lyapy.tangent.gpu.precision import PRECISIONS, Precision
from lyapy.tangent.gpu.qr import dual_signs, orthonormalize
from lyapy.tangent.gpu.shared_qr import THREADS, SharedQR, shared_bytes
from lyapy.tangent.gpu.whole_interval import WholeInterval

from .cpu import DOCS, replace_table

BEGIN, END = "<!-- gpu choices -->", "<!-- end of gpu choices -->"
FIRST, LAST = "\n# Not measured.", "\n# end of what is written"
AGAIN = "\n# Measured on "
PANELS = (1, 8, 16, 32, 64)
# of an interval
STEPS = 8
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
ROUNDS, REPEATS = 5, 5
# spread of an interval that is as long as the tolerance allows, and what E of a panel may then be
SPREAD, ADMITTED = 18.0, 1e-9


class Sizes(NamedTuple):
    """What is measured: sizes of frames, and of networks."""

    small: Sequence[int] = (8, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160)
    large: Sequence[int] = (256, 512, 1024)
    networks: Sequence[int] = (64, 128, 256, 512)
    trajectories: int = 64
    many: int = 1024
    repeats: int = REPEATS


TINY = Sizes((3, 4), (8, 12), (4, 6), 2, 3, 1)
Seconds = Mapping[int | str, float]


def main() -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="thresholds and tables")
    parser.add_argument("--stand-in", action="store_true", help="tiny sizes, without a GPU")
    parser.add_argument("--page", type=Path, default=DOCS, help="that the tables go to")
    parser.add_argument("--library", type=Path, default=Path(choices.__file__), help="choices.py")
    arguments = parser.parse_args()
    if arguments.stand_in:
        from tests.support.stand_in import stand_in

        engines.find_devices = lambda: (stand_in(kernels=True),)
    try:
        device = engines.find_devices()[0]
    except (ModuleNotFoundError, DeviceError) as error:
        print(error, file=sys.stderr)
        return 1
    found, tables = chosen(device, TINY if arguments.stand_in else Sizes())
    told = f"Chosen: {found}. Before: {CHOICES}. {device.name}; medians of {ROUNDS}."
    print(f"{tables}\n{told}")
    if arguments.write:
        write_choices(found, device.name, arguments.library)
        replace_table(f"{tables}\n{told}", BEGIN, END, arguments.page)
    return 0


def chosen(device: Device, sizes: Sizes) -> tuple[Choices, str]:
    """Return the thresholds, and the tables that they follow from."""
    double = PRECISIONS["float64"]
    B, repeats = sizes.trajectories, sizes.repeats
    small = {n: qr_seconds(device, double, B, n, repeats) for n in sizes.small}
    small = {n: seconds for n, seconds in small.items() if "shared" in seconds}
    large = {n: qr_seconds(device, double, B, n, repeats) for n in sizes.large}
    steps = {n: step_seconds(device, double, B, n, repeats) for n in sizes.networks}
    numbers = (B, sizes.many)
    walks, passes = (
        {
            n: {w: s for b in numbers for w, s in measured(device, double, b, n, repeats).items()}
            for n in sizes.small
        }
        for measured in (walk_seconds, pass_seconds)
    )
    walks = {n: seconds for n, seconds in walks.items() if seconds}
    walk_ways = [f"{way} {b}" for b in numbers for way in ("whole", "steps")]
    tables = [
        table("reorthonormalization, n", small | large, ["shared", *PANELS, "whole"]),
        table("tangent step of a GRU, n", steps, [f"{w} {s:g}" for s in SHARES for w in WAYS]),
    ]
    tables.append(table(f"{STEPS} tangent steps of a GRU, n", walks, walk_ways))
    tables.append(table(f"{STEPS} forward steps of a GRU, n", passes, walk_ways))
    return choose(small, large, steps, walks, passes), "\n".join(tables)


def choose(
    small: Mapping[int, Seconds],
    large: Mapping[int, Seconds],
    steps: Mapping[int, Seconds],
    walks: Mapping[int, Seconds],
    passes: Mapping[int, Seconds],
) -> Choices:
    """Return the thresholds that follow from seconds by size and way.

    The kernels with a frame in shared memory up to where they are overtaken, with few trajectories
    or with many; the panel with the least time over the large sizes, each relative to its best; and
    merged terms from where they win on the whole.
    """
    other = {n: min(s[way] for way in s if way in PANELS) for n, s in small.items()}
    shared = overtaken({n: [(s["shared"], other[n])] for n, s in small.items()})
    interval, forward = (
        overtaken({n: whole_and_steps(s) for n, s in times.items()}) for times in (walks, passes)
    )
    common = [way for way in PANELS if all(way in seconds for seconds in large.values())]
    panel = min(common, key=lambda way: relative([(s, way) for s in large.values()]))
    share = np.inf
    for s in reversed(SHARES):
        merged, apart = (relative([(one, f"{w} {s:g}") for one in steps.values()]) for w in WAYS)
        if merged > apart:
            break
        share = s
    return Choices(shared, panel, interval, forward, min(share, 2.0))


def whole_and_steps(times: Seconds) -> list[tuple[float, float]]:
    """Return the seconds of one launch, and of one for each step, by number of trajectories."""
    numbers = sorted({str(way).partition(" ")[2] for way in times})
    return [(times[f"whole {B}"], times[f"steps {B}"]) for B in numbers]


def overtaken(times: Mapping[int, Sequence[tuple[float, float]]]) -> int:
    """Return the last size up to which the first of two ways is never the slower one."""
    last = 0
    for n, pairs in sorted(times.items()):
        if any(one > other for one, other in pairs):
            break
        # nothing is known beyond the last one measured; what fits decides
        last = THREADS if n == max(times) else n
    return last


def relative(chosen_ways: Sequence[tuple[Seconds, int | str]]) -> float:
    """Return the product of times, the geometric mean's power, so that each size counts alike."""
    return float(np.prod([seconds[way] for seconds, way in chosen_ways]))


def qr_seconds(device: Device, precision: Precision, B: int, n: int, repeats: int) -> Seconds:
    """Return seconds of a reorthonormalization of frames (B, n, n) by way.

    Panels whose defect is too large would fall back, and are left out; so is the kernel where a
    frame does not fit.
    """
    rng = np.random.default_rng(0)
    lower = np.tril(rng.normal(size=(n, n)), -1) / n + np.eye(n)
    turn = np.linalg.qr(rng.normal(size=(B, n, n)))[0]
    graded = (lower * np.exp(np.linspace(0.0, -SPREAD, n))) @ turn
    rows = device.moved(graded, precision.name)
    identity, signs = (device.moved(a, precision.name) for a in (np.eye(n), dual_signs(n)))
    found: dict[int | str, float] = {}
    if shared_bytes(n, n, np.dtype(precision.name).itemsize) <= device.shared_bytes:
        kernel = SharedQR(device, precision, n)
        found["shared"] = seconds(lambda: device.to_host(kernel(rows).extremes), repeats)
    for way in (*PANELS, "whole"):
        panel = n if way == "whole" else int(way)
        if panel > n:
            continue
        _, _, _, *defects = device.to_host(orthonormalize(rows, identity, signs, panel).extremes)
        # NaN is not admitted either
        if all(np.all(defect <= ADMITTED) for defect in defects):
            found[way] = seconds(
                lambda p=panel: device.to_host(orthonormalize(rows, identity, signs, p).extremes),
                repeats,
            )
    return found


WAYS = ("merged", "apart")


def step_seconds(device: Device, precision: Precision, B: int, n: int, repeats: int) -> Seconds:
    """Return seconds of a tangent step of GRUs by way and vectors per column."""
    program = lyapy.random_network("gru", n, 2, seed=1).program
    entries = sum(c.size for layer in program.coefficients for c in layer.values())
    rng, found = np.random.default_rng(0), {}
    values = device.moved(rng.random((B, entries)), precision.name)
    for share in SHARES:
        k = max(int(share * n), 1)
        frame = device.moved(rng.normal(size=(B, k, n)), precision.name)
        for way, least in zip(WAYS, (0.0, np.inf), strict=True):
            step = FusedStep(program, k, device, precision, least)
            found[f"{way} {share:g}"] = seconds(
                lambda s=step, f=frame: device.to_host(s(values, f)[:1, :1, :1]), repeats
            )
    return found


def walk_seconds(device: Device, precision: Precision, B: int, n: int, repeats: int) -> Seconds:
    """Return seconds of several tangent steps of GRUs, in one launch and one by one.

    None where frames do not fit.
    """
    program = lyapy.random_network("gru", n, 2, seed=1).program
    needed = whole_interval.shared_bytes(program, n, np.dtype(precision.name).itemsize)
    if needed > device.shared_bytes:
        return {}
    entries = sum(c.size for layer in program.coefficients for c in layer.values())
    rng = np.random.default_rng(0)
    values = device.moved(rng.random((STEPS, B, entries)), precision.name)
    frame = device.moved(rng.normal(size=(B, n, n)), precision.name)
    step = FusedStep(program, n, device, precision)

    def one_by_one() -> None:
        image = frame
        for t in range(STEPS):
            image = step(values[t], image)
        device.to_host(image[:1, :1, :1])

    walk = WholeInterval(program, device, precision)
    return {
        f"whole {B}": seconds(lambda: device.to_host(walk(values, frame)[:1, :1, :1]), repeats),
        f"steps {B}": seconds(one_by_one, repeats),
    }


def pass_seconds(device: Device, precision: Precision, B: int, n: int, repeats: int) -> Seconds:
    """Return seconds of several forward steps of GRUs, in one launch and by two for each step."""
    cell = lyapy.random_network("gru", n, 2, seed=1).cells[0]
    rng, found = np.random.default_rng(0), {}
    weights = type(cell.weights)(*(device.moved(one, precision.name) for one in cell.weights))
    entries = n * len(cell.coefficients)
    shapes = ((STEPS, B, len(cell.W)), (STEPS + 1, B, n), (STEPS, B, entries))
    arrays = [device.moved(rng.normal(size=shape), precision.name) for shape in shapes]
    for way, most in (("whole", n), ("steps", 0)):
        run = FusedForward(device, precision, most)

        def once(run: FusedForward = run) -> None:
            run(cell.step, weights, *arrays)
            device.to_host(arrays[1][-1, :1])

        found[f"{way} {B}"] = seconds(once, repeats)
    return found


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median seconds of a run that ends with a wait for the device."""
    run()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(repeats):
            run()
        times.append((time.perf_counter() - start) / repeats)
    return float(np.median(times))


def table(name: str, rows: Mapping[int, Seconds], ways: Sequence[int | str]) -> str:
    """Return microseconds by size and way; – where a way is not possible."""
    lines = [f"| {name} | " + " | ".join(map(str, ways)) + " |", "|---" * (len(ways) + 1) + "|"]
    for n, times in rows.items():
        cells = [f"{times[way] * 1e6:.0f}" if way in times else "–" for way in ways]
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def write_choices(found: Choices, card: str, path: Path) -> None:
    """Put the thresholds into the library's text, with the card that they were measured on."""
    text = path.read_text()
    start = max(text.find(FIRST), text.find(AGAIN))
    end = text.find(LAST)
    if not 0 <= start < end:
        raise ValueError(f"{path} has no lines to write the thresholds to")
    values = ", ".join(f"{name}={value}" for name, value in found._asdict().items())
    lines = f"{AGAIN}{card}, by python -m tools.benchmarks.gpu_choices --write\n"
    path.write_text(f"{text[:start]}{lines}CHOICES = Choices({values}){text[end:]}")


if __name__ == "__main__":
    sys.exit(main())
