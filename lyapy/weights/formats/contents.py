"""The contents of a weights file, its refusal, and the memory that it may ask for."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["AGAIN", "CONVERT", "Contents", "RefusedError", "unpacked_limit"]

AGAIN = "save it or download it again"
CONVERT = "convert it to safetensors or npz where it was written"

# trained weights hardly compress; zeros do, so a small file is allowed 128 MiB
_FLOOR, _RATIO, _TOTAL = 128 << 20, 32, 16 << 30


class Contents(NamedTuple):
    """The contents of a weights file.

    Attributes
    ----------
    arrays : dict
        The arrays by name; see `read_arrays`.
    metadata : dict
        Texts that describe them: a Keras model's ``model_config`` and ``keras_version``, a torch
        module's ``nonlinearity`` under the module's name, and the like.
    """

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, str]


class RefusedError(Exception):
    """A finding and its remedy; `read_contents` adds the file's name."""

    def __init__(self, finding: str, remedy: str = AGAIN) -> None:
        self.finding = finding
        self.remedy = remedy
        super().__init__(finding)


def unpacked_limit(size: int) -> int:
    """Return how many bytes of arrays a file of ``size`` bytes may unpack to."""
    return min(max(_FLOOR, _RATIO * size), _TOTAL)
