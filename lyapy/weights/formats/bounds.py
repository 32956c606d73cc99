"""How much memory a small file may ask for."""

from __future__ import annotations

__all__ = ["unpacked_limit"]

_FLOOR = 128 << 20
_RATIO = 32
_TOTAL = 16 << 30


def unpacked_limit(size: int) -> int:
    """Return how many bytes of arrays a file may unpack to.

    Trained weights hardly compress; zeros do, so a small file is allowed 128 MiB.

    Parameters
    ----------
    size
        The file's bytes.
    """
    return min(max(_FLOOR, _RATIO * size), _TOTAL)
