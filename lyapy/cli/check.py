"""``lyapy check``: Jacobian and sum rule of a network, checked numerically."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from ..runs.options import Compute
from .arguments import add_options, add_weights, given_options, load_network
from .messages import write

if TYPE_CHECKING:
    from ..networks.network import Network

SUMMARY = "check a network: Jacobian against differences of the forward pass, and the sum rule"
EXAMPLE = "lyapy check model.pt"

POINTS, DIRECTIONS, DIFFERENCE_STEP, JACOBIAN_ALLOWED = 5, 16, 1e-6, 1e-6
STEPS, TRANSIENT, SUM_RULE_ALLOWED = 256, 64, 1e-7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_weights(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of states and inputs (0)")
    add_options(parser, Compute, "engine")


def run(arguments: argparse.Namespace) -> int:
    """Print the checks; the exit code is 1 if one fails."""
    network = load_network(arguments)
    write(f"Jacobian at {POINTS} random points against central differences:")
    difference = jacobian_difference(network, arguments.seed)
    sound = _judge("largest relative difference", difference, JACOBIAN_ALLOWED)
    write(f"sum rule, mean log|det J| against the sum of exponents, over {STEPS} steps:")
    residual = sum_rule_residual(network, arguments.seed, given_options(arguments, Compute))
    if math.isnan(residual):
        write("  does not apply: directions are dead, or too contracted for float64")
    else:
        sound &= _judge("residual in nats per step", residual, SUM_RULE_ALLOWED)
    return 0 if sound else 1


def _judge(name: str, found: float, allowed: float) -> bool:
    passed = found <= allowed
    write(f"  {name} {found:.1e}, allowed {allowed:.0e}: {'passed' if passed else 'FAILED'}")
    return passed


def jacobian_difference(network: Network, seed: int) -> float:
    """Return the largest difference of J v from the forward pass, relative to the largest J v."""
    import numpy as np

    from ..networks.forward import forward_chunk
    from ..networks.jacobian import jacobian

    rng = np.random.default_rng(seed)
    worst = 0.0
    for _ in range(POINTS):
        state, x = rng.normal(size=network.state_size), rng.normal(size=network.input_size)
        vectors = rng.normal(size=(DIRECTIONS, network.state_size))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        moved = state + DIFFERENCE_STEP * np.concatenate([vectors, -vectors])
        ends = forward_chunk(network, np.broadcast_to(x, (1, len(moved), len(x))), moved).states[0]
        differences = (ends[:DIRECTIONS] - ends[DIRECTIONS:]) / (2 * DIFFERENCE_STEP)
        products = vectors @ jacobian(network, state, x).T
        # rounding of the states is the least that a difference can show
        scale = max(np.abs(products).max(), 1e-3 * np.abs(ends).max())
        worst = max(worst, float(np.abs(products - differences).max() / scale))
    return worst


def sum_rule_residual(network: Network, seed: int, engine: dict[str, Any]) -> float:
    """Return the residual of the sum rule on a short run with random inputs."""
    import numpy as np

    from ..runs.lyapunov import lyapunov_spectrum

    drive = None
    if network.input_size:
        drive = np.random.default_rng(seed).normal(size=(TRANSIENT + STEPS, network.input_size))
    spectrum = lyapunov_spectrum(
        network, drive, steps=STEPS, transient=TRANSIENT, seed=seed, **engine
    )
    return spectrum.sum_rule_residual
