"""Networks whose weights have zeros in a structure, and a map that many know."""

import numpy as np

import lyapy


def henon():
    """Return Hénon's map, and options to begin near its attractor."""
    step = lambda h, x: [1 - 1.4 * h[0] ** 2 + h[1], 0.3 * h[0]]  # noqa: E731
    cell = lyapy.Map(step, lambda h, x: [[-2.8 * h[0], 1.0], [0.3, 0.0]], 2)
    return lyapy.Network([cell]), {"initial_state": [0.1, 0.1], "transient": 100}


def modular_mask(sizes, seed, density=0.5):
    """Return where units read units: modules that read earlier ones, the units permuted."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(len(sizes)), sizes)
    mask = (number[:, None] > number) & (rng.random((len(number),) * 2) < density)
    mask |= number[:, None] == number
    order = rng.permutation(len(number))
    return mask[np.ix_(order, order)]


def masked(kind, mask, seed, gain=1.5):
    """Return a network of one layer whose recurrent weights are zero outside the mask."""
    n = len(mask)
    (cell,) = lyapy.random_network(kind, n, 2, gain=gain, seed=seed).cells
    W, U, b = cell.W, cell.weights.U, 0.3 * np.random.default_rng(seed).normal(size=len(cell.W))
    return lyapy.Network([type(cell)(W, U * np.tile(mask, (len(U) // n, 1)), b)])
