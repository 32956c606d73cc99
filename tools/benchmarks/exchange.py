"""How honest the estimate of exchanged growth is: ``python -m tools.benchmarks.exchange``.

Networks of saturated units against thousands of digits, and the shipped LSTM against pairs of
float64. The references are kept in exchange.npz, by digests of the coefficients that they belong
to; those that are missing there are computed, which takes minutes, and stored with ``--write``.
"""

import argparse
import hashlib
import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import safe_open

import lyapy
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from tests.support.double_double import staged_growth
from tests.support.precise import precise_growth, precise_jacobians

KINDS = [("lstm", 6), ("gru", 8), ("gru-reset-before", 6), ("lstm-projected", 5), ("vanilla", 8)]
GAINS = (25.0, 50.0, 100.0, 200.0)
SEEDS = range(8)
# slopes of units that a gain of 200 saturates are 1e-1000
DIGITS = 2500
STEPS = 40
# of the shipped LSTM
ENDS = (160, 320, 640, 1100)
REFERENCES = Path(__file__).with_name("exchange.npz")


class Counts(NamedTuple):
    """Exponents, those wrong by more than ten tolerances, marked, and wrong without a mark.

    Then estimates that matter (wrong by more than a tolerance, or marked, and no bounds), those
    among them and of all whose error is over three estimates, upper bounds, and those that are
    below the exact value.
    """

    exponents: int
    wrong: int
    marked: int
    missed: int
    mattering: int
    short: int
    all_short: int
    bounds: int
    failing: int

    def __str__(self) -> str:
        return (
            f"{self.wrong} of {self.exponents} wrong, {self.marked} marked, {self.missed} missed; "
            f"error above 3 estimates in {self.short} of {self.mattering} that matter "
            f"({self.all_short} of all); {self.failing} of {self.bounds} bounds fail"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tolerance", type=float, default=1e-8)
    parser.add_argument("--kind", help="only this kind of saturated networks")
    parser.add_argument("--shipped", action="store_true", help="only the shipped LSTM")
    parser.add_argument("--write", action="store_true", help="store references that were missing")
    parser.add_argument("--verbose", action="store_true", help="a line for each network")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    references = dict(np.load(REFERENCES)) if REFERENCES.exists() else {}
    stored = len(references)
    total = np.zeros(9, int)
    for kind, n in [] if arguments.shipped else KINDS:
        for gain in GAINS if arguments.kind in (None, kind) else ():
            counts = np.zeros(9, int)
            for seed in SEEDS:
                found = saturated(kind, n, gain, seed, arguments.tolerance, references)
                if arguments.verbose:
                    print(f"  seed {seed}: {found}")
                counts += found
            print(f"{kind} n={n} gain={gain:g}: {Counts(*counts)}", flush=True)
            total += counts
            if len(references) > stored and arguments.write:
                np.savez_compressed(REFERENCES, **references)
    if total[0]:
        print(f"all of these: {Counts(*total)}")
    if not arguments.kind:
        shipped(arguments.tolerance, references)
    if len(references) > stored and arguments.write:
        np.savez_compressed(REFERENCES, **references)


def saturated(
    kind: str, n: int, gain: float, seed: int, tolerance: float, references: dict[str, np.ndarray]
) -> Counts:
    import mpmath

    network = lyapy.random_network(kind, n, 2, bias=2.0, gain=gain, seed=seed)
    inputs = np.random.default_rng(3).normal(size=(STEPS, 2))

    def compute() -> np.ndarray:
        with mpmath.workdps(DIGITS):
            (jacobians,) = precise_jacobians(network, inputs, "numba")
            return precise_growth(jacobians)

    (exact,) = refer(network, inputs, (STEPS,), references, lambda _: [compute()])
    return compare(network, inputs, exact, tolerance)


def shipped(tolerance: float, references: dict[str, np.ndarray]) -> None:
    folder = files(lyapy) / "data"
    with safe_open(str(folder / "character_lstm.safetensors"), "numpy") as file:
        vocabulary = file.metadata()["vocabulary"]
        embedding = file.get_tensor("embedding.weight").astype(float)
    text = (folder / "excerpt.txt").read_text(encoding="utf-8")[: max(ENDS)]
    inputs = embedding[[vocabulary.index(character) for character in text]]
    network = lyapy.load(str(folder / "character_lstm.safetensors"))
    (block,) = diagonal_blocks(network, whole=False)

    def compute(coefficients: np.ndarray) -> list[np.ndarray]:
        return staged_growth(block.program, coefficients, ENDS)

    for steps, exact in zip(ENDS, refer(network, inputs, ENDS, references, compute), strict=True):
        found = compare(network, inputs[:steps], exact, tolerance)
        print(f"shipped LSTM, {steps} steps: {found}", flush=True)


def refer(
    network: lyapy.Network,
    inputs: np.ndarray,
    ends: tuple[int, ...],
    references: dict[str, np.ndarray],
    compute: Callable[[np.ndarray], list[np.ndarray]],
) -> list[np.ndarray]:
    """Return the growth after so many steps, from ``references``, or computed and added there."""
    run, start = choose_engine("numba").run_layer, np.zeros(network.state_size)
    coefficients = forward_chunk(network, inputs, start, run).coefficients
    names = [hashlib.sha256(coefficients[:end].tobytes()).hexdigest()[:24] for end in ends]
    if not references.keys() >= set(names):
        references.update(zip(names, compute(coefficients), strict=True))
    return [references[name] for name in names]


def compare(
    network: lyapy.Network, inputs: np.ndarray, exact: np.ndarray, tolerance: float
) -> Counts:
    start = np.zeros(network.state_size)
    options = {"frame": "identity", "tolerance": tolerance, "initial_state": start}
    spectrum = lyapy.lyapunov_spectrum(network, inputs, **options)
    found, error = spectrum.growth.sum(axis=1)[0] / len(inputs), spectrum.numerical_error[0]
    wrong, bound = np.abs(found - exact / len(inputs)), ~np.isfinite(error)
    bad, marked = wrong > 10 * tolerance, error > 10 * tolerance
    mattering, short = ~bound & (marked | (wrong > tolerance)), wrong > 3 * error
    # bounds are sorted in the result
    failing = np.sort(exact[bound]) / len(inputs) > np.sort(found[bound]) + 10 * tolerance
    sets = (bad, marked, bad & ~marked, mattering, mattering & short, short, bound, failing)
    return Counts(len(exact), *(int(np.count_nonzero(each)) for each in sets))


if __name__ == "__main__":
    main()
