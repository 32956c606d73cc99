"""Measure the errors of ordinary intervals and both ends: ``python -m tools.benchmarks.ordinary``.

Networks of 40 exponents with and without saturation, against pairs of float64.
"""

import warnings
from typing import Any

import numpy as np

import lyapy
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from tests.support.double_double import staged_growth

STEPS = 200


CASES: list[tuple[str, int, tuple[float, ...]]] = [
    ("vanilla", 40, (1.0, 2.0, 3.0, 5.0)),
    ("lstm", 20, (1.0, 2.0, 4.0, 8.0)),
    ("gru", 40, (1.0, 3.0, 8.0)),
]


def main() -> None:
    warnings.simplefilter("ignore", RuntimeWarning)
    run: Any = choose_engine("numba").run_layer
    inputs = np.random.default_rng(3).normal(size=(STEPS, 2))
    for kind, n, gains in CASES:
        for gain in gains:
            network = lyapy.random_network(kind, n, 2, gain=gain, bias=0.5, seed=1)
            D = network.state_size
            (block,) = diagonal_blocks(network, whole=False)
            coefficients = forward_chunk(network, inputs, np.zeros(D), run).coefficients
            (exact,) = staged_growth(block.program, coefficients, (STEPS,))
            for two_ended in (True, False):
                options = {"frame": "identity", "initial_state": np.zeros(D)}
                spectrum = lyapy.lyapunov_spectrum(network, inputs, two_ended=two_ended, **options)
                wrong = np.abs(spectrum.growth.sum(axis=1)[0] - exact) / STEPS
                missed = wrong[wrong > 3.0 * spectrum.numerical_error[0]]
                counts = spectrum.intervals.sum(), spectrum.trailing_intervals.sum()
                print(
                    f"{kind} n={n} gain={gain:g} {'two ends' if two_ended else 'one frame'}, "
                    f"intervals {counts[0]} and {counts[1]}: "
                    f"largest error {wrong.max():.1e}, missed {missed.max(initial=0.0):.1e}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
