"""Spectra with given exponents, for tests of files, text and plots."""

from dataclasses import replace
from functools import cache

import numpy as np

import lyapy


@cache
def computed():
    """Two layers of 6 units, full spectrum, three trajectories."""
    network = lyapy.random_network("vanilla", 6, gain=1.5, layers=2, seed=1)
    return lyapy.lyapunov_spectrum(
        network, steps=320, transient=20, trajectories=3, backend="numpy"
    )


def made(exponents, *, state_size=None, trajectories=3, rows=20, noise=0.01, unresolved=()):
    """Exponents as given, but for the noise; ``unresolved`` are indices."""
    exponents = np.asarray(exponents, dtype=float)
    B, K = trajectories, len(exponents)
    D = state_size or K
    steps = 64
    rng = np.random.default_rng(0)
    growth = steps * (exponents + noise * rng.normal(size=(B, rows, K)))
    error = np.zeros((B, K))
    error[:, list(unresolved)] = 1.0
    base = computed()
    return replace(
        base,
        growth=growth,
        growth_steps=steps * np.arange(1, rows + 1),
        state_size=D,
        state_sizes=np.ones((B, rows)),
        final_state=rng.normal(size=(B, D)),
        final_frame=rng.normal(size=(B, K, D)),
        intervals=np.full((B, 1), steps * rows // 4),
        trailing_intervals=np.zeros((B, 1), dtype=np.int64),
        rejections=np.full((B, 1), 2),
        largest_spread=np.full((B, 1), 15.0),
        split=np.full((B, 1), K),
        determinants=np.full((B, 1, 3), np.nan),
        norm_excess=np.full((B, 1), -1.0),
        frame_error=np.full((B, 1), 1e-12),
        numerical_error=error,
        settings=base.settings | {"k": K, "seconds": 12.34},
    )
