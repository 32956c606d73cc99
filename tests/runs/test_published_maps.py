"""Maps and a flow whose exponents are published."""

import numpy as np
import pytest

from lyapy import spectrum_of_jacobians


def test_standard_map_has_pairs():
    steps, K, p, q = 3000, 6.0, 0.3, 0.4
    J = np.empty((steps, 2, 2))
    for t in range(steps):
        kick = K * np.cos(q)
        J[t] = [[1.0, kick], [1.0, 1.0 + kick]]
        p = p + K * np.sin(q)
        q = (q + p) % (2 * np.pi)
    first, second = spectrum_of_jacobians(J, tolerance=1e-14).exponents
    assert first == pytest.approx(np.log(K / 2), abs=0.15)
    assert abs(first + second) < 1e-13


def lorenz_jacobians(trajectories, transient, steps, dt):

    def slope(h):
        x, y, z = h
        return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    def linear(h):
        x, y, z = h
        rows = [[-10, 10, 0], [28 - z, -1, -x], [y, x, -8 / 3]]
        return np.stack([np.stack(np.broadcast_arrays(*r, x)[:3], axis=-1) for r in rows], axis=-2)

    h = np.random.default_rng(11).normal(size=(3, trajectories))
    J = np.empty((trajectories, steps, 3, 3))
    for t in range(-transient, steps):
        k, K, total, tangent = 0.0, 0.0, 0.0, 0.0
        for before, weight in ((0.0, 1), (0.5, 2), (0.5, 2), (1.0, 1)):
            at = h + dt * before * k
            K = linear(at) @ (np.eye(3) + dt * before * K)
            k = slope(at)
            total, tangent = total + weight / 6 * k, tangent + weight / 6 * K
        h = h + dt * total
        if t >= 0:
            J[:, t] = np.eye(3) + dt * tangent
    return J


def test_lorenz_equations():
    dt = 0.005
    spectrum = spectrum_of_jacobians(lorenz_jacobians(60, 3000, 4000, dt), transient=1000)
    exponents, error = spectrum.exponents / dt, spectrum.standard_error / dt
    assert np.all(np.abs(exponents - [0.9056, 0.0, -14.5723]) < 3 * error + 1e-3)
    assert np.all(error < 0.03)
    assert exponents.sum() == pytest.approx(-41 / 3, abs=1e-5)
    assert spectrum.kaplan_yorke_dimension == pytest.approx(2.0621, abs=0.004)
