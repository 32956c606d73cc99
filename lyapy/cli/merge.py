"""``lyapy merge``: the results of many networks in one file."""

import argparse
from pathlib import Path

from .arguments import add_overwrite
from .messages import say, write

SUMMARY = "put the run files of many networks into one file with an index"
EXAMPLE = "lyapy merge runs -o all.h5 --expect 'weights/*.pt'"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("sources", nargs="+", metavar="RUNS", help="folder of run files, or run files")
    add("-o", "--output", required=True, metavar="FILE", help="merged file to write (HDF5)")
    expected = "weights files, or quoted patterns, that must have a result; others are left out"
    add("--expect", nargs="+", metavar="WEIGHTS", help=expected)
    add_overwrite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Merge; the exit code is 1 if a network has no finished result."""
    from ..storage.atomic import check_apart, check_output
    from ..sweeps.merge import refuse_loss, row_of_run
    from ..sweeps.merged_file import write_merged

    target = check_output(arguments.output, overwrite=arguments.overwrite)
    runs, weights = _networks(arguments, target)
    check_apart(target, weights.values())
    rows = [row_of_run(name, path, weights.get(name, "")) for name, path in runs.items()]
    finished = {row.name: runs[row.name] for row in rows if row.has_result}
    refuse_loss(target, finished, overwrite=arguments.overwrite)
    write_merged(rows, finished, arguments.output, overwrite=arguments.overwrite)
    write(f"{len(finished)} of {len(rows)} networks merged, written to {arguments.output}")
    lacking = [row for row in rows if not row.has_result or row.columns["status"] == "interrupted"]
    for row in lacking:
        origin = f" ({row.columns['weights']})" if row.columns["weights"] else ""
        say(f"{row.name}{origin}: {row.columns['status']}: {row.columns['advice']}")
    return 1 if lacking else 0


def _networks(
    arguments: argparse.Namespace, target: Path
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the run files of networks, and the weights files of those that are expected."""
    from ..storage.atomic import check_apart
    from ..sweeps.merge import base_folder, find_runs
    from ..sweeps.merged_file import is_merged
    from ..sweeps.names import expand, named, run_file

    runs = {
        name: path
        for name, path in find_runs(arguments.sources).items()
        if path != target or not is_merged(path)
    }
    check_apart(target, runs.values())
    if not arguments.expect:
        return runs, {}
    weights = named(expand(arguments.expect))
    for name in sorted(runs.keys() - weights.keys()):
        say(f"{name}: is not expected, and left out")
    base = base_folder(arguments.sources)
    return {name: runs.get(name, run_file(base, name)) for name in weights}, weights
