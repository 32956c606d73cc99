"""Dense tensors in front of a network: the embedding of its tokens, an encoder of its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..arrays import Array


@dataclass(frozen=True)
class Front:
    """The layers of a model that lie before its first recurrent layer, as far as they are known."""

    # the characters in the order of their indices
    vocabulary: str | None = None
    # matrices (V, m) whose rows may be the inputs of tokens
    embeddings: Mapping[str, Array] = field(default_factory=dict)
    # of all matrices that belong to no recurrent layer
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def embedding(self) -> Array | None:
        """The only embedding, if there is one."""
        return next(iter(self.embeddings.values())) if len(self.embeddings) == 1 else None

    def reads(self, array: Array) -> bool:
        """Return whether an array holds token ids (T,) or (B, T)."""
        return bool(self.embeddings) and array.dtype.kind in "iu" and array.ndim in (1, 2)

    @property
    def assumption(self) -> str:
        """The assumption that is made when token ids are read."""
        name, rows = next(iter(self.embeddings.items()))
        return f"token ids are rows of {name} {rows.shape}"

    def embedded(self, name: str, ids: Array) -> Array:
        """Return the rows of the embedding for token ids (T,) or (B, T), in float64.

        Raises ValueError with the ``name`` of the ids if there are several embeddings, or the ids
        are none of this one.
        """
        if len(self.embeddings) > 1:
            found = " or ".join(f"{each} {rows.shape}" for each, rows in self.embeddings.items())
            raise ValueError(
                f"{name} are token ids, and their embedding may be {found}; pick one by "
                "embedding=NAME in lyapy.load (--embedding NAME)"
            )
        label, rows = next(iter(self.embeddings.items()))
        V, m = rows.shape
        if ids.ndim == 2 and ids.shape[1] == m:
            raise ValueError(
                f"{name} has whole numbers of shape {ids.shape}, which are token ids of {label} or "
                f"inputs of width {m}; give ids as (T,), or inputs as floating-point numbers"
            )
        if not ids.size or ids.min() < 0 or ids.max() >= V:
            span = f"from {ids.min()} to {ids.max()}" if ids.size else "none"
            raise ValueError(f"{name} has token ids {span}, but {label} has the rows 0 to {V - 1}")
        return np.asarray(rows, dtype=np.float64)[ids]

    def between(self, width: int, m: int) -> list[str]:
        """Return names and shapes of the matrices that could lead from a width to another."""
        shapes = ((width, m), (m, width))
        return [f"{name} {shape}" for name, shape in self.shapes.items() if shape in shapes]
