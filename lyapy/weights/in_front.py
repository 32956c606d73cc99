"""The layers in front of a network, among the tensors of a weights file."""

import re

import numpy as np

from ..arrays import Array
from ..errors import WeightsError
from ..networks.in_front import Front
from .formats import Contents

EMBEDDING = re.compile(r"emb|wte|lookup|token|vocab|encoder", re.IGNORECASE)


def front_of(path: str, contents: Contents, recurrent: set[str], m: int, name: str | None) -> Front:
    """Return the layers that may stand in front of a network of m inputs.

    Embeddings are matrices (V, m) that are named as such (`EMBEDDING`), or the one that ``name``
    names; ``recurrent`` are the names of other tensors. Raises WeightsError if ``name`` fits none.
    """
    matrices = {
        label: array
        for label, array in contents.arrays.items()
        if array.ndim == 2 and array.dtype.kind in "fiu" and label not in recurrent
    }
    fitting = {label: array for label, array in matrices.items() if array.shape[1] == m}
    if name is not None and name not in fitting:
        found = f"no matrix of {m} columns has the name {name!r}"
        others = ", ".join(f"{label} {array.shape}" for label, array in fitting.items())
        raise WeightsError(path, found, f"embedding= (--embedding) may be {others or 'left out'}")
    embeddings: dict[str, Array] = {}
    for label, array in fitting.items():
        taken = EMBEDDING.search(label) if name is None else label == name
        # one that is tied to another is saved twice
        if taken and not any(np.array_equal(array, other) for other in embeddings.values()):
            embeddings[label] = array
    shapes = {label: array.shape for label, array in matrices.items()}
    return Front(contents.metadata.get("vocabulary"), embeddings, shapes)
