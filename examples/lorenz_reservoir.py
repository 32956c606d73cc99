"""A reservoir learns Lorenz's equations from a time series, and its closed loop their spectrum.

The read-out that predicts the next value is fitted by ridge regression; fed back as the input,
it makes the reservoir an autonomous system. If it has learned the flow and not only to
predict it, its leading exponents are those of the flow (Pathak et al. 2017, Chaos 27, 121102):
0.9056, 0 and −14.5723 per unit of time.

Run it: ``python examples/lorenz_reservoir.py``.
"""

import argparse

import numpy as np

import lyapy
from lyapy.cells import Reservoir

DT = 0.02
UNITS, RADIUS, INPUT_SCALE = 400, 0.3, 0.4
KNOWN = (0.9056, 0.0, -14.5723)


def lorenz(steps: int, substeps: int = 10) -> np.ndarray:
    """Return a time series (steps, 3) on the attractor, every DT."""

    def flow(h: np.ndarray) -> np.ndarray:
        x, y, z = h
        return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    h, dt, series = np.array([1.0, 1.0, 20.0]), DT / substeps, np.empty((steps + 500, 3))
    for t in range(len(series)):
        for _ in range(substeps):
            a = flow(h)
            b = flow(h + dt / 2 * a)
            c = flow(h + dt / 2 * b)
            h = h + dt / 6 * (a + 2 * b + 2 * c + flow(h + dt * c))
        series[t] = h
    return series[500:]


def train(series: np.ndarray, ridge: float = 1e-9, seed: int = 0) -> lyapy.ClosedLoop:
    """Fit the read-out of a random reservoir to the next value, and close the loop."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=(UNITS, UNITS)) * RADIUS / np.sqrt(UNITS)
    W, b = INPUT_SCALE * rng.normal(size=(UNITS, 3)), 0.5 * rng.normal(size=UNITS)
    network = lyapy.Network([Reservoir(W, U, b, leak=1.0)])
    states, state = np.empty((len(series) - 1, UNITS)), np.zeros(UNITS)
    for t, x in enumerate(series[:-1]):
        state = states[t] = np.tanh(W @ x + U @ state + b)
    # the first states still know of their beginning
    features = np.hstack([states[100:], np.ones((len(states) - 100, 1))])
    gram = features.T @ features + ridge * len(features) * np.eye(UNITS + 1)
    fitted = np.linalg.solve(gram, features.T @ series[101:]).T
    return lyapy.ClosedLoop(network, fitted[:, :-1], fitted[:, -1])


def main() -> None:
    """Train, close the loop, and compare the leading exponents with those of the flow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=10_000, help="steps to learn from")
    parser.add_argument("--steps", type=int, default=50_000, help="steps of the closed loop")
    parser.add_argument("--seed", type=int, default=0, help="of the reservoir")
    options = parser.parse_args()
    series = lorenz(options.train)
    series = (series - series.mean(axis=0)) / series.std(axis=0)
    loop = train(series, seed=options.seed)
    spectrum = lyapy.lyapunov_spectrum(
        loop,
        steps=options.steps,
        transient=1000,
        k=5,
        initial_state=loop.warm_up(series[-500:]),
        dt=DT,
    )
    for known, value, error in zip(
        (*KNOWN, np.nan, np.nan), spectrum.exponents, spectrum.standard_error, strict=True
    ):
        flow = "" if np.isnan(known) else f"   flow {known:8.4f}"
        print(f"{value:9.4f} ± {error:.4f} per unit of time{flow}")


if __name__ == "__main__":
    main()
