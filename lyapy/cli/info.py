"""``lyapy info``: the networks in a weights file, or the versions and processors of a machine."""

from __future__ import annotations

import argparse
from platform import machine, python_version, system
from typing import TYPE_CHECKING

from .arguments import add_weights, given_hints
from .messages import write

if TYPE_CHECKING:
    from ..networks.network import Network
    from ..weights.formats import Contents
    from ..weights.frameworks.layer import Hints, Stacks

SUMMARY = "print layers, sizes and assumptions of a weights file, or describe the machine"
EXAMPLE = "lyapy info model.pt"
OTHERS_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_weights(parser, "?")
    parser.add_argument("--system", action="store_true", help="print versions, CPU and GPU instead")


def run(arguments: argparse.Namespace) -> int:
    """Print a network, or the candidates in a file with several, or the machine."""
    if arguments.system:
        return _print_system()
    if arguments.weights is None:
        raise ValueError("WEIGHTS is missing; give a weights file, or --system")
    from ..weights.frameworks import find_layers
    from ..weights.frameworks.layer import Hints
    from ..weights.load import network_from_contents, recurrent_names
    from ..weights.parameters import OPTIMIZER
    from ..weights.source import read_source

    path, contents = read_source(arguments.weights)
    hints = Hints(**given_hints(arguments))
    stacks = find_layers(path, contents, hints)
    if len(stacks) > 1 and arguments.prefix is None:
        _print_candidates(path, stacks)
    else:
        network = network_from_contents(path, contents, hints)
        _print_network(path, network)
        if network.input_size:
            _print_loop(path, contents, hints, network)
    used = recurrent_names(stacks)
    others = [name for name in contents.arrays if name not in used]
    for name in others[:OTHERS_SHOWN]:
        write(f"  not recurrent: {name} {tuple(contents.arrays[name].shape)}")
    if len(others) > OTHERS_SHOWN:
        write(f"  not recurrent: {len(others) - OTHERS_SHOWN} more")
    if OPTIMIZER in contents.metadata:
        write(f"  not recurrent: {contents.metadata[OPTIMIZER]} {OPTIMIZER}")
    return 0


def _print_system() -> int:
    from ..runs.provenance import installed_versions, processor
    from ..runs.threads import default_threads
    from ..tangent.gpu.device import describe_devices

    write(f"Python: {python_version()} on {system()} {machine()}")
    versions = ", ".join(f"{name} {found}" for name, found in installed_versions().items())
    write(f"packages: {versions}")
    write(f"CPU: {processor()}, {default_threads()} trajectories at the same time")
    write(f"GPU: {describe_devices()}")
    return 0


def _print_loop(path: str, contents: Contents, hints: Hints, network: Network) -> None:
    from ..errors import WeightsError
    from ..weights.load import closed_loop_from_contents

    try:
        loop = closed_loop_from_contents(path, contents, hints)
        found = loop.assumptions[len(network.assumptions) :]
    except WeightsError as error:
        found = (error.what,)
    for line in found:
        write(f"  closed loop: {line}")


def _print_candidates(path: str, stacks: Stacks) -> None:
    write(f"{path}: {len(stacks)} recurrent networks; pick with --prefix")
    for prefix, stack in stacks.items():
        for layer in stack:
            matrices = [role for role in ("W", "U") if role in layer.names]
            shapes = [f"{layer.names[role]} {layer.arrays[role].shape}" for role in matrices]
            other = f", {layer.direction}" if layer.direction != "forward" else ""
            write(f"  {prefix!r} layer {layer.number}{other}: {', '.join(shapes)}")


def _print_network(path: str, network: Network) -> None:
    write(path)
    for number, cell in enumerate(network.cells):
        variables = ", ".join(f"{name} ({size})" for name, size in cell.variables.items())
        write(f"  layer {number}: {cell.name}, {cell.input_size} inputs, state {variables}")
    write(f"  input size m: {network.input_size}" + ("" if network.input_size else " (autonomous)"))
    write(f"  state dimension D, the number of exponents: {network.state_size}")
    write(f"  SHA-256 of the weights: {network.digest()}")
    for assumption in network.assumptions or ("nothing",):
        write(f"  assumed: {assumption}")
