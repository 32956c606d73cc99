"""The engines: the readable one on arrays, the compiled one, and the one on a GPU."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ..networks.blocks import DiagonalBlock
from ..networks.forward import LayerForward, layer_forward
from ..networks.network import Network
from ..networks.program import Program, by_products
from .gpu.device import Device, find_devices
from .reference import ArrayTangent, DecoupledTangent, FactorTangent, SingleTangent, Tangent
from .two_ended import FullTangent

BACKENDS = ("auto", "numba", "numpy", "cupy")


class Engine(NamedTuple):
    """How a forward pass and its deviation vectors are computed.

    Attributes
    ----------
    tangent : callable
        From a program and the number of deviation vectors to their `Tangent`.
    checked : bool
        Whether full spectra are checked by the determinant as they go.
    devices : tuple of Device
        On which the trajectories are computed side by side; one after the other without any.
    """

    name: str
    run_layer: LayerForward
    tangent: Callable[[Program, int], Tangent]
    checked: bool = True
    devices: tuple[Device, ...] = ()

    def settings(self) -> dict[str, str]:
        """Return the settings that a result reports: the name, and the cards."""
        cards = ", ".join(sorted({device.name for device in self.devices}))
        return {"backend": self.name} | ({"gpu": cards} if cards else {})

    def tangent_of(self, block: DiagonalBlock, vectors: int) -> Tangent:
        """Return the deviation vectors of a block, checked by the determinant where it is known."""
        if block.decoupled:
            if block.single:
                return SingleTangent(block.program, vectors, block.possible)
            return DecoupledTangent(block.program, vectors)
        leading = self.tangent(block.program, vectors)
        partial = vectors < block.program.state_size
        if partial or block.weak or not block.has_log_abs_det or not self.checked:
            return leading
        trailing = self.tangent(block.inverse_program, vectors) if block.inverse else None
        return FullTangent(block, leading, trailing)


def choose_engine(backend: str, blas_threads: int = 1) -> Engine:
    """Return the engine of ``backend``; "auto" is the compiled one."""
    if backend in ("auto", "numba"):
        from . import compiled

        tangent = partial(compiled.CompiledTangent, blas=blas_threads > 1)
        return Engine("numba", compiled.layer_forward, tangent)
    if backend == "numpy":
        return Engine("numpy", layer_forward, ArrayTangent)
    if backend == "cupy":
        devices = find_devices()
        # the compiled engine takes over where a device cannot go on
        compiled_engine = choose_engine("numba", blas_threads)
        return compiled_engine._replace(name="cupy", devices=devices)
    raise ValueError(f"backend is {backend!r}; it must be one of {', '.join(BACKENDS)}")


def fitted_engine(backend: str, blas_threads: int, network: Network, factors: bool) -> Engine:
    """Return the engine of ``backend`` for a network, which keeps R factors where asked to.

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
    if engine.devices and plain:
        raise ValueError(
            f"the step of {plain[0]} is plain Python, which backend='cupy' cannot run; use "
            "backend='numba'"
        )
    if engine.devices and factors:
        raise ValueError("record is 'factors', which backend='cupy' does not keep; use 'numpy'")
    if by_products(network.program):
        engine = choose_engine("numpy")
    if factors:
        engine = engine._replace(tangent=FactorTangent, checked=False)
    if plain:
        engine = engine._replace(run_layer=layer_forward)
    return engine
