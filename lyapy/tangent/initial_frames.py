"""The frames with which the trajectories begin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import Array
from ..networks.blocks import DiagonalBlock

__all__ = ["initial_frames", "turned"]


def initial_frames(
    parts: Sequence[DiagonalBlock], k: int, kind: str, seed: list[int], orthonormal: bool = True
) -> list[Array]:
    """Return initial frames: as many rows for each part as can be among the k leading.

    Random ones are drawn from a normal distribution, and are orthonormal unless a GPU is to
    make them so.

    Of units that do not read one another, each keeps its own direction, and the identity stays
    exact at every time; a random frame would turn to these directions, and then turn away as
    rounding has it. Which of them lead is not known beforehand.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for part in parts:
        D, rows = part.program.state_size, part.vectors(k)
        if part.decoupled or kind == "identity":
            frames.append(np.eye(D)[:rows])
        else:
            vectors = rng.normal(size=(D, rows))
            vectors = np.linalg.qr(vectors)[0] if orthonormal else vectors
            frames.append(np.ascontiguousarray(vectors.T))
    return frames


def turned(frame: Array) -> Array:
    """Return a frame of coordinate directions turned within its span; another one as it is.

    The engines take the last rows for those that die. Of coordinates any can be the dead ones.
    """
    if np.count_nonzero(frame) > len(frame):
        return frame
    vectors = np.random.default_rng(0).normal(size=(len(frame), len(frame)))
    return np.ascontiguousarray(np.linalg.qr(vectors)[0] @ frame)
