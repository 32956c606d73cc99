"""Digests of a fixed set of small results, to show that a change keeps them bit for bit.

    python -m tools.digests --write FILE      before the change
    python -m tools.digests --compare FILE    after it: prints lines that differ, and exits with 1

``--arrays`` has a line for each array instead of each case, to find the quantity that moved. The
last bits depend on the processor and on the versions of NumPy, Numba and BLAS: compare on one
machine, and do not commit digests.
"""

import argparse
import re
import sys
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout, suppress
from functools import partial
from hashlib import sha256
from io import StringIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import h5py
import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

import lyapy
from lyapy import cells, cli
from tests.support import stand_in

# not public, so to be changed when it moves
FIND_DEVICES = "lyapy.tangent.engine.find_devices"

QUANTITIES = (
    *("exponents", "per_trajectory", "standard_error", "degrees_of_freedom", "rounding_error"),
    *("resolved", "bounded", "largest", "mean", "kaplan_yorke_dimension", "entropy_rate"),
    *("sum_rule_residual", "participation_ratio", "growth", "growth_steps", "final_state"),
    *("final_frame", "intervals", "trailing_intervals", "rejections", "largest_spread", "split"),
    *("numerical_error", "determinants", "norm_excess", "frame_error"),
)
CPU = ("numpy", "numba")
# how the stand-in is for what runs on it
GPUS = {"gpu": {}, "two": {"devices": 2}, "stops": {"stop": 40}}
ALL = (*CPU, "gpu")


@contextmanager
def stand_in_gpu(devices=1, stop=0):
    """Let backend="cupy" run on the tests' stand-in, which interrupts at a copy to the host."""
    # the order of a kernel's threads is drawn from the launches so far
    stand_in.COUNTS = stand_in.Counts()
    copies = count(1)

    def to_host(array):
        if next(copies) == stop:
            raise KeyboardInterrupt
        return array.get()

    found = [stand_in.stand_in(number=i) for i in range(devices)]
    found = [device._replace(to_host=to_host) for device in found]
    with patch(FIND_DEVICES, return_value=tuple(found)):
        yield


def datasets(group):
    return {n: datasets(x) if isinstance(x, h5py.Group) else x[()] for n, x in group.items()}


def run(network, inputs, on, *, file=False, **options):
    """Return a spectrum; with a file go on after up to two interruptions, and read it back."""
    options = {"threads": 1, "backend": "cupy" if on in GPUS else on, **options}
    compute = partial(lyapy.lyapunov_spectrum, network, inputs, **options)
    if isinstance(network, np.ndarray):
        compute = partial(lyapy.spectrum_of_jacobians, network, **options)
    with stand_in_gpu(**GPUS.get(on, {})), TemporaryDirectory() as folder:
        if not file:
            return compute()
        for _ in range(3):
            with suppress(lyapy.errors.Interrupted):
                found = compute(checkpoint=Path(folder, "run.h5"))
        with h5py.File(Path(folder, "run.h5")) as opened:
            return {"read": found, "file": datasets(opened)}


def runs(network, inputs, *ways, on=CPU, **options):
    return {b: [run(network, inputs, b, **way, **options) for way in ways or ({},)] for b in on}


def each(name, *values):
    return [{name: value} for value in values]


def normal(*shape):
    return np.random.default_rng(shape).normal(size=shape)


def drawn(kind, n, m=2, **options):
    return lyapy.random_network(kind, n, m, **{"gain": 1.3, "bias": 0.3, "seed": 1, **options})


def stack(*kinds, gain=1.3):
    layers = []
    for n, kind in enumerate(kinds, 4):
        layers += drawn(kind, n, layers[-1].output_size if layers else 2, gain=gain).cells
    return lyapy.Network(layers)


def sparse(n):
    U = csr_array(np.where(np.abs(normal(n, n)) > 1.2, normal(n, n), 0.0))
    return lyapy.Network([cells.Reservoir(normal(n, 2), U, leak=0.6)])


def fused(network, *stops):
    """Return a network with a map on top that interrupts the run at its n-th steps."""
    calls = count(1)

    def step(h, x):
        if next(calls) in stops:
            raise KeyboardInterrupt
        return 0.7 * np.sin(h + x[:2])

    width = network.cells[-1].output_size
    above = lyapy.Map(step, lambda h, x: np.diag(0.7 * np.cos(h + x[:2])), 2, width)
    return lyapy.Network([*network.cells, above])


def cell(made, **options):
    """Return spectra of a network, or of one drawn, its forward pass and its Jacobians."""
    network = drawn(made, 7, 3, layers=2, **options) if isinstance(made, str) else made
    drive = normal(2, 120, network.input_size)
    ways = {}, {"k": 3}, {"frame": normal(4, network.state_size)}
    states = {"k": 1, "file": True, "record": "states", "record_every": 1}
    forward = runs(network, drive[:, :30], states, on=ALL)
    states = forward["numpy"][0]["file"]["records"]["states"][0]
    spectra = runs(network, drive, *ways, on=ALL, transient=20)
    jacobians = [lyapy.jacobian(network, states[t], drive[0, t + 1]) for t in range(0, 29, 7)]
    return spectra, forward, jacobians, lyapy.largest_exponent(network, drive, transient=20)


def loop(*kinds):
    network = stack(*kinds)
    closed = lyapy.ClosedLoop(network, normal(2, network.cells[-1].output_size) / 2, [0.1, 0.2])
    start = closed.warm_up(normal(2, 40, 2))
    found = runs(closed, None, *RANKS, on=ALL, initial_state=start, steps=100)
    return start, found, lyapy.jacobian(closed, start[0])


def dead(made):
    """Return spectra with directions that vanish, or of units that do not read one another."""
    return runs(lyapy.Network([made]), SHORT, {}, {"k": 3, "frame": "identity"}, on=ALL)


def sweep():
    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        path, merged = Path(folder, "sweep.h5"), Path(folder, "merged.h5")
        networks = {"g1": drawn("vanilla", 8), "g2": f"{folder}/g2.npz"}
        layer = {"weight_ih_l0": normal(15, 2), "weight_hh_l0": normal(15, 5)}
        np.savez(networks["g2"], **layer, bias_ih_l0=normal(15), bias_hh_l0=normal(15))
        options = {"executor": executor, "checkpoint": path, "pattern": "g{gain}"}
        made = lyapy.sweep(networks, DRIVE, transient=9, **options)
        with redirect_stdout(StringIO()):
            cli.main(["merge", f"{path}.runs", "-o", str(merged)])
        with h5py.File(merged) as file:
            return made, lyapy.Sweep.load(path), lyapy.Sweep.load(merged), datasets(file)


DRIVE = normal(3, 300, 2)
SHORT = DRIVE[:1, :140]
U, W, LOW = normal(8, 8) / 2, normal(8, 2), np.array([*[-50.0] * 3, *[0.0] * 5])
GRU, TANH = drawn("gru", 8, layers=2, gain=2.0), drawn("vanilla", 24)
FREE = drawn("vanilla", 16, 0, gain=3.0, bias=0.0, seed=2)
LAWS = ("uniform", "orthogonal", "levy")
STACK = ("lstm", "gru-reset-before", "vanilla", "state-space")
STACKED, STEEP = stack(*STACK), stack(*STACK[:3], gain=20.0)
RANKS = each("k", 2, None)
UNTIL = {"until": 1e-3, "max_steps": 5000}
KEPT = {"file": True, "record": ("growth", "states", "frames"), "record_every": 64, "transient": 70}

CASES = {
    **{kind: partial(cell, kind) for kind in cells.CELLS},
    "relu": partial(cell, "vanilla", nonlinearity="relu"),
    "identity": partial(cell, "vanilla", nonlinearity="identity", gain=0.9),
    "lstm-variant 2": partial(cell, "lstm-variant", gate="hard-sigmoid", coupled=True, clip=1.5),
    "gru-variant 2": partial(cell, "gru-variant", gate="hard-sigmoid-keras2", clip=1.0),
    "reservoir sparse": lambda: cell(sparse(12)),
    "stack": partial(cell, STACKED),
    "loop": partial(loop, "gru"),
    "loop of three": partial(loop, *STACK[:3]),
    "loop held": partial(loop, *STACK[2:]),
    "dead relu": lambda: dead(lyapy.Vanilla(W, U, LOW, nonlinearity="relu")),
    "dead column": lambda: dead(lyapy.Vanilla(W, U * (np.arange(8) > 0))),
    "dead lstm": lambda: dead(lyapy.LSTM(np.tile(W, (4, 1)), np.zeros((32, 8)))),
    "dead alone": lambda: dead(cells.Independent(W, np.arange(8) / 8, LOW, nonlinearity="relu")),
    "dead mode": lambda: dead(cells.DiagonalStateSpace([0, 0.9j, 0.5], W[:3], W.T[:, :3])),
    "blocks": lambda: dead(lyapy.Vanilla(W, np.kron(np.eye(2), np.ones((4, 4))) * U)),
    "graded": lambda: [runs(drawn(k, n, gain=25.0), SHORT) for k in STACK[:3] for n in (4, 45)],
    "map": lambda: runs(fused(GRU), DRIVE[:2], transient=20),
    "jacobians": lambda: runs(normal(2, 150, 9, 9) / 3, None, *RANKS, on=ALL),
    "drawn": lambda: [runs(drawn("gru", 6, 0, distribution=law), None, steps=70) for law in LAWS],
    "leading": lambda: runs(GRU, DRIVE, *each("k", 1, 5, 9)),
    "interval": lambda: runs(GRU, DRIVE[:1], *each("interval", 1, 5, 64), k=6),
    "tolerance": lambda: runs(TANH, DRIVE[:1], *each("tolerance", 1e-12, 1e-5)),
    "frame": lambda: runs(GRU, DRIVE, *each("frame", "identity", normal(16, 16))),
    "two ended": lambda: runs(TANH, DRIVE[:2], *each("two_ended", True, False)),
    "threads": lambda: runs(GRU, DRIVE[0], *each("threads", 1, 2), trajectories=4, k=3, seed=3),
    "start": lambda: runs(FREE, None, initial_state=normal(2, 16), steps=300, dt=0.1),
    "sizes": lambda: [runs(drawn("vanilla", n), SHORT) for n in (*range(1, 18), 33, 70)],
    "sizes leading": lambda: runs(drawn("gru", 20), SHORT, *each("k", *range(1, 20))),
    "large sparse": lambda: runs(sparse(150), DRIVE[:1, :70], *each("k", 5, 70)),
    "large": lambda: runs(drawn("gru", 140), DRIVE[:1, :40], *each("k", 129, 20)),
    "large blas": lambda: runs(drawn("vanilla", 300), DRIVE[:1, :20], *each("blas_threads", 1, 2)),
    "large gpu": lambda: [
        runs(drawn(k, 70), DRIVE[:, :20], *RANKS, on=("gpu",)) for k in STACK[:3]
    ],
    "long": lambda: run(drawn("vanilla", 2, 0, gain=3.0), None, "numba", steps=70_000),
    "until": lambda: runs(FREE, None, trajectories=2, on=ALL, **UNTIL),
    "records": lambda: runs(GRU, DRIVE[:2], **KEPT | {"record_every": 10}),
    "factors": lambda: run(GRU, DRIVE, "numpy", **KEPT | {"record": "factors"}),
    "interrupted": lambda: [
        run(fused(n, 200, 400), DRIVE[:2], b, **KEPT) for n in (GRU, TANH, STEEP) for b in CPU
    ],
    "interrupted until": lambda: run(fused(FREE, 4500), None, "numba", file=True, **UNTIL),
    "devices": lambda: runs(GRU, DRIVE, on=("two", "stops"), **KEPT),
    "float32": lambda: runs(GRU, DRIVE, on=("gpu",), precision="float32"),
    "gpu": lambda: [runs(n, SHORT, *RANKS, on=("gpu",)) for n in (GRU, STACKED, sparse(12))],
    "sweep": sweep,
    "networks": lambda: {k: [*bytes.fromhex(drawn(k, 5).digest())] for k in cells.CELLS},
}


def arrays(found, name):
    if isinstance(found, lyapy.Spectrum):
        windows = found.finite_time_exponents(int(found.growth_steps[0]))
        more = found.measures(), windows, found.convergence(), found.confidence_interval()
        found = {name: getattr(found, name) for name in QUANTITIES} | {"more": more}
    elif isinstance(found, lyapy.Sweep):
        found = found.columns(spectra=True) | found.features()
    if isinstance(found, dict | list | tuple):
        for key, inside in found.items() if isinstance(found, dict) else enumerate(found):
            yield from arrays(inside, f"{name}/{key}")
    # texts name versions, times and folders
    elif (array := np.asarray(found)).dtype.kind in "fiub":
        yield name, f"{array.dtype.str} {array.shape} ".encode() + array.tobytes()


def lines(name, one_each):
    try:
        found = [(n, sha256(b).hexdigest()[:16]) for n, b in arrays(CASES[name](), name)]
    except Exception as error:
        traceback.print_exc()
        return [f"{name}: {type(error).__name__}"]
    if not one_each:
        found = [(name, sha256(repr(found).encode()).hexdigest()[:16])]
    return [f"{n}: {digest}" for n, digest in found]


def main():
    parser = argparse.ArgumentParser(prog="python -m tools.digests")
    parser.add_argument("--write", metavar="FILE", type=Path)
    parser.add_argument("--compare", metavar="FILE", type=Path)
    parser.add_argument("--only", metavar="PATTERN", default="", help="regular expression of names")
    parser.add_argument("--arrays", action="store_true", help="a line for each array")
    asked = parser.parse_args()
    found = []
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        for name in filter(partial(re.search, asked.only), CASES):
            found += (new := lines(name, asked.arrays))
            if not asked.compare:
                print(*new, sep="\n", flush=True)
    if asked.write:
        asked.write.write_text("\n".join([*found, ""]))
    if asked.compare:
        kept = asked.compare.read_text().splitlines()
        kept = {line for line in kept if re.search(asked.only, re.split("[/:]", line)[0])}
        differ = sorted(kept ^ {*found})
        for line in differ:
            print("was" if line in kept else "is ", line)
        sys.exit(bool(differ))


if __name__ == "__main__":
    main()
