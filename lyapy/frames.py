"""The frames with which the trajectories begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .network import Part
from .types import Array

__all__ = ["initial_frames"]


def initial_frames(parts: Sequence[Part], k: int, kind: str, seed: list[int]) -> list[Array]:
    """Return initial frames: as many rows for each part as can be among the k leading."""
    rng = np.random.default_rng(seed)
    frames = []
    for part in parts:
        D = part.program.state_size
        if kind == "identity":
            frames.append(np.eye(D)[:k])
        else:
            vectors = rng.normal(size=(D, min(k, D)))
            frames.append(np.ascontiguousarray(np.linalg.qr(vectors)[0].T))
    return frames
