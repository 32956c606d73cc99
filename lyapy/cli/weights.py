"""The arguments that all commands share which read a weights file."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..network import Network

__all__ = ["add_engine", "add_overwrite", "add_weights", "load_network"]

BACKENDS = ("auto", "numba", "numpy", "cupy")


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add the weights file, and the hints for what it leaves open."""
    parser.add_argument("weights", metavar="WEIGHTS", help=".pt, .pth, .safetensors or .npz file")
    hints = parser.add_argument_group("hints", "where the weights file leaves something open")
    hints.add_argument("--cell", help="the cell's name, such as gru-reset-before")
    hints.add_argument("--nonlinearity", help="of vanilla cells: tanh, relu or identity")
    hints.add_argument("--layers", type=int, metavar="N", help="take the first N layers")
    hints.add_argument(
        "--prefix",
        action="append",
        help="of the recurrent tensors' names; several are stacked in their order",
    )


def load_network(arguments: argparse.Namespace) -> Network:
    """Load the network that the arguments name."""
    from ..loading import load

    return load(
        arguments.weights,
        cell=arguments.cell,
        nonlinearity=arguments.nonlinearity,
        layers=arguments.layers,
        prefix=arguments.prefix,
    )


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose the engine and its threads."""
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="engine (auto)")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="trajectories computed at a time (all CPUs)"
    )
    parser.add_argument(
        "--blas-threads",
        type=int,
        default=1,
        metavar="N",
        help="threads inside each product, for one trajectory of a large network (1)",
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add the permission to replace outputs."""
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
