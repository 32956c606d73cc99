"""Initial frames of the trajectories."""

from collections.abc import Sequence

import numpy as np

from ..arrays import Array
from ..networks.blocks import DiagonalBlock
from .qr import orthonormalize


def initial_frames(
    blocks: Sequence[DiagonalBlock], k: int, kind: str, seed: list[int], orthonormal: bool = True
) -> list[Array]:
    """Return the initial frame of each block, with all rows that can be among the k leading.

    Random ones are normal numbers, and orthonormal unless a GPU is to make them so.

    Units that do not read one another keep their directions, so that the identity stays exact;
    a random frame would turn to these directions, and rounding would turn it away again.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for block in blocks:
        D, rows = block.program.state_size, block.vectors(k)
        if block.decoupled or kind == "identity":
            frames.append(np.eye(D)[:rows])
        else:
            vectors = rng.normal(size=(D, rows))
            vectors = np.linalg.qr(vectors)[0] if orthonormal else vectors
            frames.append(np.ascontiguousarray(vectors.T))
    return frames


def turned(frame: Array) -> Array:
    """Return a frame of coordinate directions turned within its span; any other unchanged.

    The engines expect the last rows to die, but any coordinate can be the dead one.
    """
    if np.count_nonzero(frame) > len(frame):
        return frame
    vectors = np.random.default_rng(0).normal(size=(len(frame), len(frame)))
    return np.ascontiguousarray(np.linalg.qr(vectors)[0] @ frame)


def completed(frame: Array, rows: int) -> Array:
    """Return an orthonormal frame (k, D) that begins with the first rows of this one."""
    fresh = np.random.default_rng(0).normal(size=frame.shape)[rows:]
    return orthonormalize(np.concatenate([frame[:rows], fresh]))[0]
