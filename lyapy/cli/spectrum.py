"""``lyapy spectrum``: from a weights file to a run file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .load_options import (
    add_closed_loop,
    add_overwrite,
    add_weights,
    load_closed_loop,
    load_network,
)
from .networks import add_shard, are_many, run_members
from .run_options import add_run_options, run_options
from .signals import interruptions

if TYPE_CHECKING:
    from ..arrays import Array
    from ..networks.network import Network
    from ..spectra.spectrum import Spectrum

__all__ = ["add_arguments", "run"]

SUMMARY = "compute the Lyapunov spectrum of a network and write it to a run file"
EXAMPLE = "lyapy spectrum model.pt --inputs drive.npy --transient 500 -k 32 -o run.h5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_weights(parser, several=True)
    add = parser.add_argument
    output = "run file to write (HDF5), or folder of them for several WEIGHTS"
    add("-o", "--output", required=True, metavar="FILE", help=output)
    add_shard(parser)
    add_run_options(parser)
    add_closed_loop(parser)
    target = "without inputs: instead of --steps, go on until no standard error is larger"
    add("--until", type=float, metavar="SE", help=target)
    most = "most steps that --until may take (1000000)"
    add("--max-steps", type=int, default=1_000_000, metavar="N", help=most)
    add_overwrite(parser)
    add("--quiet", action="store_true", help="no progress and no table")


def run(arguments: argparse.Namespace) -> int:
    """Compute and write a spectrum, or one of each of several networks; 1 if a check failed."""
    if are_many(arguments):
        return run_members(arguments, _compute)
    (arguments.weights,) = arguments.weights
    spectrum = _compute(arguments)
    from ..spectra.status import FAILED

    if not arguments.quiet:
        from ..spectra.text import spectrum_table

        print(f"{spectrum_table(spectrum)}\n\nwritten to {arguments.output}")
    return int(spectrum.status.code == FAILED)


def _compute(arguments: argparse.Namespace) -> Spectrum:
    from ..spectra.file import check_run_output

    check_run_output(arguments.output, overwrite=arguments.overwrite)
    if arguments.readout is not None and not arguments.closed_loop:
        raise ValueError("--readout: is given for an open loop; add --closed-loop")
    network, inputs, start = _read_system(arguments)
    # only now, as it takes a second and bad input should be told at once
    from ..runs.lyapunov import lyapunov_spectrum

    with interruptions():
        return lyapunov_spectrum(
            network,
            inputs,
            **run_options(arguments),
            until=arguments.until,
            max_steps=arguments.max_steps,
            initial_state=start,
            progress=not arguments.quiet,
            checkpoint=arguments.output,
            overwrite=arguments.overwrite,
        )


def _read_system(arguments: argparse.Namespace) -> tuple[Network, Array | None, Array | None]:
    """Return the network, its inputs, and the states to begin with where the inputs lead there."""
    if not arguments.closed_loop:
        network = load_network(arguments)
        return network, _read_inputs(arguments, network), None
    loop = load_closed_loop(arguments)
    if arguments.inputs is None:
        return loop, None, None
    return loop, None, loop.warm_up(_read_inputs(arguments, loop.open_loop))


def _read_inputs(arguments: argparse.Namespace, network: Network) -> Array | None:
    if arguments.inputs is not None:
        from ..runs.inputs import read_inputs_for

        return read_inputs_for(network, arguments.inputs, arguments.weights, arguments.vocabulary)
    if arguments.vocabulary is not None:
        raise ValueError("--vocabulary: is given without a text; add --inputs FILE.txt")
    if network.input_size:
        raise ValueError(
            f"--inputs: is missing, but {arguments.weights} reads {network.input_size} inputs "
            "at every step; give a file of them"
        )
    return None
