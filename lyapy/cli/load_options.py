"""The arguments that all commands share which read a weights file."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..networks.closed_loop import ClosedLoop
    from ..networks.network import Network
    from ..weights.frameworks.layer import Hints

__all__ = [
    "add_closed_loop",
    "add_overwrite",
    "add_weights",
    "hints_of",
    "load_closed_loop",
    "load_network",
]


def add_weights(
    parser: argparse.ArgumentParser, *, several: bool = False, optional: bool = False
) -> None:
    """Add the weights file, or several, or one or none, and the hints for what it leaves open."""
    many = "+" if several else "?" if optional else None
    kinds = "of PyTorch, Keras, ONNX, JAX …"
    kinds = f"file {kinds}" if several else kinds
    parser.add_argument("weights", metavar="WEIGHTS", nargs=many, help=kinds)
    hints = parser.add_argument_group("hints", "where the weights file leaves something open")
    hints.add_argument("--cell", help="the cell's name, such as gru-reset-before or cornn")
    hints.add_argument("--nonlinearity", help="of vanilla cells: tanh, relu or identity")
    kinds = "of gates: sigmoid, hard-sigmoid or hard-sigmoid-keras2"
    hints.add_argument("--gate-nonlinearity", metavar="NAME", help=kinds)
    either = "forward (default) or backward, of bidirectional layers"
    hints.add_argument("--direction", help=either)
    hints.add_argument("--layout", help="equinox, haiku or tensorflow1, which names do not tell")
    added = "what TensorFlow 1 and Haiku add to the forget gate (1)"
    hints.add_argument("--forget-bias", type=float, metavar="X", help=added)
    hints.add_argument("--layers", type=int, metavar="N", help="take the first N layers")
    hints.add_argument(
        "--prefix",
        "--layer",
        action="append",
        help="of the recurrent tensors' names; several are stacked in their order",
    )


def hints_of(arguments: argparse.Namespace) -> Hints:
    """Return what the arguments say where the file does not."""
    from ..weights.frameworks.layer import Hints

    return Hints(**{field.name: getattr(arguments, field.name) for field in fields(Hints)})


def load_network(arguments: argparse.Namespace) -> Network:
    """Load the network that the arguments name."""
    from ..weights.formats import read_contents
    from ..weights.load import network_from_contents

    path = arguments.weights
    return network_from_contents(path, read_contents(path), hints_of(arguments))


def load_closed_loop(arguments: argparse.Namespace) -> ClosedLoop:
    """Load the network that the arguments name, with its read-out in the file fed back."""
    from ..weights.load import load_closed_loop as load

    return load(arguments.weights, hints_of(arguments), arguments.readout)


def add_closed_loop(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that feed the read-out back."""
    add = parser.add_argument
    fed_back = "feed the read-out in WEIGHTS back as the input; --inputs then only warms up"
    add("--closed-loop", action="store_true", help=fed_back)
    begins = "matrix of the read-out, or how its name begins (the only one that fits)"
    add("--readout", metavar="NAME", help=begins)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add the permission to replace outputs."""
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
