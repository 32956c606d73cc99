"""A driven network as a switching linear system, linearized at the fixed points of its inputs.

Related work describes a driven network by the Jacobians at fixed or slow points, at each step at
that of the current input which is nearest to the state. Here the spectrum of the product of these
Jacobians stands next to the spectrum of the network: 24 random tanh units that read one of three
symbols at each step. The state lies far from the points, where units are less saturated, and the
linear system is chaotic where the network is not.

Run it: ``python examples/switching_linear_system.py``; it takes some seconds.
"""

import numpy as np

import lyapy
from lyapy.networks.forward import forward_chunk

UNITS, SYMBOLS, STEPS, TRANSIENT, STARTS, LEADING = 24, 3, 3000, 200, 40, 6


def main() -> None:
    """Compute both spectra, and print them."""
    network = lyapy.random_network("vanilla", UNITS, SYMBOLS, gain=2.0, bias=0.3, seed=2)
    codes = 1.5 * np.eye(SYMBOLS)
    symbols = np.random.default_rng(0).integers(0, SYMBOLS, TRANSIENT + STEPS)
    states = forward_chunk(network, codes[symbols], np.zeros(UNITS)).states
    before = np.concatenate([np.zeros((1, UNITS)), states[:-1]])
    jacobians = np.empty((len(symbols), UNITS, UNITS))
    gaps = np.empty(len(symbols))
    for symbol, x in enumerate(codes):
        times = np.flatnonzero(symbols == symbol)
        points = lyapy.fixed_points(network, x, starts=before[times[:STARTS]])
        print(f"symbol {symbol}: {points}\n")
        distances = np.linalg.norm(before[times, None] - points.states, axis=2)
        nearest = distances.argmin(axis=1)
        jacobians[times] = np.array([lyapy.jacobian(network, h, x) for h in points.states])[nearest]
        gaps[times] = distances.min(axis=1)
    options = {"transient": TRANSIENT, "k": LEADING}
    true = lyapy.lyapunov_spectrum(network, codes[symbols], **options)
    switching = lyapy.spectrum_of_jacobians(jacobians, **options)
    sizes = np.linalg.norm(before[TRANSIENT:], axis=1)
    print(f"median size of the state {np.median(sizes):.2f}")
    print(f"median distance to the nearest point {np.median(gaps[TRANSIENT:]):.2f}\n")
    print("  i             network       at the points")
    for i in range(LEADING):
        pairs = (f"{s.exponents[i]:10.3f} ± {s.standard_error[i]:.3f}" for s in (true, switching))
        print(f"{i + 1:3d} {'  '.join(pairs)}")


if __name__ == "__main__":
    main()
