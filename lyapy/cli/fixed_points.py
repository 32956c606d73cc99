"""``lyapy fixed-points``: fixed points and cycles of a network under a constant input."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .arguments import add_overwrite, add_weights, load_network
from .messages import write, write_lines

if TYPE_CHECKING:
    from ..arrays import Array
    from ..networks.network import Network

SUMMARY = "find fixed points, cycles and slow points of a network under a constant input"
EXAMPLE = "lyapy fixed-points model.pt --input 0 --plot points.png"
# of the trajectory in the plot
STEPS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_weights(parser)
    add = parser.add_argument
    numbers = "the constant input, as 0.5,-1,0; one number stands for all"
    add("--input", type=_numbers, metavar="X,X", help=numbers)
    add("--starts", type=int, default=100, metavar="N", help="states to start from (100)")
    add("--period", type=int, default=1, metavar="P", help="find cycles of P steps (1)")
    add("--seed", type=int, default=0, metavar="N", help="of the starts (0)")
    add("-o", "--output", metavar="FILE", help=".npz to write")
    add("--plot", metavar="FILE", help=".png, .pdf or .svg to write")
    add_overwrite(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print, write and draw the points."""
    from ..orbits.fixed_points import fixed_points
    from ..orbits.plots import plot_fixed_points
    from ..spectra.figures import check_picture
    from ..storage.atomic import check_apart, check_output

    outputs = [path for path in (arguments.output, arguments.plot) if path]
    for path in outputs:
        check_apart(path, [arguments.weights])
        check = check_picture if path == arguments.plot else check_output
        check(path, overwrite=arguments.overwrite)
    network = load_network(arguments)
    x = _input(network, arguments.input)
    found = fixed_points(
        network, x, starts=arguments.starts, period=arguments.period, seed=arguments.seed
    )
    write_lines(str(found))
    if arguments.output:
        found.save(arguments.output, overwrite=arguments.overwrite)
    if arguments.plot:
        states = _trajectory(network, x, arguments.seed)
        plot_fixed_points(found, states, arguments.plot, overwrite=arguments.overwrite)
    for path in outputs:
        write(f"written to {path}")
    return 0


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split(",")]


def _input(network: Network, numbers: list[float] | None) -> list[float] | None:
    """Return the constant input; raise ValueError where it is missing."""
    m = network.input_size
    if numbers is None and m:
        raise ValueError(f"--input is missing; give the {m} numbers of a constant input, or one")
    return numbers * m if numbers is not None and len(numbers) == 1 else numbers


def _trajectory(network: Network, x: list[float] | None, seed: int) -> Array:
    import numpy as np

    from ..networks.forward import forward_chunk

    drive = np.broadcast_to(np.array(x or [], dtype=np.float64), (STEPS, network.input_size))
    start = np.random.default_rng(seed).normal(size=network.state_size)
    return forward_chunk(network, drive, start).states
