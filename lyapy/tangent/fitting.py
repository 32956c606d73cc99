"""The engine that a run needs: chosen by name, and fitted to its network and records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..networks.forward import layer_forward
from ..networks.network import Network
from ..runs.recording import Recording
from ..runs.start import default_threads
from .engine import choose_engine
from .factors import FactorTangent

if TYPE_CHECKING:
    from ..runs.block import Engine

__all__ = ["fitted_engine", "side_by_side"]


def fitted_engine(
    backend: str, blas_threads: int, network: Network, recording: Recording
) -> Engine:
    """Return the engine of ``backend`` for a network and what is to be recorded.

    Raises
    ------
    ValueError
        If there is no such backend, or it cannot do this.
    ModuleNotFoundError
        If the backend is not installed.
    DeviceError
        If there is no GPU for it.
    """
    engine = choose_engine(backend, blas_threads)
    plain = [cell.name for cell in network.cells if cell.plain]
    factors = "factors" in recording.kinds
    if engine.devices and plain:
        raise ValueError(
            f"the step of {plain[0]} is plain Python, which backend='cupy' cannot run; use "
            "backend='numba'"
        )
    if engine.devices and factors:
        raise ValueError("record is 'factors', which backend='cupy' does not keep; use 'numpy'")
    if factors:
        engine = engine._replace(tangent=FactorTangent, checked=False)
    if plain:
        engine = engine._replace(run_layer=layer_forward)
    return engine


def side_by_side(engine: Engine, trajectories: int) -> int:
    """Return how many trajectories are computed at a time, where that is not given.

    On GPUs these are all, an equal part on each; on the CPU as many as there are cores.
    """
    return -(-trajectories // len(engine.devices)) if engine.devices else default_threads()
