"""Benchmark of the GPU engine: ``python -m tools.benchmarks.gpu [--write]``.

On one card: lyapy, the floor, and JAX and PyTorch where they are installed and see the card, each
in a separate process. With ``--write`` the tests for a GPU run first, and their result and the
table go into docs/benchmarks.md, as far as they are, after each case. ``--stand-in`` runs it at
tiny sizes on an array module without a GPU, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .cpu import DOCS, environment, replace_table
from .gpu_case import CASES, TINY, Case

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- gpu table -->", "<!-- end of gpu table -->"
COMMAND = "`python -m tools.benchmarks.gpu --write`"
HEADER = (
    "| case | µs per step | floors | JAX, QR every step | PyTorch | interval | rejected | error |\n"
    "|---|---|---|---|---|---|---|---|"
)
# so many times faster than JAX up to this size, and at most so many floors from there
TARGET_SIZE, JAX_TARGET, FLOOR_TARGET = 256, 10.0, 2.0
# a process that hangs, or a peer that takes for ever, costs one number
LONGEST_SECONDS = 1800
# JAX else takes most of the memory at once
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def main() -> int:
    """Test, measure, print, and write the table into the docs; fail if a case of lyapy's fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stand-in", action="store_true", help="tiny sizes, without a GPU")
    parser.add_argument("--write", action="store_true", help="run the tests, and write the table")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no case after so many")
    parser.add_argument("--page", type=Path, default=DOCS, help="that the table goes to")
    arguments = parser.parse_args()
    if not arguments.stand_in:
        require_card()
    cases = [c for c in (TINY if arguments.stand_in else CASES) if arguments.only in c.name]
    end = time.monotonic() + 60.0 * arguments.minutes
    on_card = arguments.write and not arguments.stand_in
    notes = [run_tests()] if on_card else []
    lines, where, failed, wrong = [HEADER], "", 0, list[str]()
    print(HEADER, flush=True)
    for case in cases:
        found = {part: measured(case, part, arguments.stand_in, end) for part in parts()}
        failed += "seconds" not in found["lyapy"]
        lines.append(row(case, found))
        wrong += missed(case, found)
        print(lines[-1], flush=True)
        where = where or found["lyapy"].get("device", "")
        # the host matters little
        told = f"{where or 'No card'}; {environment(COMMAND).partition('; ')[2]}"
        if arguments.write:
            targets = f"Targets missed: {', '.join(wrong) or 'none'}."
            table = "\n".join([*lines, *(f"\n{note}" for note in (targets, told, *notes) if note)])
            replace_table(table, BEGIN, END, arguments.page)
    print(where)
    return int(failed > 0)


def require_card() -> None:
    """Exit with what is missing; in a process of its own, as the card is the cases'."""
    probe = "from lyapy.tangent.gpu.device import find_devices; find_devices()"
    done = subprocess.run(
        [sys.executable, "-c", probe], check=False, capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode:
        sys.exit(done.stderr.strip().rpartition("\n")[2])


def run_tests() -> str:
    """Run the tests for a GPU, and return what they came to."""
    done = run_module("pytest", "-m", "gpu", "-q", "-p", "no:xdist")
    if done is None:
        return f"Tests for a GPU: more than {LONGEST_SECONDS} s."
    last = (done.stdout.strip().splitlines() or ["nothing"])[-1]
    return f"Tests for a GPU (`pytest -m gpu`): {last}."


def run_module(*words: str) -> subprocess.CompletedProcess[str] | None:
    """Run a module and show what it printed; None if it took too long."""
    command = [sys.executable, "-m", *words]
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=LONGEST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return None
    print(done.stdout, done.stderr, flush=True)
    return done


def parts() -> list[str]:
    """Return what is measured: lyapy, and the peers that are installed."""
    return ["lyapy", *(name for name in ("jax", "torch") if find_spec(name))]


def measured(case: Case, part: str, on_stand_in: bool, end: float = np.inf) -> dict[str, Any]:
    """Return what a process found of a case, or under "missing" what was the matter."""
    limit = min(LONGEST_SECONDS, end - time.monotonic())
    if limit <= 0.0:
        return {"missing": "not begun"}
    command = [sys.executable, "-m", "tools.benchmarks.gpu_case", case.name, part]
    command += ["--stand-in"] if on_stand_in else []
    try:
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=limit,
            env=os.environ | ENVIRONMENT,
        )
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"missing": f"more than {limit:.0f} s"}
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or [f"status {error.returncode}"]
        print(error.stderr, file=sys.stderr, flush=True)
        # a table's cell holds no line and no bar
        return {"missing": lines[-1].replace("|", "/")[:120]}
    return found


def missed(case: Case, found: dict[str, dict[str, Any]]) -> list[str]:
    """Return the targets that a case misses, or on which nothing is known."""
    ours, theirs = found["lyapy"], found.get("jax", {})
    if "seconds" not in ours:
        return [f"{case.name} (not measured)"]
    wrong = []
    if case.n <= TARGET_SIZE:
        ratio = theirs.get("seconds", 0.0) / ours["seconds"]
        if ratio < JAX_TARGET:
            told = f"{ratio:.1f} times JAX" if ratio else "JAX not measured"
            wrong.append(f"{case.name} ({told})")
    if case.n >= TARGET_SIZE and ours["seconds"] > FLOOR_TARGET * ours["floor"]:
        wrong.append(f"{case.name} ({ours['seconds'] / ours['floor']:.1f} floors)")
    return wrong


def row(case: Case, found: dict[str, dict[str, Any]]) -> str:
    """Return the case's line of the table."""
    ours = found["lyapy"]
    if "seconds" not in ours:
        return f"| {case.name} | {ours['missing']} |" + " – |" * 6
    columns = []
    for part in ("jax", "torch"):
        theirs = found.get(part, {"missing": "–"})
        ratio = theirs.get("seconds", 0.0) / ours["seconds"]
        columns.append(f"{ratio:.1f}×" if ratio else str(theirs["missing"]))
    cells = [
        case.name,
        f"{ours['seconds'] * 1e6:.2f}",
        f"{ours['seconds'] / ours['floor']:.2f}",
        *columns,
        f"{ours['interval']:.1f}",
        f"{ours['rejected']:.0%}",
        f"{ours['error']:.0e}",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
