"""Fuzz the readers of weights files with atheris, and print the findings.

Usage: python -m tools.fuzzing.readers --format torch --runs 300000

Needs ``pip install 'lyapy[test,fuzz]'`` and Linux. The first file of each finding stays in the
folder, with its error. Time is processor time; memory is address space beyond the imports.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .targets import TARGETS, seeds

LONGEST = 64 << 10
TIMEOUT = 5
CRASHES = 50
HEAD = "| reader | files | network read | refused | foreign exceptions | over 1 s | over 512 MB "
HEAD += "| crashes | longest | resident |\n|---|---|---|---|---|---|---|---|---|---|"


def fuzz(name: str, runs: int, seed: int, folder: Path) -> dict[str, Any]:
    """Run one target in a process, and in others after crashes; return the sums."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for stem, content in seeds(name):
        (corpus / stem).write_bytes(content)
    total: dict[str, Any] = {"executions": 0, "crashes": 0}
    while total["executions"] < runs:
        arguments = [
            f"-runs={runs - total['executions']}", f"-seed={seed}", f"-max_len={LONGEST}",
            f"-timeout={TIMEOUT}", "-rss_limit_mb=0", "-verbosity=0", "-print_final_stats=0",
            f"-artifact_prefix={folder}/crash-", str(corpus),
        ]  # fmt: skip
        command = [sys.executable, "-m", "tools.fuzzing.target", name, str(folder), *arguments]
        with open(folder / "log", "ab") as log:
            done = subprocess.run(command, stdout=log, stderr=log, check=False)
        found = json.loads((folder / "figures.json").read_text())
        _add(total, found)
        if done.returncode == 0:
            break
        total["crashes"] += 1
        if total["crashes"] > CRASHES:
            break
        seed += 1
    return total


def _add(total: dict[str, Any], found: dict[str, Any]) -> None:
    for key, value in found.items():
        if isinstance(value, dict):
            counts = total.setdefault(key, {})
            for where, count in value.items():
                counts[where] = counts.get(where, 0) + count
        elif key in ("longest", "resident"):
            total[key] = max(total.get(key, 0), value)
        else:
            total[key] = total.get(key, 0) + value


def row(name: str, total: dict[str, Any]) -> str:
    counts = [sum(total[kind].values()) for kind in ("foreign", "slow", "heavy")]
    whole = [total["executions"], total["accepted"], total["refused"], *counts, total["crashes"]]
    cells = [name, *(f"{count:,}".replace(",", " ") for count in whole)]
    cells += [f"{total['longest']:.2f} s", f"{total['resident'] >> 20} MB"]
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=TARGETS, action="append", help="all by default")
    parser.add_argument("--runs", type=int, default=10_000, help="executions for each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for corpus and findings, kept")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fuzzing-"))
    print(f"findings in {os.path.relpath(folder)}", file=sys.stderr)
    print(HEAD)
    sound = True
    for name in given.format or TARGETS:
        total = fuzz(name, given.runs, given.seed, folder / name)
        (folder / name / "total.json").write_text(json.dumps(total, indent=1))
        print(row(name, total), flush=True)
        sound &= not (total["foreign"] or total["slow"] or total["heavy"] or total["crashes"])
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
