"""How sharp the estimate of exchanged growth is: ``python -m tools.benchmarks.exchange``.

Saturated networks against 300 digits, and the shipped LSTM against pairs of float64.
"""

import argparse
import time
import warnings
from importlib.resources import files

import numpy as np
from safetensors import safe_open

import lyapy
from lyapy.networks.apply import tangent_step
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from lyapy.tangent.graded.step import graded_step
from lyapy.tangent.graded.tilt import SAMPLES
from tests.support.double_double import added, double_double_growth, pair, weighted
from tests.support.precise import precise_growth, precise_jacobians

Pair = tuple[np.ndarray, np.ndarray]
KINDS = [("lstm", 6), ("gru", 6), ("gru-reset-before", 6), ("lstm-projected", 5)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tolerance", type=float, default=1e-8)
    parser.add_argument("--steps", type=int, default=600, help="of the shipped LSTM")
    parser.add_argument("--shipped", action="store_true", help="only the shipped LSTM")
    parser.add_argument("--cost", action="store_true", help="only the cost of the estimate")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    if arguments.cost:
        cost(40)
        return
    total = np.zeros(4, int)
    for kind, n in [] if arguments.shipped else KINDS:
        for gain in (10.0, 20.0, 40.0, 60.0):
            for seed in (2, 5, 7):
                print(f"{kind} n={n} gain={gain:g} seed={seed}: ", end="")
                total += saturated(kind, n, gain, seed, arguments.tolerance)
    if not arguments.shipped:
        print("all of these: {1} of {0} wrong, {2} marked, {3} missed".format(*total))
    shipped(arguments.steps, arguments.tolerance)


def saturated(kind: str, n: int, gain: float, seed: int, tolerance: float) -> np.ndarray:
    import mpmath

    network = lyapy.random_network(kind, n, 2, bias=2.0, gain=gain, seed=seed)
    inputs = np.random.default_rng(3).normal(size=(40, 2))
    with mpmath.workdps(300):
        (jacobians,) = precise_jacobians(network, inputs, "numba")
        exact = precise_growth(jacobians)
    return compare(network, inputs, exact, tolerance)


def shipped(steps: int, tolerance: float) -> None:
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
    exact = double_double_growth((lstm_jacobian(network.cells[0], *one) for one in pairs), D)
    print(f"shipped LSTM, {steps} steps: ", end="")
    compare(network, inputs, exact, tolerance)


def cost(steps: int) -> None:
    """Print the time of a graded step of the shipped LSTM over that of its stages and QRs alone."""
    network = lyapy.load(str(files(lyapy) / "data" / "character_lstm.safetensors"))
    (part,) = diagonal_blocks(network, whole=False, tolerance=1e-8)
    inputs = np.random.default_rng(1).normal(size=(steps, network.input_size))
    D = network.state_size
    coefficients = forward_chunk(network, inputs, np.zeros(D)).coefficients
    frame, tilt = np.eye(D), np.zeros((D, SAMPLES, D))
    # once before, as it may have to be compiled
    graded_step(part.program, coefficients[0], frame, 18.3, tilt, 0)
    times = np.zeros(2)
    for t, values in enumerate(coefficients):
        began = time.thread_time()
        image = frame
        for stage in part.program.stages:
            image = np.linalg.qr(tangent_step(stage, values, image).T)[0].T
        between = time.thread_time()
        frame, _, _, _, tilt = graded_step(part.program, values, frame, 18.3, tilt, t)
        times += between - began, time.thread_time() - between
    print(f"{steps} graded steps take {times[1] / times[0]:.2g} times their products and QRs")


def wide(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.longdouble)


def sigma(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def lstm_jacobian(cell: lyapy.LSTM, state: np.ndarray, x: np.ndarray) -> Pair:
    # in longdouble itself a row e A + w U_o would not keep the digits of w, on which the smallest
    # exponents depend
    n = len(cell.b) // 4
    h, c = wide(state[:n]), wide(state[n:])
    U = wide(cell.weights.U)
    U_i, U_f, U_g, U_o = ((part, np.zeros_like(part)) for part in np.split(cell.weights.U, 4))
    i, f, g, o = np.split(wide(cell.W) @ wide(x) + wide(cell.b) + U @ h, 4)
    new = sigma(f) * c + sigma(i) * np.tanh(g)
    A = weighted(*pair(c * sigma(f) * sigma(-f)), *U_f)
    A = added(*A, *weighted(*pair(np.tanh(g) * sigma(i) * sigma(-i)), *U_i))
    A = added(*A, *weighted(*pair(sigma(i) / np.cosh(g) ** 2), *U_g))
    F = pair(np.diag(sigma(f)))
    e = pair(sigma(o) / np.cosh(new) ** 2)
    upper = added(*weighted(*e, *A), *weighted(*pair(np.tanh(new) * sigma(o) * sigma(-o)), *U_o))
    rows = zip(upper, weighted(*e, *F), A, F, strict=True)
    high, low = (np.block([[one, two], [three, four]]) for one, two, three, four in rows)
    return high, low


def compare(
    network: lyapy.Network, inputs: np.ndarray, exact: np.ndarray, tolerance: float
) -> np.ndarray:
    """Print and return how many exponents there are, wrong, marked and missed; print how sharp."""
    start = np.zeros(network.state_size)
    options = {"frame": "identity", "tolerance": tolerance, "initial_state": start}
    spectrum = lyapy.lyapunov_spectrum(network, inputs, **options)
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
    return np.array([len(bad), bad.sum(), marked.sum(), np.sum(bad & ~marked)])


if __name__ == "__main__":
    main()
