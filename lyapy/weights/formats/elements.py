"""Bytes of one element type into a flat array."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["BFLOAT16", "Order", "decode", "itemsize"]

BFLOAT16 = "bf16"
Order = Literal["<", ">"]


def itemsize(code: str) -> int:
    """Return the bytes of one element.

    Parameters
    ----------
    code
        A numpy type code such as ``"f4"``, or `BFLOAT16`, which numpy lacks.
    """
    return 2 if code == BFLOAT16 else np.dtype(code).itemsize


def decode(raw: bytes | memoryview, code: str, order: Order = "<") -> NDArray[Any]:
    """Copy bytes into a flat array in native byte order, bfloat16 as float32.

    Parameters
    ----------
    raw
        A whole number of elements.
    code
        A type code as in `itemsize`.
    order
        The byte order in `raw`, ``"<"`` or ``">"``.
    """
    if code == BFLOAT16:
        bits = np.frombuffer(raw, order + "u2").astype(np.uint32)
        return (bits << 16).view(np.float32)
    return np.frombuffer(raw, np.dtype(code).newbyteorder(order)).astype(code)
