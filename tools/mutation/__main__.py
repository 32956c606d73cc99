"""Try cosmic-ray's mutants of modules against their tests, and print the survivors.

Usage: python -m tools.mutation tangent/graded/replicas tangent/graded/run

Needs ``pip install --group mutation`` in the root of the repository, next to ``lyapy[test]``, and
Linux. A mutant is killed when a test fails; the time limit is five times that of all tests without
it. Those that survive the first tests of their module are tried on the wider ones.
"""

import argparse
import difflib
import random
import resource
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

# first, as the plugins import one another in a circle
import cosmic_ray.ast
import cosmic_ray.plugins
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec

from tools.tables import head, row

from .modules import MODULES, Tests
from .mutants import Passages
from .trial import copy_tree, keep_compiled, run_tests

OUTCOMES = ("killed", "survived", "incompetent", "timeout")
HEAD = head("module", "mutants", "killed by the first tests", *OUTCOMES)


def mutations(module: Path, folder: Path) -> list[MutationSpec]:
    with use_db(folder / "session.sqlite", WorkDB.Mode.create) as session:
        init([module], session, {})
        found = [item.mutations[0] for item in session.work_items]
    admit = Passages(module.read_text(encoding="utf-8")).admit
    return sorted(filter(admit, found), key=lambda m: (m.start_pos, m.operator_name, m.occurrence))


def chosen(found: list[MutationSpec], options: argparse.Namespace) -> list[MutationSpec]:
    if options.lines:
        lines = {int(line) for line in options.lines.split(",")}
        found = [m for m in found if m.start_pos[0] in lines]
    if options.sample and options.sample < len(found):
        kept = set(random.Random(options.seed).sample(range(len(found)), options.sample))
        found = [m for i, m in enumerate(found) if i in kept]
    return found


def seconds_of(copy: Path, arguments: str) -> int:
    """Run the tests without a mutant, and return five times their seconds, with compiling."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run_tests(copy, arguments, 3600) != 0:
        raise SystemExit(f"the tests fail without a mutant: {copy.parent / 'log.txt'}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    (copy.parent / "warm").touch()
    return 5 + 5 * round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def outcome(code: int | None) -> str:
    if code is None:
        return "timeout"
    # 2 to 4: the tests could not be collected, as the mutant cannot be imported
    return {0: "survived", 2: "incompetent", 3: "incompetent", 4: "incompetent"}.get(code, "killed")


def try_mutants(copy: Path, found: list[MutationSpec], arguments: str, fresh: bool) -> Any:
    if not found:
        return
    # those of compiled code are compiled
    seconds = seconds_of(copy, arguments) + (300 if fresh else 0)
    for mutation in found:
        operator = cosmic_ray.plugins.get_operator(mutation.operator_name)()
        path = mutation.module_path
        with use_mutation(path, operator, mutation.occurrence) as (before, after):
            assert after is not None
            code = run_tests(copy, arguments, seconds)
        yield mutation, outcome(code), changed(before, after)


def changed(before: str, after: str) -> str:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))
    return "\n".join(f"    {line}" for line in lines[3:])


def try_module(name: str, tests: Tests, folder: Path, options: argparse.Namespace) -> str:
    """Try the mutants of a module, print those that survive, and return its line of the table."""
    copy = copy_tree(folder)
    if not tests.fresh:
        keep_compiled(copy)
    found = mutations(copy / f"lyapy/{name}.py", folder)
    tried = left = chosen(found, options)
    counts = Counter[str]()
    by_first = None
    last = tests.wider or tests.first
    for arguments in filter(None, (tests.first, tests.wider)):
        counts["survived"] = 0
        survivors = []
        for mutation, result, diff in try_mutants(copy, left, arguments, tests.fresh):
            counts[result] += 1
            if arguments is last and result in ("survived", "timeout"):
                where = f"{name}.py:{mutation.start_pos[0]}"
                print(f"{result} {where} {mutation.operator_name}\n{diff}", flush=True)
            if result == "survived":
                survivors.append(mutation)
        left = survivors
        by_first = counts["killed"] if by_first is None else by_first
    of = f" of {len(found)}" if len(tried) < len(found) else ""
    figures = (by_first, *(counts[key] for key in OUTCOMES))
    print(line := row(f"`{name}`", f"{len(tried)}{of}", *figures))
    return line


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+", choices=MODULES, metavar="MODULE")
    parser.add_argument("--lines", default="", help="only those of a module, as in 57,66")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of each module")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--folder", type=Path, help="where compiled code is kept for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        rows = [try_module(name, MODULES[name], folder, options) for name in options.modules]
    print(HEAD, *rows, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
