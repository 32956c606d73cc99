"""``lyapy compile``: fill the cache of compiled code before many processes need it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .arguments import add_weights, given_hints
from .messages import write

if TYPE_CHECKING:
    from ..networks.network import Network

SUMMARY = "compile the engine and keep it, so that no later run compiles it"
EXAMPLE = "lyapy compile model.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_weights(parser, "*")


def run(arguments: argparse.Namespace) -> int:
    """Compile the code for runs of the weights files, or of all cells; print one line."""
    from ..tangent.compiled.disk import compiled_so_far

    start = time.perf_counter()
    networks = [*_loaded(arguments)]
    names = ", ".join(dict.fromkeys(cell.name for each in networks for cell in each.cells))
    # now, not in the end, if they cannot be kept
    compiled_so_far()
    _run_engine()
    for network in networks or _of_all_cells():
        _compile_forward(network)
    compiled, folder = compiled_so_far()
    seconds = time.perf_counter() - start
    done = f"{compiled} functions compiled in {seconds:.0f} s" if compiled else "nothing to compile"
    write(f"{names or 'all cells'}: {done}; kept in {folder}")
    return 0


def _loaded(arguments: argparse.Namespace) -> Iterator[Network]:
    from ..weights.load import load

    for path in arguments.weights:
        yield load(path, **given_hints(arguments))


def _of_all_cells() -> Iterator[Network]:
    from ..cells import CELLS
    from ..networks.random import random_network

    for kind in CELLS:
        yield random_network(kind, 4, 2)
    yield random_network("vanilla", 4, 2, nonlinearity="relu")


def _run_engine() -> None:
    """Compute something for which it takes ordinary intervals and graded steps, and vectors."""
    import numpy as np

    from ..networks.random import random_network
    from ..runs.lyapunov import lyapunov_spectrum
    from ..vectors.covariant import covariant_vectors

    inputs = np.random.default_rng(0).normal(size=(100, 2))
    for gain in (1.0, 30.0):
        network = random_network("vanilla", 6, 2, gain=gain, seed=1)
        lyapunov_spectrum(network, inputs, threads=1)
    covariant_vectors(network, inputs, transient=5)


def _compile_forward(network: Network) -> None:
    """Run the forward pass over no steps."""
    import numpy as np

    from ..networks.forward import forward_chunk
    from ..tangent.engine import fitted_engine

    engine = fitted_engine("numba", 1, network, factors=False)
    inputs = np.zeros((0, network.input_size))
    forward_chunk(network, inputs, np.zeros(network.state_size), engine.run_layer)
