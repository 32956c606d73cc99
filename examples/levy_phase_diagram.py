"""Heavy-tailed weights: λ₁ and the Kaplan–Yorke dimension over α and gain, for several sizes.

Autonomous tanh networks with α-stable weights of the scale gain/(2n)^(1/α), as of Wardak and Gong
2022 (Phys. Rev. Lett. 129, 048103) and Qu, Wardak and Gong 2022 (arXiv:2203.12967). First networks
are compared with their mean field, which knows no network: the activity q = gain^α ⟨|tanh x|^α⟩.
Then a sweep draws both panels; ended by a signal, the same command continues it::

    python examples/levy_phase_diagram.py levy.h5 levy_phase_diagram.png --workers 2

``--quick`` takes a few small networks, for a minute at most.
"""

import argparse
from itertools import product
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import levy_stable

import lyapy
from lyapy.networks.forward import forward_chunk

STEPS, TRANSIENT = 1000, 300
# of the comparison with the mean field
FIELD_STEPS, FIELD_TRANSIENT = 300, 100
# a limit cycle has λ₁ = 0, and is not chaotic
EDGE = 0.02
# of the expectation, which is then known to 0.3 % or better
SAMPLES = 300_000


class Plan(NamedTuple):
    """Which networks are computed: the grid, and α and gain of the table with ``units``."""

    alphas: tuple[float, ...]
    gains: tuple[float, ...]
    sizes: tuple[int, ...]
    draws: int
    table: tuple[tuple[float, float], ...]
    units: int
    seeds: int


FULL = Plan(
    alphas=(1.0, 1.2, 1.4, 1.6, 1.8, 2.0),
    gains=(0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.25, 2.5, 2.75, 3.0),
    sizes=(50, 100, 200, 400),
    draws=4,
    table=((1.0, 2.0), (1.2, 2.0), (1.5, 2.0), (1.5, 3.0), (1.8, 3.0), (2.0, 3.0)),
    units=1000,
    seeds=6,
)
QUICK = Plan(
    alphas=(1.2, 2.0),
    gains=(0.6, 3.0),
    sizes=(40, 80),
    draws=2,
    table=((1.5, 3.0), (2.0, 3.0)),
    units=300,
    seeds=3,
)


def mean_field(alpha: float, gain: float) -> tuple[float, float]:
    """Return q* = gain^α E|tanh(q*^(1/α) Z)|^α for α-stable Z of the scale 2^(−1/α), and E sech⁴.

    The second is ⟨sech⁴⟩ of the currents q*^(1/α) Z.
    """
    scale = 2.0 ** (-1.0 / alpha)
    Z = levy_stable.rvs(alpha, 0.0, scale=scale, size=SAMPLES, random_state=0)
    q = 1.0
    for _ in range(100):
        q = gain**alpha * np.mean(np.abs(np.tanh(q ** (1.0 / alpha) * Z)) ** alpha)
    slope = 1.0 - np.tanh(q ** (1.0 / alpha) * Z) ** 2
    return float(q), float(np.mean(slope**2))


def drawn(alpha: float, gain: float, n: int, seed: int) -> lyapy.Network:
    """Return a network of n tanh units."""
    return lyapy.random_network(
        "vanilla", n, gain=gain, distribution="levy", alpha=alpha, seed=seed
    )


def measured(alpha: float, gain: float, plan: Plan) -> tuple[str, str]:
    """Return q of states, and log|det U|/n − log gain, each with its standard error."""
    activities, determinants = [], []
    steps = FIELD_TRANSIENT + FIELD_STEPS
    for seed in range(plan.seeds):
        network = drawn(alpha, gain, plan.units, seed)
        start = np.random.default_rng(seed).normal(size=plan.units)
        states = forward_chunk(network, np.zeros((steps, 0)), start).states[FIELD_TRANSIENT:]
        activities.append(gain**alpha * np.mean(np.abs(states) ** alpha))
        (cell,) = network.cells
        log_det = np.linalg.slogdet(cell.weights.U).logabsdet
        determinants.append(log_det / plan.units - np.log(gain))
    return with_error(activities), with_error(determinants)


def with_error(values: list[float]) -> str:
    """Return a mean over networks and its standard error, as text."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def computed(path: str, plan: Plan, workers: int | None) -> lyapy.Sweep:
    """Return the sweep over α, gain, size and seed."""
    cases = list(product(plan.alphas, plan.gains, plan.sizes, range(plan.draws)))
    names = [f"a{a:g}_g{g:g}_n{n}_s{s}" for a, g, n, s in cases]
    networks = {name: drawn(*case) for name, case in zip(names, cases, strict=True)}
    columns = ("alpha", "gain", "n", "draw")
    metadata = {
        name: dict(zip(columns, case, strict=True)) for name, case in zip(names, cases, strict=True)
    }
    options = {"steps": STEPS, "transient": TRANSIENT, "k": "kaplan-yorke", "tolerance": 1e-3}
    return lyapy.sweep(
        networks, None, checkpoint=path, metadata=metadata, workers=workers, **options
    )


def averages(sweep: lyapy.Sweep, name: str, n: int, plan: Plan) -> np.ndarray:
    """Return means over draws (alphas, gains); dimensions that are not determined count as 0."""
    chosen = sweep.where(n=n)
    alpha, gain, values = (chosen.numbers(column) for column in ("alpha", "gain", name))
    values = np.nan_to_num(values)
    return np.array(
        [[values[(alpha == a) & (gain == g)].mean() for g in plan.gains] for a in plan.alphas]
    )


def draw(sweep: lyapy.Sweep, plan: Plan, path: str) -> None:
    """Draw both panels for the largest size, and the edge of chaos of all."""
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    n = plan.sizes[-1]
    largest = averages(sweep, "largest", n, plan)
    reach = np.abs(largest).max()
    shown = left.pcolormesh(
        plan.gains, plan.alphas, largest, cmap="RdBu_r", vmin=-reach, vmax=reach
    )
    figure.colorbar(shown, ax=left, label=f"$\\lambda_1$ (nats per step), N = {n}")
    dashes = (":", "-.", "--", "-")[-len(plan.sizes) :]
    for size, dash in zip(plan.sizes, dashes, strict=True):
        values = averages(sweep, "largest", size, plan)
        edge = left.contour(plan.gains, plan.alphas, values, [EDGE], colors="k")
        edge.set_linestyle(dash)
        left.plot([], [], color="k", ls=dash, label=f"N = {size}")
    title = f"Edge of chaos, $\\lambda_1$ = {EDGE}"
    figure.legend(title=title, ncol=len(plan.sizes), frameon=False, loc="outside lower left")
    share = averages(sweep, "kaplan_yorke_dimension", n, plan) / n
    shown = right.pcolormesh(plan.gains, plan.alphas, share, cmap="viridis")
    figure.colorbar(shown, ax=right, label=f"$D_{{KY}}/N$, N = {n}")
    left.set_ylabel("α")
    for axes in (left, right):
        axes.set_xlabel("gain")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print the table of the mean field and both quantities of all sizes, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results")
    parser.add_argument("figure")
    parser.add_argument("--quick", action="store_true", help="a few small networks only")
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    print("| α | gain g | q* | q measured | log\\|det U\\|/n − log g |")
    print("|---|---|---|---|---|")
    for alpha, gain in plan.table:
        q, log_det = measured(alpha, gain, plan)
        print(f"| {alpha:g} | {gain:g} | {mean_field(alpha, gain)[0]:.3f} | {q} | {log_det} |")
    sweep = computed(arguments.results, plan, arguments.workers)
    print(f"\n| α | N | quantity | {' | '.join(f'g = {g:g}' for g in plan.gains)} |")
    print("|---" * (3 + len(plan.gains)) + "|")
    for i, alpha in enumerate(plan.alphas):
        for name, quantity in (("largest", "λ₁"), ("kaplan_yorke_dimension", "D_KY/N")):
            for n in plan.sizes:
                row = averages(sweep, name, n, plan)[i] / (1 if name == "largest" else n)
                print(f"| {alpha:g} | {n} | {quantity} | {' | '.join(f'{x:.3f}' for x in row)} |")
    # only Gaussian weights have a spectral radius; up to gain 1 the origin is stable
    squares = [mean_field(2.0, g)[1] if g > 1.0 else 1.0 for g in plan.gains]
    limits = np.log(plan.gains) + 0.5 * np.log(squares)
    print(f"| 2 | ∞ | λ₁ | {' | '.join(f'{x:.3f}' for x in limits)} |")
    draw(sweep, plan, arguments.figure)


if __name__ == "__main__":
    main()
