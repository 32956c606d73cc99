"""The contents of a weights file, and the memory that they may take."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Contents", "unpacked_limit"]

# trained weights hardly compress; zeros do, so a small file is allowed 128 MiB
_FLOOR, _RATIO, _TOTAL = 128 << 20, 32, 16 << 30


class Contents(NamedTuple):
    """The arrays of a weights file by name, see `read_arrays`, and texts that describe them.

    Such as a Keras model's ``model_config``, or a torch module's ``nonlinearity``.
    """

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, str]


def unpacked_limit(size: int) -> int:
    """Return how many bytes of arrays a file of ``size`` bytes may unpack to."""
    return min(max(_FLOOR, _RATIO * size), _TOTAL)
