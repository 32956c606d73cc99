"""Compare fixed intervals with a QR at every step: ``python -m tools.validation.fixed_intervals``.

Tiles end where both runs reorthonormalize, and both begin with the same frames and states.
"""

import warnings
from collections.abc import Iterator

import numpy as np

import lyapy
from lyapy import Spectrum
from tools.tables import head, row

NETWORKS = [("vanilla", 16, 1.5), ("vanilla", 64, 1.5), ("lstm", 16, 1.0), ("gru", 16, 1.0)]
INTERVALS = (3, 5, 10, 20, 50, 100, 200, 500, 1000)
# in nats per step, below a true exponent, for a bound that holds
ADMITTED = 1e-6


def runs(interval: int) -> Iterator[tuple[str, Spectrum]]:
    inputs = np.random.default_rng(2).normal(size=(4300, 2))
    for kind, n, gain in NETWORKS:
        network = lyapy.random_network(kind, n, 2, gain=gain, seed=1)
        options = {"transient": 300, "interval": interval, "two_ended": False}
        yield f"{kind} n={n}", lyapy.lyapunov_spectrum(network, inputs, **options)


def main() -> None:
    warnings.simplefilter("ignore", RuntimeWarning)
    exact = {name: spectrum.exponents for name, spectrum in runs(1)}
    print(head("network", "interval", "status", "largest error", "estimated", "bounds", "failed"))
    for interval in INTERVALS:
        for name, spectrum in runs(interval):
            bounded, error = spectrum.bounded, np.abs(spectrum.exponents - exact[name])
            at = int(np.argmax(np.where(bounded, 0.0, error)))
            errors = [f"{x:.1e}" for x in (error[at], spectrum.numerical_error.max(axis=0)[at])]
            failed = (spectrum.exponents < exact[name] - ADMITTED)[bounded].sum()
            code = spectrum.status.code
            print(row(name, interval, code, *errors, bounded.sum(), failed), flush=True)


if __name__ == "__main__":
    main()
