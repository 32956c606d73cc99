"""Maps of two and three dimensions."""

from __future__ import annotations

import math

import numpy as np

from .check import Check, exact, map_spectrum, within


def logistic() -> list[Check]:
    found = map_spectrum(
        lambda h, x: 4 * h * (1 - h), lambda h, x: [[4 - 8 * h[0]]], [0.3], steps=20_000
    ).largest
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


def henon() -> list[Check]:
    spectrum = map_spectrum(
        lambda h, x: [1 - 1.4 * h[0] ** 2 + h[1], 0.3 * h[0]],
        lambda h, x: [[-2.8 * h[0], 1.0], [0.3, 0.0]],
        [0.1, 0.1],
        steps=50_000,
        transient=1000,
        tolerance=1e-14,
    )
    checks = within("Hénon", (0.41922, -1.62319), spectrum, 3.0)
    return checks + exact("Hénon, sum", math.log(0.3), spectrum.exponents.sum(), 1e-13)


def lozi() -> list[Check]:
    spectrum = map_spectrum(
        lambda h, x: [1 - 1.7 * abs(h[0]) + h[1], 0.5 * h[0]],
        lambda h, x: [[-1.7 * math.copysign(1.0, h[0]), 1.0], [0.5, 0.0]],
        [-0.1, 0.1],
        steps=50_000,
        transient=1000,
        tolerance=1e-14,
    )
    checks = within("Lozi, a = 1.7, b = 0.5", (0.47023, -1.16338), spectrum, 3.0)
    return checks + exact("Lozi, sum", math.log(0.5), spectrum.exponents.sum(), 1e-13)


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

    options = {"steps": 50_000, "transient": 1000, "tolerance": 1e-14}
    spectrum = map_spectrum(step, jacobian, [0.1, 0.1], **options)
    checks = within("Ikeda", (0.50760, -0.71832), spectrum, 3.0)
    return checks + exact("Ikeda, sum", math.log(0.81), spectrum.exponents.sum(), 1e-13)
