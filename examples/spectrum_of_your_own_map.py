"""The spectrum of any map from its Jacobians: here the Hénon map, whose exponents are published.

Run it: ``python examples/spectrum_of_your_own_map.py``.
"""

import math

import numpy as np

import lyapy

A, B = 1.4, 0.3
STEPS, TRANSIENT = 100_000, 1000


def main() -> None:
    """Iterate the map, collect its Jacobians and compute their spectrum."""
    x, y = 0.1, 0.0
    jacobians = np.empty((TRANSIENT + STEPS, 2, 2))
    for t in range(len(jacobians)):
        # J[i, j] = ∂(next state)_i / ∂(state)_j, taken before the step
        jacobians[t] = [[-2 * A * x, 1.0], [B, 0.0]]
        x, y = 1 - A * x**2 + y, B * x
    spectrum = lyapy.spectrum_of_jacobians(jacobians, transient=TRANSIENT)
    for value, error in zip(spectrum.exponents, spectrum.standard_error, strict=True):
        print(f"{value:.5f} ± {error:.5f} nats per step")
    print(f"Kaplan-Yorke dimension {spectrum.kaplan_yorke_dimension:.4f}")
    print(f"sum − log b = {spectrum.exponents.sum() - math.log(B):.1e}")


if __name__ == "__main__":
    main()
