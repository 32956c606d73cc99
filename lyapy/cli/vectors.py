"""``lyapy vectors``: covariant vectors of a network along its inputs, into a file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..runs.options import whole_or_name
from .arguments import add_overwrite, add_weights, load_network
from .messages import write_lines
from .signals import interruptions

if TYPE_CHECKING:
    from ..networks.network import Network

SUMMARY = "compute covariant vectors, the directions that grow at each exponent's rate"
EXAMPLE = "lyapy vectors model.pt --inputs drive.npy --transient 500 -k 8 -o vectors.h5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_weights(parser)
    add = parser.add_argument
    add("-o", "--output", required=True, metavar="FILE", help="file to write (HDF5)")
    shapes = ".npy, .npz or .h5 (FILE:NAME names an array) of shape (T, m), or .txt"
    add("--inputs", metavar="FILE", help=shapes)
    characters = "for .txt: all characters in the order of their indices (those in WEIGHTS)"
    add("--vocabulary", metavar="FILE", help=characters)
    add("--steps", type=int, metavar="N", help="steps after the transient (all inputs)")
    add("-k", type=int, metavar="K", help="leading vectors (all that live)")
    chosen = "steps of the inputs at which to return vectors, as Python's range (all)"
    add("--at", type=_steps, metavar="START:STOP[:EVERY]", help=chosen)
    add("--transient", type=int, default=0, metavar="N", help="steps for the way forward (0)")
    ahead = "steps at the end for the way back (auto: measured)"
    add("--backward-transient", type=whole_or_name, default="auto", metavar="N|auto", help=ahead)
    add("--tolerance", type=float, default=1e-8, metavar="X", help="sine of the error (1e-8)")
    add("--seed", type=int, default=0, metavar="N", help="of frames and starts (0)")
    every = "seconds between two checkpoints (300); the same command run again continues"
    add("--checkpoint-every", type=float, default=300.0, metavar="X", help=every)
    add("--plot", metavar="FILE", help=".png, .pdf or .svg to write")
    add_overwrite(parser)
    add("--quiet", action="store_true", help="errors only")


def run(arguments: argparse.Namespace) -> int:
    """Compute, write, print and draw the vectors."""
    from ..spectra.figures import check_picture
    from ..storage.atomic import check_apart

    check_apart(arguments.output, [arguments.weights])
    if arguments.plot:
        check_picture(arguments.plot, overwrite=arguments.overwrite)
    network = load_network(arguments)
    inputs = _inputs(network, arguments)
    names = ["steps", "k", "at", "transient", "backward_transient", "seed", "tolerance"]
    names += ["checkpoint_every", "overwrite"]
    from ..vectors.covariant import covariant_vectors

    with interruptions():
        found = covariant_vectors(
            network,
            inputs,
            checkpoint=arguments.output,
            progress=not arguments.quiet,
            **{name: getattr(arguments, name) for name in names},
        )
    if not arguments.quiet:
        write_lines(str(found))
    if arguments.plot:
        from ..vectors.plots import plot_vectors_summary

        plot_vectors_summary(found, arguments.plot, overwrite=arguments.overwrite)
    if not arguments.quiet:
        written = " and ".join(filter(None, (arguments.output, arguments.plot)))
        write_lines(f"\nwritten to {written}")
    return 0


def _inputs(network: Network, arguments: argparse.Namespace) -> Any:
    if arguments.inputs is None:
        return None
    from ..runs.inputs import read_inputs, read_vocabulary

    vocabulary = arguments.vocabulary and read_vocabulary(arguments.vocabulary)
    return read_inputs(arguments.inputs, network, vocabulary)


def _steps(text: str) -> range:
    words = text.split(":")
    if len(words) not in (2, 3):
        raise argparse.ArgumentTypeError(f"{text!r} is no START:STOP or START:STOP:EVERY")
    return range(*map(int, words))
