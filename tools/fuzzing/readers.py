"""Read files changed under the guidance of coverage: ``python -m tools.fuzzing.readers``.

Needs ``pip install 'lyapy[test,fuzz]'`` and Linux. libFuzzer, by atheris, keeps the files that
reach new code. It changes bytes in half of the cases; in the others the file is changed in its
structure. The first file of each finding stays in the folder.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

LONGEST = 64 << 10
TIMEOUT = 5
CRASHES = 50
# of libFuzzer, where a file takes longer
TIMED_OUT = 70
INSTRUMENTED = [f"lyapy.weights.{name}" for name in ("formats", "frameworks", "load", "source")]
INSTRUMENTED += ["lyapy.storage", "zipfile", "pickletools"]


def fuzz(name: str, runs: int, seed: int, folder: Path) -> tuple[Counter[str], float]:
    """Fuzz a reader in a process, and in others after crashes; return counts and longest time."""
    from .subjects import SUBJECTS

    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for stem, content in SUBJECTS[name].seeds():
        (corpus / stem).write_bytes(content)
    total, longest, crashes = Counter[str](), 0.0, 0
    while total.total() < runs and crashes <= CRASHES:
        options = [
            f"-runs={runs - total.total()}", f"-seed={seed + crashes}", f"-max_len={LONGEST}",
            f"-timeout={TIMEOUT}", "-rss_limit_mb=0", "-verbosity=0", "-print_final_stats=0",
            f"-artifact_prefix={folder}/crash-", str(corpus),
        ]  # fmt: skip
        command = [sys.executable, "-m", "tools.fuzzing.readers", "--child", name, str(folder)]
        with open(folder / "log", "ab") as log:
            done = subprocess.run([*command, *options], stdout=log, stderr=log, check=False)
        counts, seconds = json.loads((folder / "figures.json").read_text())
        total, longest = total + Counter(counts), max(longest, seconds)
        if done.returncode == 0:
            break
        crashes += 1
        total["hang" if done.returncode == TIMED_OUT else "crash"] += 1
    return total, longest


def fuzz_here(name: str, folder: Path, options: list[str]) -> None:
    """Fuzz a reader in this process until libFuzzer ends it, and keep figures.json up to date."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from . import hostile
    subject = hostile.SUBJECTS[name]
    path = folder / f"file{subject.suffix}"
    counts, longest, seen = Counter[str](), 0.0, set()

    def read(content: bytes) -> None:
        nonlocal longest
        path.write_bytes(content)
        outcome = hostile.judge(subject, path)
        counts[outcome.kind] += 1
        longest = max(longest, outcome.seconds)
        if outcome.kind in hostile.KINDS[2:] and outcome[:2] not in seen:
            seen.add(outcome[:2])
            kept = folder / f"{outcome.kind}-{hashlib.sha256(content).hexdigest()[:12]}"
            kept.write_bytes(content)
            print(kept.name, outcome, file=sys.stderr, flush=True)
        # always, since a crash gives no time for it
        (folder / "figures.json").write_text(json.dumps([counts, longest]))

    def change(content: bytes, most: int, seed: int) -> bytes:
        chosen = Random(seed)
        found = subject.mutate(content, chosen) if content and chosen.random() < 0.5 else b""
        return found if 0 < len(found) <= most else bytes(atheris.Mutate(content, most))

    for _, content in subject.seeds():
        # imports what the reader needs, whose time and memory are not counted
        path.write_bytes(content)
        hostile.judge(subject, path)
    (folder / "figures.json").write_text(json.dumps([counts, longest]))
    atheris.Setup([sys.argv[0], *options], read, custom_mutator=change)
    hostile.limit_memory()
    atheris.Fuzz()


def main() -> int:
    if sys.argv[1:2] == ["--child"]:
        fuzz_here(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
    from .hostile import HEAD, SUBJECTS, print_row

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", choices=SUBJECTS, action="append", help="all by default")
    parser.add_argument("--runs", type=int, default=10_000, help="files for each reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for corpus and findings, kept")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="fuzzing-"))
    print(f"findings in {os.path.relpath(folder)}", file=sys.stderr)
    print(HEAD)
    sound = [
        print_row(name, *fuzz(name, given.runs, given.seed, folder / name))
        for name in given.reader or SUBJECTS
    ]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
