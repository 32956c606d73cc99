"""The arguments that several commands share; those of a run follow from `lyapy.runs.options`."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..runs.options import KINDS, Compute, Keep, Method, described, whole_or_name

if TYPE_CHECKING:
    from ..networks.network import Network
    from ..sweeps.names import Shard

# of lyapunov_spectrum, for one run or many
EVERYDAY = ("steps", "k", "trajectories", "transient", "seed", "dt")


def add_weights(parser: argparse.ArgumentParser, many: str | None = None) -> None:
    """Add the weights file, or as many as ``nargs`` says, and hints on how to read it."""
    kinds = "file of PyTorch, Keras, ONNX, JAX …"
    parser.add_argument("weights", metavar="WEIGHTS", nargs=many, help=kinds)
    add = parser.add_argument_group(
        "hints", "if the weights file leaves something open"
    ).add_argument
    add("--cell", help="the cell's name, such as gru-reset-before or cornn")
    add("--nonlinearity", help="of vanilla cells: tanh, relu, identity, softplus, elu …")
    kinds = "of gates: sigmoid, hard-sigmoid or hard-sigmoid-keras2"
    add("--gate-nonlinearity", metavar="NAME", help=kinds)
    add("--direction", help="forward (default) or backward, of bidirectional layers")
    add("--layout", help="equinox, haiku or tensorflow1, which names do not show")
    added = "added to the forget gate by TensorFlow 1 and Haiku (1)"
    add("--forget-bias", type=float, metavar="X", help=added)
    tokens = "matrix whose rows are the inputs of tokens (the only one that fits)"
    add("--embedding", metavar="NAME", help=tokens)
    add("--layers", type=int, metavar="N", help="take the first N layers")
    names = "of the recurrent tensors' names; several are stacked in their order"
    add("--prefix", "--layer", action="append", help=names)


def given_hints(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the hints as `lyapy.load` takes them."""
    from ..weights.frameworks.layer import Hints

    return {hint.name: getattr(arguments, hint.name) for hint in fields(Hints)}


def load_network(arguments: argparse.Namespace) -> Network:
    """Load the network that the arguments name."""
    from ..weights.load import load

    return load(arguments.weights, **given_hints(arguments))


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a run of weights files, except its output."""
    add_weights(parser, "+")
    add = parser.add_argument
    picked = "of several WEIGHTS compute the I-th of N shards, I from 1; auto asks Slurm's array"
    add("--shard", type=_shard, metavar="I/N|auto", help=picked)
    shapes = (
        ".npy, .npz or .h5 (FILE:NAME names an array) of shape (T, m) or (B, T, m), or of token "
        "ids (T,) or (B, T); or .txt"
    )
    add("--inputs", metavar="FILE", help=shapes)
    characters = "for .txt: all characters in the order of their indices (those in WEIGHTS)"
    add("--vocabulary", metavar="FILE", help=characters)
    add("--steps", type=int, metavar="N", help="steps to count (all inputs)")
    enough = "leading exponents to compute (all); or kaplan-yorke or entropy: as many as it needs"
    add("-k", type=whole_or_name, metavar="K", help=enough)
    add("--trajectories", type=int, metavar="B", help="trajectories from random initial states")
    add("--transient", type=int, default=0, metavar="N", help="steps not counted at first (0)")
    add("--seed", type=int, default=0, metavar="N", help="of frames and states (0)")
    per_time = "time of a step, for exponents per unit of time (a rate cell's); step: per step"
    add("--dt", type=_time_step, metavar="X|step", help=per_time)
    fed_back = "feed the read-out in WEIGHTS back as the input; --inputs then only warms up"
    add("--closed-loop", action="store_true", help=fed_back)
    begins = "matrix of the read-out, or how its name begins (the only one that fits)"
    add("--readout", metavar="NAME", help=begins)
    add_options(parser, Method, "method")
    add_options(parser, Compute, "engine")
    add_options(parser, Keep, "checkpoints", "the same command run again continues")
    add_overwrite(parser)
    add("--quiet", action="store_true", help="errors only")


def _time_step(word: str) -> float | str:
    return word if word == "step" else float(word)


def _shard(text: str) -> Shard:
    from ..sweeps.names import parse_shard, shard_of_array

    try:
        return shard_of_array(os.environ) if text == "auto" else parse_shard(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_options(
    parser: argparse.ArgumentParser, kind: type[Any], title: str, description: str | None = None
) -> None:
    """Add a flag for each field of a dataclass of options that does not name the output."""
    add = parser.add_argument_group(title, description).add_argument
    defaults = {each.name: each.default for each in fields(kind)}
    for name, option in described(kind).items():
        flag, default = f"--{name.replace('_', '-')}", defaults[name]
        if option.by_output:
            continue
        if default is True:
            add(f"--no-{flag[2:]}", dest=name, action="store_false", help=f"do not {option.help}")
        elif default is False:
            add(flag, action="store_true", help=option.help)
        else:
            add(
                flag, default=default, choices=option.choices or None, type=option.parse or str,
                metavar=option.metavar, help=f"{option.help} ({option.unset or default})",
            )  # fmt: skip


def given_options(arguments: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """Return the options of a dataclass that the arguments hold."""
    return {n: getattr(arguments, n) for n, o in described(kind).items() if not o.by_output}


def run_arguments(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of a run as `lyapy.lyapunov_spectrum` takes them."""
    found = {name: getattr(arguments, name) for name in EVERYDAY}
    for kind in KINDS.values():
        found |= given_options(arguments, kind)
    return found | {"overwrite": arguments.overwrite}


def add_no_check(parser: argparse.ArgumentParser) -> None:
    """Add the permission to read a file whose seal is broken."""
    unchecked = "ignore the seal, as of a file that was edited"
    parser.add_argument("--no-check", dest="check", action="store_false", help=unchecked)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add the permission to replace outputs."""
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
