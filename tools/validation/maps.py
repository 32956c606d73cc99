"""Maps of two and three dimensions."""

import math
from collections.abc import Callable

import numpy as np

from .check import Check, exact, map_spectrum, within


def logistic() -> list[Check]:
    functions = lambda h, x: 4 * h * (1 - h), lambda h, x: [[4 - 8 * h[0]]]
    found = map_spectrum(*functions, [0.3], steps=20_000).largest
    return exact("logistic map, r = 4", math.log(2), found, 1e-3)


def standard_map() -> list[Check]:
    def step(h: np.ndarray, x: np.ndarray) -> list[float]:
        p = h[0] + 6.0 * math.sin(h[1])
        return [p, (h[1] + p) % (2 * math.pi)]

    def jacobian(h: np.ndarray, x: np.ndarray) -> list[list[float]]:
        kick = 6.0 * math.cos(h[1])
        return [[1.0, kick], [1.0, 1.0 + kick]]

    found = map_spectrum(step, jacobian, [0.3, 0.4], steps=3000, tolerance=1e-14).exponents
    return exact("standard map, K = 6, sum of the pair", 0.0, found.sum(), 1e-13)


def plane_map(
    step: Callable, jacobian: Callable, start: list[float], names: list[str],
    known: tuple[float, float], determinant: float,
) -> list[Check]:  # fmt: skip
    """Compare both exponents, and their sum, which is the log of a constant determinant."""
    options = {"steps": 50_000, "transient": 1000, "tolerance": 1e-14}
    spectrum = map_spectrum(step, jacobian, start, **options)
    checks = within(names[0], known, spectrum, 3.0)
    total = spectrum.exponents.sum()
    return checks + exact(f"{names[-1]}, sum", math.log(determinant), total, 1e-13)


def henon() -> list[Check]:
    return plane_map(
        lambda h, x: [1 - 1.4 * h[0] ** 2 + h[1], 0.3 * h[0]],
        lambda h, x: [[-2.8 * h[0], 1.0], [0.3, 0.0]],
        [0.1, 0.1], ["Hénon"], (0.41922, -1.62319), 0.3,
    )  # fmt: skip


def lozi() -> list[Check]:
    return plane_map(
        lambda h, x: [1 - 1.7 * abs(h[0]) + h[1], 0.5 * h[0]],
        lambda h, x: [[-1.7 * math.copysign(1.0, h[0]), 1.0], [0.5, 0.0]],
        [-0.1, 0.1], ["Lozi, a = 1.7, b = 0.5", "Lozi"], (0.47023, -1.16338), 0.5,
    )  # fmt: skip


def ikeda() -> list[Check]:
    """z′ = 1 + 0.9 z exp(i t) with t = 0.4 − 6 / (1 + |z|²), whose determinant is 0.81."""

    def turned(h: np.ndarray) -> tuple[float, float, float, float]:
        size = 1 + h[0] ** 2 + h[1] ** 2
        t = 0.4 - 6 / size
        return math.cos(t), math.sin(t), 12 * h[0] / size**2, 12 * h[1] / size**2

    def step(h: np.ndarray, x: np.ndarray) -> list[float]:
        c, s, _, _ = turned(h)
        return [1 + 0.9 * (h[0] * c - h[1] * s), 0.9 * (h[0] * s + h[1] * c)]

    def jacobian(h: np.ndarray, x: np.ndarray) -> list[list[float]]:
        c, s, tx, ty = turned(h)
        u, v = h[0] * c - h[1] * s, h[0] * s + h[1] * c
        return [[0.9 * (c - v * tx), 0.9 * (-s - v * ty)], [0.9 * (s + u * tx), 0.9 * (c + u * ty)]]

    return plane_map(step, jacobian, [0.1, 0.1], ["Ikeda"], (0.50760, -0.71832), 0.81)
