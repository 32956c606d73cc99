"""``lyapy show``: a run file, finished or not, or a merged one, as a table or JSON."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING

from .arguments import add_no_check
from .messages import write, write_lines

if TYPE_CHECKING:
    from ..runs.checkpoint.unfinished import Unfinished

SUMMARY = "print a run file as a table, or how far an unfinished run is"
EXAMPLE = "lyapy show run.h5 --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="of lyapy spectrum, sweep, merge or vectors")
    parser.add_argument("--network", metavar="NAME", help="one network of a merged file")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="all numbers and settings, as JSON")
    csv = "a line for each exponent, or for each network of a merged file, as CSV"
    form.add_argument("--csv", action="store_true", help=csv)
    metric = "of a merged file: how this column is related to the spectra"
    form.add_argument("--metric", metavar="COLUMN", help=metric)
    groups = "with --metric: column of groups to leave out together in regressions"
    parser.add_argument("--groups", metavar="COLUMN", help=groups)
    baseline = "with --metric: columns known without spectra, such as lr,dropout, to improve on"
    parser.add_argument("--baseline", metavar="COLUMN,COLUMN", help=baseline)
    add_no_check(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a spectrum, or many."""
    from ..vectors.result import is_vectors

    if is_vectors(arguments.run):
        return _show_vectors(arguments)
    if not os.path.exists(arguments.run):
        from ..runs.checkpoint.unfinished import read_unfinished
        from ..vectors.checkpoint import unfinished_vectors

        if vectors := unfinished_vectors(arguments.run):
            write_lines(vectors)
            return 0
        unfinished = read_unfinished(arguments.run)
        if unfinished is not None:
            return _show_unfinished(unfinished, arguments)
    from ..sweeps.merged_file import is_merged, read_network

    if arguments.network is None and is_merged(arguments.run):
        return _show_rows(arguments)
    if not os.path.exists(arguments.run):
        raise FileNotFoundError(f"{arguments.run}: does not exist; check the path")
    if arguments.metric:
        raise ValueError(f"{arguments.run}: is no merged file; --metric needs one")
    from ..spectra.spectrum import Spectrum
    from ..spectra.tables import csv_text, exponent_columns
    from ..spectra.text import spectrum_summary, spectrum_table

    if arguments.network is not None:
        spectrum = read_network(arguments.run, arguments.network, check=arguments.check)
    else:
        spectrum = Spectrum.load(arguments.run, check=arguments.check)
    next_to_it = _unfinished(arguments.run) if arguments.network is None else None
    if arguments.json:
        summary = spectrum_summary(spectrum)
        if next_to_it is not None:
            summary["unfinished_run"] = next_to_it
        write_lines(json.dumps(summary, indent=2, allow_nan=False))
    elif arguments.csv:
        write_lines(csv_text(exponent_columns(spectrum)).rstrip("\n"))
    else:
        write_lines(spectrum_table(spectrum))
        if next_to_it is not None:
            write_lines(f"\nnext to it: an unfinished run that is to replace it, {next_to_it}")
    return 0


def _unfinished(path: str) -> str | None:
    """Return how far an unfinished run next to a finished one is."""
    from ..runs.checkpoint.unfinished import read_unfinished

    try:
        found = read_unfinished(path)
    except (OSError, ValueError) as error:
        return str(error)
    return None if found is None else f"{_progress(found)}, {_writer(found)}"


def _progress(found: Unfinished) -> str:
    if not found.date:
        return "no checkpoint yet"
    percent = 100.0 * found.steps / found.total if found.total else 0.0
    return f"{found.steps} of {found.total} steps ({percent:.0f} %), checkpoint of {found.date}"


def _writer(found: Unfinished) -> str:
    return f"computed by {found.holder}" if found.holder else "computed by nobody"


def _show_unfinished(found: Unfinished, arguments: argparse.Namespace) -> int:
    from ..spectra.tables import csv_text, exponent_columns
    from ..spectra.text import spectrum_summary, spectrum_table

    spectrum = found.spectrum
    if arguments.json:
        done = {"unfinished": True, "steps_done": found.steps, "steps_wanted": found.total}
        summary = {**done, "checkpoint": found.date, "computed_by": found.holder}
        summary |= spectrum_summary(spectrum) if spectrum is not None else {}
        write_lines(json.dumps(summary, indent=2, allow_nan=False))
        return 0
    if arguments.csv and spectrum is not None:
        write_lines(csv_text(exponent_columns(spectrum)).rstrip("\n"))
        return 0
    remedy = "" if found.holder else "; run its command again to continue"
    write(f"{arguments.run}: unfinished, {_progress(found)}")
    write(f"{_writer(found)}{remedy}")
    if spectrum is not None:
        write_lines(f"\nso far:\n{spectrum_table(spectrum)}")
    return 0


def _show_vectors(arguments: argparse.Namespace) -> int:
    from ..vectors.result import CovariantVectors

    for name in ("network", "json", "csv", "metric"):
        if getattr(arguments, name):
            finding = f"holds covariant vectors, for which there is no --{name}"
            remedy = "read them with lyapy.CovariantVectors.load"
            raise ValueError(f"{arguments.run}: {finding}; {remedy}")
    write_lines(str(CovariantVectors.load(arguments.run)))
    return 0


def _show_rows(arguments: argparse.Namespace) -> int:
    from ..spectra.tables import csv_text
    from ..sweeps.result import Sweep
    from ..sweeps.text import metric_table, rows_summary, rows_table

    sweep = Sweep.load(arguments.run, check=arguments.check)
    if arguments.metric is not None:
        baseline = arguments.baseline.split(",") if arguments.baseline else ()
        write_lines(metric_table(sweep, arguments.metric, arguments.groups, baseline))
    elif arguments.csv:
        write_lines(csv_text(sweep.columns(spectra=True)).rstrip("\n"))
    elif arguments.json:
        write_lines(json.dumps(rows_summary(sweep), indent=2, allow_nan=False))
    else:
        write_lines(rows_table(sweep))
    return 0
