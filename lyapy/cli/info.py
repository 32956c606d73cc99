"""``lyapy info``: what a weights file holds, as lyapy understands it."""

from __future__ import annotations

import argparse

from .weights import add_weights, load_network

__all__ = ["add_arguments", "run"]

SUMMARY = "print the layers and sizes of a weights file, and what was assumed"
EXAMPLE = "lyapy info model.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_weights(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what a network is."""
    network = load_network(arguments)
    print(arguments.weights)
    for number, cell in enumerate(network.cells):
        blocks = ", ".join(f"{name} ({size})" for name, size in cell.blocks.items())
        print(f"  layer {number}: {cell.name}, {cell.input_size} inputs, state {blocks}")
    print(f"  input size m: {network.input_size}" + ("" if network.input_size else " (autonomous)"))
    print(f"  state dimension D, the number of exponents: {network.state_size}")
    print(f"  SHA-256 of the weights: {network.digest()}")
    for assumption in network.assumptions or ("nothing",):
        print(f"  assumed: {assumption}")
    return 0
