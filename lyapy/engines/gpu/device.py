"""The device that arrays lie on; the one file that imports CuPy, and only when it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

from ...errors import DeviceError
from ...types import Array

__all__ = ["Device", "describe_device", "find_device"]

INSTALL = "python -m pip install 'lyapy[cuda12]' (or cuda13, as nvidia-smi shows)"


class Device(NamedTuple):
    """An array module's way from the host to its device and back.

    On the device all is done by NumPy's own functions, which hand arrays of another module to
    that module (NEP 13 and 18).

    Attributes
    ----------
    name : str
    to_device, to_host : callable
        Copy an array; `to_host` waits for the device.
    free_bytes : callable
        Memory that can be had on the device now.
    activate : callable
        Makes it the device of the calling thread.
    """

    name: str
    to_device: Callable[[Array], Array]
    to_host: Callable[[Array], Array]
    free_bytes: Callable[[], int]
    activate: Callable[[], object]


def find_device() -> Device:
    """Return the current CUDA device.

    Raises
    ------
    ModuleNotFoundError
        If CuPy is not installed.
    DeviceError
        If there is no device, or CuPy cannot use it.
    """
    if find_spec("cupy") is None:
        raise ModuleNotFoundError(f"backend='cupy' needs CuPy, which is not installed; {INSTALL}")
    try:
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        # libraries that are missing, drivers that are too old, no device at all
        raise DeviceError(
            f"backend='cupy' finds no NVIDIA GPU ({error}); run on a machine where nvidia-smi "
            "shows one, or use backend='numba'"
        ) from error
    if not count:
        raise DeviceError(
            "backend='cupy' finds no NVIDIA GPU; CUDA_VISIBLE_DEVICES may hide it, or use "
            "backend='numba'"
        )
    current = cupy.cuda.Device()
    return Device(_name(cupy), cupy.asarray, cupy.asnumpy, lambda: _free_bytes(cupy), current.use)


def describe_device() -> str:
    """Return in one line what `find_device` finds, or why nothing."""
    try:
        device = find_device()
    except (ModuleNotFoundError, DeviceError) as error:
        return f"none: {error}"
    return f"{device.name}, {device.free_bytes() / 1e9:.3g} GB free"


def _name(cupy: Any) -> str:
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    version = cupy.cuda.runtime.runtimeGetVersion()
    cuda = f"CUDA {version // 1000}.{version % 1000 // 10}"
    return f"{properties['name'].decode()}, {cuda}, CuPy {cupy.__version__}"


def _free_bytes(cupy: Any) -> int:
    # the pool keeps what arrays have given back
    free, _ = cupy.cuda.Device().mem_info
    return int(free) + int(cupy.get_default_memory_pool().free_bytes())
