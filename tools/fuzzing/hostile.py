"""Read files changed in their structure, in children: ``python -m tools.fuzzing.hostile``.

A find is minimized and kept in ``tests/corpus``, which the tests read again. The n-th file of a
reader depends on the seed and n alone.
"""

import argparse
import faulthandler
import hashlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from lyapy.errors import UNSEEN, describe

from .subjects import SUBJECTS, Subject

__all__ = ["HEAD", "KINDS", "judge", "limit_memory", "outcomes", "print_row"]

CORPUS = Path(__file__).parents[2] / "tests" / "corpus"
SECONDS, MEMORY, BATCH = 1.0, 512 << 20, 500
# after which a child is killed: of processor time, and of waiting for a pipe
PROCESSOR, WAITING = 10.0, 60.0
KINDS = ("read", "refused", "foreign", "slow", "heavy", "crash", "hang")
HEAD = "| reader | files | read | refused | foreign exceptions | over 1 s | over 512 MB | crashes "
HEAD += "| hangs | longest |\n|---|---|---|---|---|---|---|---|---|---|"


class Outcome(NamedTuple):
    """How reading a file ended, one of `KINDS`, where, and the processor time."""

    kind: str
    where: str = ""
    seconds: float = 0.0


def judge(subject: Subject, path: Path) -> Outcome:
    """Read a file in this process."""
    begin = time.process_time()
    kind, where = "read", ""
    try:
        with warnings.catch_warnings(action="ignore"):
            subject.read(path)
    except Exception as error:
        text = describe(error)
        kind = "refused"
        if not isinstance(error, subject.errors) or UNSEEN.search(text):
            kind, where = "foreign", _place(error)
        if any(isinstance(cause, MemoryError) for cause in _causes(error)):
            kind, where = "heavy", _place(error)
    seconds = time.process_time() - begin
    if kind in ("read", "refused") and seconds > SECONDS:
        kind = "slow"
    return Outcome(kind, where, seconds)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if "lyapy" in frame.filename] or frames
    return f"{type(error).__name__} in {Path(inside[-1].filename).name}:{inside[-1].lineno}"


def outcomes(name: str, files: Callable[[int], bytes], count: int) -> Iterator[tuple[int, Outcome]]:
    """Read some files, each made by its number, in children; yield number and outcome."""
    subject, at = SUBJECTS[name], 0
    while at < count:
        last = at - 1
        until = min(at + BATCH, count)
        status, found = _child(subject, files, range(at, until))
        for last, outcome in found:
            yield last, outcome
        at = last + 1
        if status and at < until:
            hung = os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM)
            yield at, Outcome("hang" if hung else "crash", f"status {status}")
            at += 1


def _child(
    subject: Subject, files: Callable[[int], bytes], numbers: range
) -> tuple[int, list[tuple[int, Outcome]]]:
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:
        os.close(receiver)
        code = 1
        faulthandler.disable()
        try:
            with open(sender, "w") as report, tempfile.TemporaryDirectory() as folder:
                limit_memory()
                _read_all(subject, files, numbers, Path(folder), report)
            code = 0
        finally:
            os._exit(code)
    os.close(sender)
    with open(receiver) as lines:
        found = [(number, Outcome(*rest)) for number, *rest in map(json.loads, lines)]
    return os.waitpid(child, 0)[1], found


def _read_all(
    subject: Subject, files: Callable[[int], bytes], numbers: range, folder: Path, report: object
) -> None:
    path = folder / f"file{subject.suffix}"
    for number in numbers:
        path.write_bytes(files(number))
        signal.setitimer(signal.ITIMER_PROF, PROCESSOR)
        signal.setitimer(signal.ITIMER_REAL, WAITING)
        outcome = judge(subject, path)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        print(json.dumps([number, *outcome]), file=report, flush=True)  # type: ignore[call-overload]


def limit_memory() -> None:
    """Let this process have no more than `MEMORY` in addition."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # a crash needs no image of the process
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def changed(name: str, seed: int) -> Callable[[int], bytes]:
    """Return a function of a number that gives a changed file, always the same."""
    subject = SUBJECTS[name]
    originals = [content for _, content in subject.seeds()]

    def make(number: int) -> bytes:
        chosen = Random(f"{name} {seed} {number}")
        content = chosen.choice(originals)
        for _ in range(chosen.choice([1, 1, 1, 2, 3])):
            content = subject.mutate(content, chosen)
        return content

    return make


def minimized(name: str, content: bytes, kind: str) -> bytes:
    """Return a smaller or plainer file with the same kind of outcome."""

    def holds(tried: bytes) -> bool:
        return next(outcomes(name, lambda _: tried, 1))[1].kind == kind

    size = max(len(content) // 2, 1)
    tries = 0
    while size and tries < 200:
        at = 0
        while at < len(content) and tries < 200:
            for other in (b"", bytes(len(content[at : at + size]))):
                tried = content[:at] + other + content[at + size :]
                tries += 1
                if tried != content and holds(tried):
                    content = tried
                    break
            else:
                at += size
                continue
            at += len(other)
        size //= 4
    return content


def _read_original(subject: Subject) -> None:
    """Import what the reader needs, whose time is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{subject.suffix}"
        path.write_bytes(next(content for _, content in subject.seeds()))
        judge(subject, path)


def fuzz(name: str, runs: int, seed: int) -> tuple[Counter[str], float]:
    """Read changed files, keep the first find of each place, and return counts and longest time."""
    make = changed(name, seed)
    _read_original(SUBJECTS[name])
    counts: Counter[str] = Counter()
    longest, seen = 0.0, set()
    for number, outcome in outcomes(name, make, runs):
        counts[outcome.kind] += 1
        longest = max(longest, outcome.seconds)
        if outcome.kind in KINDS[2:] and outcome[:2] not in seen:
            seen.add(outcome[:2])
            content = minimized(name, make(number), outcome.kind)
            path = CORPUS / name / f"{outcome.kind}-{hashlib.sha256(content).hexdigest()[:12]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(f"{name} {number}: {outcome}, {len(content)} bytes", file=sys.stderr, flush=True)
    return counts, longest


def print_row(name: str, counts: Counter[str], longest: float) -> bool:
    """Print the counts of a reader; return whether it has read or refused all files."""
    numbers = (f"{n:,}".replace(",", " ") for n in (counts.total(), *(counts[k] for k in KINDS)))
    print(f"| {name} | {' | '.join(numbers)} | {longest:.2f} s |", flush=True)
    return not any(counts[kind] for kind in KINDS[2:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", choices=SUBJECTS, action="append", help="all by default")
    parser.add_argument("--runs", type=int, default=1000, help="files for each reader")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(HEAD)
    readers = given.reader or SUBJECTS
    sound = [print_row(name, *fuzz(name, given.runs, given.seed)) for name in readers]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
