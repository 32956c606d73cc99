"""Heavy-tailed weights: λ₁ and the Kaplan–Yorke dimension over α and gain, for several sizes.

Autonomous tanh networks with α-stable weights of the scale gain/(2n)^(1/α), as of Wardak and Gong
2022 (Phys. Rev. Lett. 129, 048103) and Qu, Wardak and Gong 2022 (arXiv:2203.12967). First the mean
field is compared: the activity q = gain^α ⟨|tanh x|^α⟩ of networks with its theory, which knows no
network. Then a sweep draws both panels; ended by a signal, the same command continues it::

    python examples/levy_phase_diagram.py levy.h5 levy_phase_diagram.png --workers 2
"""

import argparse
from itertools import product

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import levy_stable

import lyapy
from lyapy.networks.forward import forward_chunk

ALPHAS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
GAINS = (0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0)
# α and gain of the table
FIELDS = ((1.0, 2.0), (1.2, 2.0), (1.5, 2.0), (1.5, 3.0), (1.8, 3.0), (2.0, 3.0))
STEPS, TRANSIENT = 1000, 300
# a limit cycle has λ₁ = 0, and is not chaotic
EDGE = 0.02
# of the expectation, which is then known to 0.3 % or better
SAMPLES = 300_000


def mean_field(alpha: float, gain: float) -> float:
    """Return q* = gain^α E|tanh(q*^(1/α) Z)|^α for α-stable Z of the scale 2^(−1/α)."""
    scale = 2.0 ** (-1.0 / alpha)
    Z = levy_stable.rvs(alpha, 0.0, scale=scale, size=SAMPLES, random_state=0)
    q = 1.0
    for _ in range(100):
        q = gain**alpha * np.mean(np.abs(np.tanh(q ** (1.0 / alpha) * Z)) ** alpha)
    return float(q)


def measured_field(alpha: float, gain: float, n: int, seeds: int) -> tuple[float, float]:
    """Return the mean of q over networks, time and units, and its standard error."""
    found = []
    for seed in range(seeds):
        network = drawn(alpha, gain, n, seed)
        start = np.random.default_rng(seed).normal(size=n)
        states = forward_chunk(network, np.zeros((400, 0)), start).states[100:]
        found.append(gain**alpha * np.mean(np.abs(states) ** alpha))
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(seeds))


def drawn(alpha: float, gain: float, n: int, seed: int) -> lyapy.Network:
    """Return a network of n tanh units."""
    return lyapy.random_network(
        "vanilla", n, gain=gain, distribution="levy", alpha=alpha, seed=seed
    )


def computed(path: str, sizes: list[int], seeds: int, workers: int) -> lyapy.Sweep:
    """Return the sweep over α, gain, size and seed."""
    cases = list(product(ALPHAS, GAINS, sizes, range(seeds)))
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


def averages(sweep: lyapy.Sweep, name: str, n: int) -> np.ndarray:
    """Return means over draws (alphas, gains); dimensions that are not determined count as 0."""
    chosen = sweep.where(n=n)
    alpha, gain, values = (chosen.numbers(column) for column in ("alpha", "gain", name))
    return np.array(
        [[np.nan_to_num(values[(alpha == a) & (gain == g)]).mean() for g in GAINS] for a in ALPHAS]
    )


def draw(sweep: lyapy.Sweep, sizes: list[int], path: str) -> None:
    """Draw both panels for the largest size, and the edge of chaos of all."""
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    largest = averages(sweep, "largest", sizes[-1])
    reach = np.abs(largest).max()
    shown = left.pcolormesh(GAINS, ALPHAS, largest, cmap="RdBu_r", vmin=-reach, vmax=reach)
    figure.colorbar(shown, ax=left, label="$\\lambda_1$ (nats per step)")
    dashes = (":", "--", "-")
    for n, dash in zip(sizes, dashes[-len(sizes) :], strict=True):
        edge = left.contour(GAINS, ALPHAS, averages(sweep, "largest", n), [EDGE], colors="k")
        edge.set_linestyle(dash)
        left.plot([], [], color="k", ls=dash, label=f"N = {n}")
    title = f"$\\lambda_1$ = {EDGE}, the edge of chaos"
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16)}
    left.legend(title=title, ncol=len(sizes), frameon=False, fontsize="small", **place)
    share = averages(sweep, "kaplan_yorke_dimension", sizes[-1]) / sizes[-1]
    shown = right.pcolormesh(GAINS, ALPHAS, share, cmap="viridis")
    figure.colorbar(shown, ax=right, label=f"$D_{{KY}}/N$, N = {sizes[-1]}")
    left.set_ylabel("α")
    for axes in (left, right):
        axes.set_xlabel("gain")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Print the table of the mean field and the values at two gains, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results")
    parser.add_argument("figure")
    parser.add_argument("--sizes", type=int, nargs="+", default=[25, 50, 100])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    print(" α   gain   q*     q of networks of 1000 units")
    for alpha, gain in FIELDS:
        q, error = measured_field(alpha, gain, 1000, 6)
        print(f"{alpha:.1f}  {gain:.0f}     {mean_field(alpha, gain):.3f}  {q:.3f} ± {error:.3f}")
    sizes = sorted(arguments.sizes)
    sweep = computed(arguments.results, sizes, arguments.draws, arguments.workers)
    for n in sizes:
        print(f"\nλ₁ of {n} units at gains {', '.join(map(str, GAINS))}")
        for alpha, row in zip(ALPHAS, averages(sweep, "largest", n), strict=True):
            print(f"α {alpha:.1f}  " + "  ".join(f"{value:+.3f}" for value in row))
    draw(sweep, sizes, arguments.figure)


if __name__ == "__main__":
    main()
