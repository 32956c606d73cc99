"""Spectra with given exponents, for tests of files, text and plots."""

from dataclasses import replace
from functools import cache

import h5py
import numpy as np

import lyapy
from lyapy.storage import sealed


@cache
def computed():
    network = lyapy.random_network("vanilla", 6, gain=1.5, layers=2, seed=1)
    options = {"steps": 320, "transient": 20, "trajectories": 3, "backend": "numpy"}
    return lyapy.lyapunov_spectrum(network, **options)


def edited(path, change):
    """Change a run or merged file by h5py, and seal it again, as who crafts one would."""
    with h5py.File(path, "r+") as file:
        change(file)
    with open(path, "r+b") as raw:
        seal = sealed._sealed(raw, raw.seek(0, 2) - sealed.USER_BLOCK)
        raw.write(b"".join(seal.blocks))
        raw.seek(0)
        raw.write(seal.line())


def made(exponents, *, state_size=None, trajectories=3, rows=20, noise=0.01, unresolved=()):
    """Exponents as given, but for the noise; ``unresolved`` are indices."""
    exponents = np.asarray(exponents, dtype=float)
    B, K = trajectories, len(exponents)
    D = state_size or K
    steps = 64
    rng = np.random.default_rng(0)
    growth = steps * (exponents + noise * rng.normal(size=(B, rows, K)))
    error = np.zeros((B, K))
    error[:, list(unresolved)] = np.inf
    final = {"final_state": rng.normal(size=(B, D)), "final_frame": rng.normal(size=(B, K, D))}
    numbers = {"intervals": steps * rows // 4, "trailing_intervals": 0, "rejections": 2, "split": K}
    numbers |= {"largest_spread": 15.0, "norm_excess": -1.0, "frame_error": 1e-12}
    filled = {name: np.full((B, 1), value) for name, value in numbers.items()}
    filled |= {"determinants": np.full((B, 1, 3), np.nan), "numerical_error": error}
    filled |= {"settings": computed().settings | {"k": K, "seconds": 12.34}, "state_size": D}
    final |= {"growth": growth, "growth_steps": steps * np.arange(1, rows + 1)}
    return replace(computed(), state_sizes=np.ones((B, rows)), **final, **filled)
