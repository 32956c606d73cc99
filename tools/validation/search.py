"""Search for exponents that are wrong and unmarked: ``python -m tools.validation.search``.

Small networks of random cells, structures and scales, each with both engines, against Gram and
Schmidt's recipe on their Jacobians in hundreds of digits. A seed is a run; ``--first`` goes on.
"""

from __future__ import annotations

import argparse
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

import lyapy
from lyapy import Network, cells
from lyapy.cells.activations import EXACT
from lyapy.cells.sparse import Sparse, as_scipy
from lyapy.networks.apply import tangent_step
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.networks.program import Program, Term
from lyapy.tangent.engine import choose_engine
from lyapy.tangent.state import hides
from tests.support.precise import precise, precise_growth

TOLERANCE = 1e-8
DIGITS = 300
# where coefficients have underflowed, for which this stands
LOST, MORE_DIGITS = mpmath.mpf("1e-400"), 2000
STRUCTURES = (
    *("dense", "modules", "chain", "sparse", "diagonal", "nearly reducible", "integers"),
    *("dead units", "scaled rows", "scaled columns", "scaled units", "cycle"),
)
SLOPES = (
    *("tanh", "relu", "identity", "sigmoid", "hard-sigmoid", "softplus", "elu", "silu", "sin"),
)
CELLS = (
    *("vanilla", "gru", "gru-reset-before", "lstm", "gru-variant", "lstm-variant"),
    *("gru-reset-before-variant", "minimal-gated", "rate", "reservoir", "independent", "plrnn"),
    *("antisymmetric", "cornn", "lstm-projected", "shallow-plrnn"),
)


def weights(rng: np.random.Generator, n: int, structure: str, gain: float) -> np.ndarray:
    """Return recurrent weights (n, n) of a structure, their units permuted."""
    U = gain * rng.normal(size=(n, n)) / np.sqrt(n)
    if structure == "modules":
        number = np.sort(rng.integers(0, 3, n))
        U *= (number[:, None] == number) | ((number[:, None] > number) & (rng.random((n, n)) < 0.5))
    elif structure in ("chain", "nearly reducible"):
        U = np.tril(U)
        if structure == "nearly reducible":
            U[0, -1] = 10.0 ** -rng.uniform(4.0, 20.0)
    elif structure == "sparse":
        U *= rng.random((n, n)) < 0.35
    elif structure == "diagonal":
        U = np.diag(np.diag(U))
    elif structure == "cycle":
        U = np.roll(np.diag(np.diag(U)), 1, axis=0)
    elif structure == "integers":
        r = int(rng.integers(1, n + 1))
        U = 1.0 * rng.integers(-2, 3, (n, r)) @ rng.integers(-2, 3, (r, n))
    elif structure == "dead units":
        U[rng.integers(n)] = 0.0
        U[:, rng.integers(n)] = 0.0
    scale = 10.0 ** rng.uniform(-rng.choice([3.0, 12.0]), 3.0, n)
    if structure == "scaled rows":
        U *= scale[:, None]
    elif structure == "scaled columns":
        U *= scale
    elif structure == "scaled units":
        U *= scale / scale[:, None]
    order = rng.permutation(n)
    return U[np.ix_(order, order)]


def cell(rng: np.random.Generator, kind: str, n: int, m: int, structure: str) -> cells.Cell:
    """Return a random cell, with the structure in all of its gates."""
    gain = float(rng.choice([0.3, 1.0, 2.0, 5.0, 20.0, 60.0]))
    options: dict[str, Any] = {}
    if kind in ("vanilla", "rate", "reservoir", "independent", "antisymmetric"):
        options["nonlinearity"] = str(rng.choice(SLOPES))
    if "variant" in kind:
        options |= {"nonlinearity": str(rng.choice(SLOPES[:5]))}
        options |= {"gate": str(rng.choice(["sigmoid", "hard-sigmoid"]))}
    if kind == "reservoir":
        U = weights(rng, n, structure, gain)
        U = csr_array(U) if rng.random() < 0.5 else U
        leak = float(rng.choice([0.3, 1.0]))
        return cells.Reservoir(rng.normal(size=(n, m)), U, rng.normal(size=n), leak=leak, **options)
    if kind == "rate":
        options["dt"] = float(rng.choice([0.1, 1.0]))
    seed = int(rng.integers(1 << 30))
    (drawn,) = lyapy.random_network(
        kind, n, m, gain=gain, bias=float(rng.choice([0.0, 0.5, 5.0])), seed=seed, **options
    ).cells
    drawn.W *= rng.choice([1.0, 10.0])
    for name in ("U", "M", "Y", "Z"):
        matrix = getattr(drawn.weights, name, None)
        if matrix is not None and matrix.shape[0] % n == 0 and matrix.shape[1] == n:
            state = rng.bit_generator.state
            for rows in np.split(matrix, len(matrix) // n):
                # all gates have the structure's zeros, sometimes each has others
                rng.bit_generator.state = state
                other = weights(rng, n, structure, gain)
                rows *= other != 0.0
                if structure not in ("dense", "modules", "sparse", "chain"):
                    rows[...] = other
    return drawn


def network(rng: np.random.Generator) -> tuple[str, Network]:
    n, m = int(rng.integers(2, 6)), int(rng.integers(1, 3))
    structure, kind = str(rng.choice(STRUCTURES)), str(rng.choice(CELLS))
    layers = [cell(rng, kind, n, m, structure)]
    name = f"{kind} {structure}"
    if rng.random() < 0.15:
        above = str(rng.choice(CELLS[:6]))
        layers.append(cell(rng, above, n, layers[0].output_size, structure))
        name += f" + {above}"
    found = Network(layers)
    if rng.random() < 0.1:
        readout = rng.normal(size=(m, layers[-1].output_size)) * rng.choice([1.0, 30.0])
        readout *= rng.random(readout.shape) < 0.7
        return f"{name}, closed", lyapy.ClosedLoop(found, readout)
    return name, found


def examine(seed: int, engines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the faults of a run, and their places."""
    rng = np.random.default_rng([7, seed])
    name, net = network(rng)
    steps, D = int(rng.integers(20, 50)), net.state_size
    start = rng.normal(size=D)
    inputs = rng.normal(size=(steps, net.input_size)) if net.input_size else None
    if inputs is not None and rng.random() < 0.15:
        inputs[rng.integers(steps)] *= 1000.0
    k = D if rng.random() < 0.7 else int(rng.integers(1, D + 1))
    fixed = int(rng.choice([2, 5, 50])) if rng.random() < 0.1 else "auto"
    closed = isinstance(net, lyapy.ClosedLoop)
    # each closed loop would be compiled for itself
    for backend in ["numpy"] if closed else engines:
        where = f"seed {seed}, {name}, D={D}, k={k}, interval={fixed}, {backend}"
        options = {"frame": "identity", "tolerance": TOLERANCE, "initial_state": start}
        options |= {"steps": steps} if inputs is None else {}
        try:
            found = lyapy.lyapunov_spectrum(
                net, inputs, backend=backend, k=k, interval=fixed, **options
            )
        except FloatingPointError as error:
            yield "refused", f"{where}: {error}"
            continue
        except Exception:
            yield "crash", f"{where}: {traceback.format_exc(limit=-3)}"
            continue
        for verdict, row in judge(net, inputs, start, steps, k, backend, found):
            yield verdict, f"{where}: {row}"


def judge(
    net: Network,
    inputs: Any,
    start: np.ndarray,
    steps: int,
    k: int,
    backend: str,
    found: lyapy.Spectrum,
) -> Iterator[tuple[str, str]]:
    x = np.zeros((steps, 0)) if inputs is None else inputs
    run = choose_engine(backend).run_layer
    coefficients = forward_chunk(net, x, start, run).coefficients
    blocks = diagonal_blocks(net, whole=False)
    inexact = ~np.isin(np.arange(coefficients.shape[1]), _exact(net))
    lost = (coefficients == 0.0) & inexact
    gates = [getattr(one.weights, "gate", None) in EXACT and not one.exact for one in net.cells]
    if lost.any() and any(gates):
        # products of slopes of which one may be zero and the other may have underflowed
        yield "not judged", ""
        return
    with mpmath.workdps(MORE_DIGITS if lost.any() else DIGITS):
        values = precise(coefficients)
        values[lost] = LOST
        program = _dense(net.program)
        J = [tangent_step(program, v, precise(np.eye(net.state_size))).T for v in values]
        pattern = np.any([j != 0 for j in J], axis=0)
        labels = connected_components(csr_array(pattern), connection="strong")[1]
        row = 0
        for block in blocks:
            each = [[c] for c in block.columns] if block.single else [block.columns]
            if sum(len(np.unique(labels[c])) for c in each) > len(np.unique(labels[block.columns])):
                yield "blocks", f"columns {block.columns} are cut, components {labels}"
            if block.decoupled and not block.single:
                row += block.vectors(k)
                continue
            exact = np.concatenate([precise_growth([j[np.ix_(c, c)] for j in J]) for c in each])
            rows = block.vectors(k)
            yield from _rows(found, slice(row, row + rows), exact, steps)
            row += rows


def _dense(program: Program) -> Program:
    def term(one: Term) -> Term:
        sparse = isinstance(one.matrix, Sparse)
        return one._replace(matrix=as_scipy(one.matrix).toarray() if sparse else one.matrix)

    assignments = (a._replace(terms=tuple(map(term, a.terms))) for a in program.assignments)
    return program._replace(assignments=tuple(assignments))


def _exact(net: Network) -> np.ndarray:
    """Return the coefficients whose zeros are exact."""
    kept = []
    layers = zip(net.cells, net.program.coefficients, strict=True)
    for one, placed in layers:
        for name, c in placed.items():
            entries = np.arange(c.start, c.start + c.size)
            zeros = one.zeros.get(name, np.zeros(c.size, bool))
            known = one.exact or name in one.constants
            kept.append(entries if known else entries[zeros])
    return np.concatenate([np.zeros(0, int), *kept])


def _rows(
    found: lyapy.Spectrum, rows: slice, exact: np.ndarray, steps: int
) -> Iterator[tuple[str, str]]:
    growth = found.growth.sum(axis=1)[0, rows] / steps
    error, wanted = found.numerical_error[0, rows], exact[: len(growth)] / steps
    dead = np.isneginf(growth)
    if np.count_nonzero(dead) > np.count_nonzero(np.isneginf(exact)):
        yield "false −∞", f"{growth}, exact {wanted}"
    if np.isneginf(exact).any():
        # a frame without dead directions is turned: other growth in finite time
        return
    # bounds are sorted in the result
    bound = hides(error, found.settings["interval"], TOLERANCE)
    if np.any(np.sort(wanted[bound]) > np.sort(growth[bound]) + 10 * TOLERANCE):
        yield "bound fails", f"{growth}, error {error}, exact {wanted}"
    for one, noise, value, hidden in zip(growth, error, wanted, bound, strict=True):
        wrong = abs(one - value)
        if np.isnan(one):
            yield "NaN", f"{growth}"
        elif hidden:
            yield "bounded", ""
        elif noise <= 10 * TOLERANCE < wrong:
            yield "missed", f"off by {wrong:.2g}, error {noise:.2g}; {growth}, exact {wanted}"
        elif noise > 10 * TOLERANCE:
            yield "marked", ""
            if wrong > 3 * noise:
                yield "short", f"off by {wrong:.2g}, error {noise:.2g}"
        else:
            yield "right", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--engines", nargs="+", default=["numpy", "numba"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    for seed in range(arguments.first, arguments.first + arguments.runs):
        for verdict, where in examine(seed, arguments.engines):
            counts[verdict] += 1
            if verdict not in ("right", "marked", "bounded", "refused", "not judged"):
                print(f"{verdict}: {where}", flush=True)
    print(f"{arguments.runs} runs: {dict(counts)}")


if __name__ == "__main__":
    main()
