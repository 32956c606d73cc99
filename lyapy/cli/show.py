"""``lyapy show``: a run file as a table or JSON."""

from __future__ import annotations

import argparse
import json

__all__ = ["add_arguments", "run"]

SUMMARY = "print a run file as a table"
EXAMPLE = "lyapy show run.h5 --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", metavar="RUN", help="run file, of lyapy spectrum")
    parser.add_argument("--json", action="store_true", help="all numbers and settings, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print a spectrum."""
    from ..run_file import read_spectrum
    from ..table import spectrum_summary, spectrum_table

    spectrum = read_spectrum(arguments.run)
    if arguments.json:
        print(json.dumps(spectrum_summary(spectrum), indent=2, allow_nan=False))
    else:
        print(spectrum_table(spectrum))
    return 0
