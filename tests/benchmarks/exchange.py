"""How sharp the estimate of exchanged growth is: ``python -m tests.benchmarks.exchange``.

Saturated networks against 300 digits, and the shipped LSTM against pairs of float64.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from importlib.resources import files
from pathlib import Path

import numpy as np
from safetensors import safe_open

import lyapy
from lyapy.engines import choose_engine
from lyapy.forward import forward_chunk

sys.path.insert(0, str(Path(__file__).parents[1]))
from double_double import double_double_growth
from precise import precise_growth, precise_jacobians

KINDS = [("lstm", 6), ("gru", 6), ("gru-reset-before", 6), ("lstm-projected", 5)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tolerance", type=float, default=1e-8)
    parser.add_argument("--steps", type=int, default=600, help="of the shipped LSTM")
    parser.add_argument("--shipped", action="store_true", help="only the shipped LSTM")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    for kind, n in [] if arguments.shipped else KINDS:
        for gain in (10.0, 20.0, 40.0, 60.0):
            for seed in (2, 5, 7):
                print(f"{kind} n={n} gain={gain:g} seed={seed}: ", end="")
                saturated(kind, n, gain, seed, arguments.tolerance)
    shipped(arguments.steps, arguments.tolerance)


def saturated(kind: str, n: int, gain: float, seed: int, tolerance: float) -> None:
    """Compare over 40 steps with mpmath."""
    import mpmath

    network = lyapy.random_network(kind, n, 2, bias=2.0, gain=gain, seed=seed)
    inputs = np.random.default_rng(3).normal(size=(40, 2))
    with mpmath.workdps(300):
        (jacobians,) = precise_jacobians(network, inputs, "numba")
        exact = precise_growth(jacobians)
    compare(network, inputs, exact, tolerance)


def shipped(steps: int, tolerance: float) -> None:
    """Compare over the first characters of the excerpt."""
    folder = files(lyapy) / "data"
    with safe_open(str(folder / "character_lstm.safetensors"), "numpy") as file:
        vocabulary = file.metadata()["vocabulary"]
        embedding = file.get_tensor("embedding.weight").astype(float)
    text = (folder / "excerpt.txt").read_text(encoding="utf-8")[:steps]
    inputs = embedding[[vocabulary.index(character) for character in text]]
    network = lyapy.load(str(folder / "character_lstm.safetensors"))
    run, D = choose_engine("numba").run_layer, network.state_size
    states = forward_chunk(network, inputs, np.zeros(D), run).states
    pairs = zip([np.zeros(D), *states[:-1]], inputs, strict=True)
    exact = double_double_growth((wide_jacobian(network.cells[0], *one) for one in pairs), D)
    print(f"shipped LSTM, {steps} steps: ", end="")
    compare(network, inputs, exact, tolerance)


def wide_jacobian(cell: lyapy.LSTM, state: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return an LSTM's Jacobian in longdouble."""

    def wide(array: np.ndarray) -> np.ndarray:
        return np.asarray(array, np.longdouble)

    def sigma(a: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-a))

    n = len(cell.b) // 4
    h, c = wide(state[:n]), wide(state[n:])
    U = wide(cell.weights.U)
    U_i, U_f, U_g, U_o = np.split(U, 4)
    i, f, g, o = np.split(wide(cell.W) @ wide(x) + wide(cell.b) + U @ h, 4)
    A = (c * sigma(f) * sigma(-f))[:, None] * U_f
    A = A + (np.tanh(g) * sigma(i) * sigma(-i))[:, None] * U_i
    A = A + (sigma(i) / np.cosh(g) ** 2)[:, None] * U_g
    new = sigma(f) * c + sigma(i) * np.tanh(g)
    e = sigma(o) / np.cosh(new) ** 2
    w = np.tanh(new) * sigma(o) * sigma(-o)
    upper = [e[:, None] * A + w[:, None] * U_o, np.diag(e * sigma(f))]
    return np.block([upper, [A, np.diag(sigma(f))]])


def compare(
    network: lyapy.Network, inputs: np.ndarray, exact: np.ndarray, tolerance: float
) -> None:
    """Print how many exponents are wrong, marked, and missed, and how sharp the estimate is."""
    start = np.zeros(network.state_size)
    spectrum = lyapy.lyapunov_spectrum(
        network, inputs, frame="identity", tolerance=tolerance, initial_state=start
    )
    alive = np.isfinite(exact)
    wrong = np.abs(spectrum.growth.sum(axis=1)[0] - exact)[alive] / len(inputs)
    error = spectrum.numerical_error[0][alive]
    bad, marked = wrong > 10 * tolerance, error > 10 * tolerance
    print(
        f"{bad.sum()} of {len(bad)} wrong by up to {wrong.max():.2g}, {marked.sum()} marked, "
        f"{np.sum(bad & ~marked)} missed; error over estimate {np.median(wrong / error):.2g} "
        f"in the median, {np.quantile(wrong / error, 0.95):.2g} in 95 %",
        flush=True,
    )


if __name__ == "__main__":
    main()
