"""The engines: the readable one on arrays, the compiled one, and the one on a GPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .gpu.device import find_devices

if TYPE_CHECKING:
    from ..runs.block import Engine

__all__ = ["choose_engine"]

BACKENDS = ("auto", "numba", "numpy", "cupy")


def choose_engine(backend: str, blas_threads: int = 1) -> Engine:
    """Return the engine of ``backend``; "auto" is the compiled one.

    Raises
    ------
    ValueError
        If there is no such backend.
    ModuleNotFoundError
        If the backend is not installed.
    DeviceError
        If there is no GPU for it.
    """
    from ..runs.block import Engine

    if backend in ("auto", "numba"):
        from . import compiled

        tangent = partial(compiled.CompiledTangent, blas=blas_threads > 1)
        return Engine("numba", compiled.layer_forward, tangent)
    if backend == "numpy":
        from ..networks.forward import layer_forward
        from .reference import ArrayTangent

        return Engine("numpy", layer_forward, ArrayTangent)
    if backend == "cupy":
        from ..networks.forward import layer_forward
        from .reference import ArrayTangent

        # what the device cannot do, the readable engine does
        return Engine("cupy", layer_forward, ArrayTangent, devices=find_devices())
    raise ValueError(f"backend is {backend!r}; it must be one of {', '.join(BACKENDS)}")
