"""Flows, discretised by the classical Runge–Kutta step, whose Jacobian is exact."""

from collections.abc import Callable

import numba
import numpy as np

import lyapy

from .check import Check, exact, map_spectrum, within


def runge_kutta(flow: Callable, linear: Callable, dt: float) -> tuple[Callable, Callable]:
    """Return compiled step and Jacobian, of a flow h → dh/dt and its derivative (D, D)."""
    flow, linear = numba.njit(flow), numba.njit(linear)

    @numba.njit
    def step(h: np.ndarray, x: np.ndarray) -> np.ndarray:
        a = flow(h)
        b = flow(h + dt / 2 * a)
        c = flow(h + dt / 2 * b)
        return h + dt / 6 * (a + 2 * b + 2 * c + flow(h + dt * c))

    @numba.njit
    def jacobian(h: np.ndarray, x: np.ndarray) -> np.ndarray:
        one, a = np.eye(len(h)), flow(h)
        b = flow(h + dt / 2 * a)
        c = flow(h + dt / 2 * b)
        A = linear(h)
        B = linear(h + dt / 2 * a) @ (one + dt / 2 * A)
        C = linear(h + dt / 2 * b) @ (one + dt / 2 * B)
        D = linear(h + dt * c) @ (one + dt * C)
        return one + dt / 6 * (A + 2 * B + 2 * C + D)

    return step, jacobian


def run(
    flow: Callable, linear: Callable, start: list[float], dt: float, time: float, **options: object
) -> lyapy.Spectrum:
    """Return the spectrum of a flow, after a transient of 50 units of time."""
    step, jacobian = runge_kutta(flow, linear, dt)
    steps, transient = round(time / dt), round(50 / dt)
    return map_spectrum(step, jacobian, start, steps=steps, transient=transient, dt=dt, **options)


def lorenz() -> list[Check]:
    def flow(h: np.ndarray) -> np.ndarray:
        x, y, z = h
        return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    def linear(h: np.ndarray) -> np.ndarray:
        x, y, z = h
        return np.array([[-10.0, 10.0, 0.0], [28 - z, -1.0, -x], [y, x, -8 / 3]])

    spectrum = run(flow, linear, [1.0, 1.0, 20.0], dt=0.001, time=1000.0)
    checks = within("Lorenz-63", (0.9056, 0.0, -14.5723), spectrum, 3.0)
    dimension = spectrum.measures()["kaplan_yorke_dimension"]
    checks += [Check("Lorenz-63, D_KY", 2.0621, dimension.value, dimension.standard_error, 3.0)]
    return checks + exact("Lorenz-63, sum", -41 / 3, spectrum.exponents.sum(), 1e-8)


def roessler() -> list[Check]:
    def flow(h: np.ndarray) -> np.ndarray:
        x, y, z = h
        return np.array([-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)])

    def linear(h: np.ndarray) -> np.ndarray:
        x, _, z = h
        return np.array([[0.0, -1.0, -1.0], [1.0, 0.2, 0.0], [z, 0.0, x - 5.7]])

    spectrum = run(flow, linear, [-9.0, 0.0, 0.0], dt=0.01, time=5000.0)
    return within("Rössler", (0.0714, 0.0, -5.3943), spectrum, 3.0)


def lorenz_96() -> list[Check]:
    """Forty places with F = 8; the divergence of the flow is −40 everywhere."""

    def flow(h: np.ndarray) -> np.ndarray:
        n = len(h)
        new = np.empty(n)
        for i in range(n):
            new[i] = (h[(i + 1) % n] - h[i - 2]) * h[i - 1] - h[i] + 8.0
        return new

    def linear(h: np.ndarray) -> np.ndarray:
        n = len(h)
        J = np.zeros((n, n))
        for i in range(n):
            J[i, (i + 1) % n] += h[i - 1]
            J[i, i - 2] -= h[i - 1]
            J[i, i - 1] += h[(i + 1) % n] - h[i - 2]
            J[i, i] -= 1.0
        return J

    start = [8.0 + 0.01 * (i == 0) for i in range(40)]
    spectrum = run(flow, linear, start, dt=0.01, time=600.0)
    dimension = spectrum.measures()["kaplan_yorke_dimension"]
    positive = int(np.count_nonzero(spectrum.exponents > 3 * spectrum.standard_error))
    # published to three digits
    error = float(np.hypot(dimension.standard_error, 0.05))
    return [
        Check("Lorenz-96, D_KY", 27.1, dimension.value, error, 3.0),
        *exact("Lorenz-96, positive exponents", 13.0, positive, 0.0),
        *exact("Lorenz-96, sum", -40.0, spectrum.exponents.sum(), 1e-3),
    ]
