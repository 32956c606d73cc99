"""Dense tensors in front of a network: the embedding of its tokens, an encoder of its inputs."""

from __future__ import annotations

import re
from os import PathLike
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..errors import WeightsError
from .frameworks import find_layers
from .frameworks.layer import Hints
from .load import recurrent_names
from .source import read_source

__all__ = ["Front", "front_of"]

EMBEDDING = re.compile(r"emb|wte|lookup|token|vocab|encoder", re.IGNORECASE)


class Front(NamedTuple):
    """The matrices of a weights file that belong to no recurrent layer, and its vocabulary."""

    vocabulary: str | None
    matrices: dict[str, Array]

    def embedding(self, m: int) -> tuple[str, Array] | None:
        """Return name and rows (V, m) of the only matrix that is named as an embedding."""
        found: list[tuple[str, Array]] = []
        for name, matrix in self.matrices.items():
            # one that is tied to another is saved twice
            new = not any(np.array_equal(matrix, other) for _, other in found)
            if matrix.shape[1] == m and EMBEDDING.search(name) and new:
                found.append((name, matrix))
        return found[0] if len(found) == 1 else None

    def between(self, width: int, m: int) -> list[str]:
        """Return names and shapes of the matrices that could lead from a width to another."""
        shapes = ((width, m), (m, width))
        return [f"{n} {a.shape}" for n, a in self.matrices.items() if a.shape in shapes]


def front_of(weights: str | PathLike[str], hints: Hints | None = None) -> Front:
    """Return the layers that may stand in front of the network in a weights file."""
    path, contents = read_source(weights)
    try:
        recurrent = recurrent_names(find_layers(path, contents, hints or Hints()))
    except WeightsError:
        recurrent = set()
    matrices = {
        name: array
        for name, array in contents.arrays.items()
        if array.ndim == 2 and array.dtype.kind in "fiu" and name not in recurrent
    }
    return Front(contents.metadata.get("vocabulary"), matrices)
