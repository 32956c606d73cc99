"""``lyapy spectrum``: from a weights file to a run file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .members import add_shard, are_many, run_members
from .signals import interruptions
from .weights import add_engine, add_overwrite, add_weights, load_closed_loop, load_network

if TYPE_CHECKING:
    from ..network import Network
    from ..spectrum import Spectrum
    from ..types import Array

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
    shapes = ".npy, .npz or .h5 (FILE:NAME names an array) of shape (T, m) or (B, T, m), or .txt"
    add("--inputs", metavar="FILE", help=shapes)
    fed_back = "feed the read-out in WEIGHTS back as the input; --inputs then only warms up"
    add("--closed-loop", action="store_true", help=fed_back)
    begins = "matrix of the read-out, or how its name begins (the only one that fits)"
    add("--readout", metavar="NAME", help=begins)
    characters = "for .txt: all characters in the order of their indices (those in WEIGHTS)"
    add("--vocabulary", metavar="FILE", help=characters)
    add("--steps", type=int, metavar="N", help="steps to count (all inputs)")
    target = "without inputs: instead of --steps, go on until no standard error is larger"
    add("--until", type=float, metavar="SE", help=target)
    most = "most steps that --until may take (1000000)"
    add("--max-steps", type=int, default=1_000_000, metavar="N", help=most)
    add("-k", type=int, metavar="K", help="leading exponents to compute (all)")
    add("--trajectories", type=int, metavar="B", help="trajectories from random initial states")
    add("--transient", type=int, default=0, metavar="N", help="steps not counted at first (0)")
    between = "steps between two reorthonormalizations (auto)"
    add("--interval", type=_interval, default="auto", metavar="N|auto", help=between)
    admitted = "rounding error admitted in one interval, in nats (1e-8; 2.5e-4 in float32)"
    add("--tolerance", type=float, metavar="X", help=admitted)
    frames = "initial deviation vectors (random)"
    add("--frame", choices=("random", "identity"), default="random", help=frames)
    add("--seed", type=int, default=0, metavar="N", help="of frames and states (0)")
    per_time = "time of a step: exponents per unit of time instead of per step"
    add("--dt", type=float, metavar="X", help=per_time)
    add_engine(parser)
    kinds = "in which a GPU computes (float64)"
    add("--precision", choices=("float64", "float32"), default="float64", help=kinds)
    _add_run_file(parser)
    add_overwrite(parser)
    add("--quiet", action="store_true", help="no progress and no table")


def _add_run_file(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group(
        "checkpoints", "the same command run again continues"
    ).add_argument
    often = "seconds between two checkpoints (300)"
    add("--checkpoint-every", type=float, default=300.0, metavar="S", help=often)
    kinds = (
        "growth, states, frames or factors, to be kept on the way; several are separated by commas"
    )
    add("--record", type=_record, default=("growth",), metavar="KINDS", help=kinds)
    add("--record-every", type=int, metavar="N", help="steps between two recorded rows (64)")
    identical = "refuse to continue on another machine or with other versions or threads"
    add("--require-identical", action="store_true", help=identical)
    moved = "continue a run that another backend began, on the CPU or on a GPU"
    add("--any-backend", action="store_true", help=moved)


def _record(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def run(arguments: argparse.Namespace) -> int:
    """Compute and write a spectrum, or one of each of several networks."""
    if are_many(arguments):
        return run_members(arguments, _compute)
    (arguments.weights,) = arguments.weights
    spectrum = _compute(arguments)
    if not arguments.quiet:
        from ..table import spectrum_table

        print(f"{spectrum_table(spectrum)}\n\nwritten to {arguments.output}")
    return 0


def _compute(arguments: argparse.Namespace) -> Spectrum:
    from ..output import check_output
    from ..run_file import check_run_output

    resumable = arguments.until is None
    check = check_run_output if resumable else check_output
    check(arguments.output, overwrite=arguments.overwrite)
    if arguments.readout is not None and not arguments.closed_loop:
        raise ValueError("--readout: is given for an open loop; add --closed-loop")
    network, inputs, start = _read_system(arguments)
    # only now, as it takes a second and bad input should be told at once
    from ..lyapunov import lyapunov_spectrum

    with interruptions():
        spectrum = lyapunov_spectrum(
            network,
            inputs,
            steps=arguments.steps,
            until=arguments.until,
            max_steps=arguments.max_steps,
            k=arguments.k,
            trajectories=arguments.trajectories,
            initial_state=start,
            transient=arguments.transient,
            interval=arguments.interval,
            tolerance=arguments.tolerance,
            frame=arguments.frame,
            seed=arguments.seed,
            dt=arguments.dt,
            backend=arguments.backend,
            precision=arguments.precision,
            threads=arguments.threads,
            blas_threads=arguments.blas_threads,
            progress=not arguments.quiet,
            checkpoint=arguments.output if resumable else None,
            checkpoint_every=arguments.checkpoint_every,
            record=arguments.record,
            record_every=arguments.record_every,
            overwrite=arguments.overwrite,
            require_identical=arguments.require_identical,
            any_backend=arguments.any_backend,
        )
        if not resumable:
            spectrum.save(arguments.output, overwrite=arguments.overwrite)
        return spectrum


def _read_system(arguments: argparse.Namespace) -> tuple[Network, Array | None, Array | None]:
    """Return the network, its inputs, and the states to begin with where the inputs lead there."""
    if not arguments.closed_loop:
        network = load_network(arguments)
        return network, _read_inputs(arguments, network), None
    loop = load_closed_loop(arguments)
    if arguments.inputs is None:
        return loop, None, None
    return loop, None, loop.warm_up(_read_inputs(arguments, loop.open_loop))


def _interval(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number") from None


def _read_inputs(arguments: argparse.Namespace, network: Network) -> Array | None:
    is_text = arguments.inputs is not None and arguments.inputs.lower().endswith(".txt")
    if arguments.vocabulary is not None and not is_text:
        raise ValueError("--vocabulary: is given without a text; add --inputs FILE.txt")
    if arguments.inputs is None:
        if network.input_size:
            raise ValueError(
                f"--inputs: is missing, but {arguments.weights} reads {network.input_size} inputs "
                "at every step; give a file of them"
            )
        return None
    from ..inputs import read_encoding, read_inputs, read_vocabulary

    if not is_text:
        return read_inputs(arguments.inputs, network)
    vocabulary, embedding = read_encoding(arguments.weights)
    if arguments.vocabulary is not None:
        vocabulary = read_vocabulary(arguments.vocabulary)
    return read_inputs(arguments.inputs, network, vocabulary, embedding)
