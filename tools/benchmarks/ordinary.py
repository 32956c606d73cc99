"""What ordinary intervals and both ends leave out: ``python -m tools.benchmarks.ordinary``.

Networks of 40 exponents with and without saturation, against pairs of float64.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import lyapy
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from tests.support.double_double import added, double_double_growth, pair, weighted

from .exchange import Pair, lstm_jacobian, sigma, wide

STEPS = 200


def vanilla_jacobian(cell: lyapy.Vanilla, h: np.ndarray, x: np.ndarray) -> Pair:
    U = cell.weights.U
    a = wide(cell.W) @ wide(x) + wide(cell.b) + wide(U) @ wide(h)
    return weighted(*pair(1 / np.cosh(a) ** 2), U, np.zeros_like(U))


def gru_jacobian(cell: lyapy.GRU, h: np.ndarray, x: np.ndarray) -> Pair:
    U_r, U_z, U_n = ((part, np.zeros_like(part)) for part in np.split(cell.weights.U, 3))
    r, z, g = np.split(wide(cell.W) @ wide(x) + wide(cell.b), 3)
    recurrent = np.split(wide(cell.weights.U) @ wide(h), 3)
    r, z, v = r + recurrent[0], z + recurrent[1], recurrent[2] + wide(cell.weights.c)
    g = g + sigma(r) * v
    s = sigma(-z) / np.cosh(g) ** 2
    J = pair(np.diag(sigma(z)))
    J = added(*J, *weighted(*pair((wide(h) - np.tanh(g)) * sigma(z) * sigma(-z)), *U_z))
    J = added(*J, *weighted(*pair(s * v * sigma(r) * sigma(-r)), *U_r))
    return added(*J, *weighted(*pair(s * sigma(r)), *U_n))


CASES: list[tuple[str, int, tuple[float, ...], Callable[..., Pair]]] = [
    ("vanilla", 40, (1.0, 2.0, 3.0, 5.0), vanilla_jacobian),
    ("lstm", 20, (1.0, 2.0, 4.0, 8.0), lstm_jacobian),
    ("gru", 40, (1.0, 3.0, 8.0), gru_jacobian),
]


def main() -> None:
    warnings.simplefilter("ignore", RuntimeWarning)
    run: Any = choose_engine("numba").run_layer
    inputs = np.random.default_rng(3).normal(size=(STEPS, 2))
    for kind, n, gains, jacobian in CASES:
        for gain in gains:
            network = lyapy.random_network(kind, n, 2, gain=gain, bias=0.5, seed=1)
            D = network.state_size
            states = forward_chunk(network, inputs, np.zeros(D), run).states
            steps = zip([np.zeros(D), *states[:-1]], inputs, strict=True)
            exact = double_double_growth((jacobian(network.cells[0], *one) for one in steps), D)
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
