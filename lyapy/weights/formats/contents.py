"""The contents of a weights file, and their element types."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Order = Literal["<", ">"]
# numpy lacks it
_BFLOAT16 = "bfloat16"
DTYPES = frozenset([
    "float64", "float32", "float16", _BFLOAT16, "bool", "complex64", "complex128",
    "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8",
])  # fmt: skip


class Contents(NamedTuple):
    """The arrays of a weights file by name, see `read_contents`, and texts that describe them.

    Such as a Keras model's ``model_config``, or a torch module's ``nonlinearity``.
    """

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, str]


def itemsize(dtype: str) -> int:
    """Return the bytes of one element of a type in `DTYPES`."""
    return 2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize


def decode(raw: bytes | memoryview, dtype: str, order: Order = "<") -> NDArray[Any]:
    """Copy whole elements of one byte order to a flat native array, bfloat16 as float32."""
    if dtype == _BFLOAT16:
        bits = np.frombuffer(raw, order + "u2").astype(np.uint32)
        return (bits << 16).view(np.float32)
    return np.frombuffer(raw, np.dtype(dtype).newbyteorder(order)).astype(dtype)
