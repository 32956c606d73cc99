"""``lyapy plot``: a run file, or a merged one, as a picture."""

import argparse
from pathlib import Path

from .arguments import add_no_check, add_overwrite
from .messages import write

SUMMARY = "draw the spectrum of a run file and its convergence, or the spectra of many networks"
EXAMPLE = "lyapy plot run.h5 -o figure.pdf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", help="run file, merged file of lyapy sweep, or file of lyapy vectors"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".png, .pdf or .svg to write (RUN with .png)"
    )
    over = "of a merged file: column of numbers that colours the spectra (epoch)"
    parser.add_argument("--over", metavar="COLUMN", help=over)
    metric = "of a merged file: column to compare with the spectra, such as a loss"
    parser.add_argument("--metric", metavar="COLUMN", help=metric)
    pair = "of a merged file: columns of the map of the largest exponent"
    parser.add_argument("--map", nargs=2, metavar=("X", "Y"), help=pair)
    add_overwrite(parser)
    add_no_check(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw a spectrum, or many."""
    from ..storage.atomic import check_apart
    from ..sweeps.merged_file import is_merged
    from ..vectors.result import CovariantVectors, is_vectors

    output = arguments.output or str(Path(arguments.run).with_suffix(".png"))
    check_apart(output, [arguments.run])
    if is_merged(arguments.run):
        from ..sweeps.plots import plot_sweep
        from ..sweeps.result import Sweep

        pair = arguments.map and tuple(arguments.map)
        options = {"over": arguments.over, "metric": arguments.metric, "between": pair}
        sweep = Sweep.load(arguments.run, check=arguments.check)
        plot_sweep(sweep, output, **options, overwrite=arguments.overwrite)
    elif is_vectors(arguments.run):
        from ..vectors.plots import plot_vectors_summary

        found = CovariantVectors.load(arguments.run)
        plot_vectors_summary(found, output, overwrite=arguments.overwrite)
    else:
        from ..spectra.plots import plot_summary
        from ..spectra.spectrum import Spectrum

        spectrum = Spectrum.load(arguments.run, check=arguments.check)
        if arguments.over or arguments.metric or arguments.map:
            needed = "--over, --metric and --map need one"
            raise ValueError(f"{arguments.run}: is no merged file; {needed}")
        plot_summary(spectrum, output, overwrite=arguments.overwrite)
    write(f"written to {output}")
    return 0
