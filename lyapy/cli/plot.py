"""``lyapy plot``: a run file as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from .weights import add_overwrite

__all__ = ["add_arguments", "run"]

SUMMARY = "draw the spectrum of a run file, and the convergence of its exponents"
EXAMPLE = "lyapy plot run.h5 -o figure.pdf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run", metavar="RUN", help="run file, of lyapy spectrum")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".png, .pdf or .svg to write (RUN with .png)"
    )
    add_overwrite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw a spectrum."""
    from ..plots import plot_summary
    from ..run_file import read_spectrum

    output = arguments.output or str(Path(arguments.run).with_suffix(".png"))
    plot_summary(read_spectrum(arguments.run), output, overwrite=arguments.overwrite)
    print(f"written to {output}")
    return 0
