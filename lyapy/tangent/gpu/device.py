"""The devices that arrays lie on; the one file that imports CuPy, and only when it is asked to."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...arrays import Array
from ...cells.sparse import Sparse
from ...errors import DeviceError

__all__ = ["Device", "Kernel", "describe_devices", "find_devices", "is_exhausted"]

INSTALL = "python -m pip install 'lyapy[cuda12]' (or cuda13, as nvidia-smi shows)"
LIBRARIES = "python -m pip install 'cupy-cuda12x[ctk]' (or cuda13x)"
# bytes of shared memory that a block has without asking
UNASKED = 48 * 1024
# in the messages of CUDA and of its libraries
EXHAUSTED = ("ALLOC_FAILED", "OUT_OF_MEMORY", "cudaErrorMemoryAllocation")
# products and sums are rounded one by one, as on the CPU
COMPILER = ("-std=c++14", "--fmad=false")


class Kernel(Protocol):
    """A compiled kernel: launched on so many blocks of threads with arrays and integers."""

    def __call__(
        self, grid: int, block: int, arguments: tuple[Any, ...], shared: int = 0
    ) -> None: ...


class Device(NamedTuple):
    """An array module's way from the host to one of its devices and back.

    On the device all is done by NumPy's own functions, which hand arrays of another module to
    that module (NEP 13 and 18), and by kernels.

    Attributes
    ----------
    name : str
    to_device, to_host : callable
        Copy an array; `to_host` waits for the device.
    free_bytes : callable
        Memory that can be had on the device now.
    activate : callable
        Makes it the device of the calling thread.
    to_sparse : callable
        Copies a sparse matrix, to one of the device's that `lyapy.cells.sparse.product` takes.
    compile_kernel : callable or None
        From the text of a kernel in CUDA C++ and its name to the kernel; None where there are only
        the array module's own functions.
    shared_bytes : int
        Shared memory that a block of threads can have.
    """

    name: str
    to_device: Callable[[Array], Array]
    to_host: Callable[[Array], Array]
    free_bytes: Callable[[], int]
    activate: Callable[[], object]
    to_sparse: Callable[[Sparse], Any]
    compile_kernel: Callable[[str, str], Kernel] | None = None
    shared_bytes: int = 0

    def moved(self, matrix: Array | Sparse, dtype: str) -> Any:
        """Return a matrix on the device, its numbers of a floating-point type."""
        if isinstance(matrix, Sparse):
            return self.to_sparse(matrix._replace(values=matrix.values.astype(dtype)))
        return self.to_device(np.ascontiguousarray(matrix, dtype))


def find_devices() -> tuple[Device, ...]:
    """Return the CUDA devices that the process sees; CUDA_VISIBLE_DEVICES decides on them.

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
    try:
        return tuple(_device(cupy, number) for number in range(count))
    except Exception as error:
        # a card that others have to themselves, CUDA's compiler or cuBLAS not installed
        first = str(error).strip().partition("\n")[0]
        raise DeviceError(
            f"backend='cupy' finds an NVIDIA GPU, but cannot use it ({first}); it may be taken, "
            f"or CUDA's libraries may be missing: {LIBRARIES}; or use backend='numba'"
        ) from error


def is_exhausted(error: Exception) -> bool:
    """Return whether an error tells that a device's memory ran out: CuPy's own, or a library's."""
    return isinstance(error, MemoryError) or any(word in str(error) for word in EXHAUSTED)


def describe_devices() -> str:
    """Return in one line what `find_devices` finds, or why nothing."""
    try:
        devices = find_devices()
    except (ModuleNotFoundError, DeviceError) as error:
        return f"none: {error}"
    return "; ".join(f"{one.name}, {one.free_bytes() / 1e9:.3g} GB free" for one in devices)


def _device(cupy: Any, number: int) -> Device:
    with cupy.cuda.Device(number):
        _try(cupy)
    properties = cupy.cuda.runtime.getDeviceProperties(number)
    shared = int(properties["sharedMemPerBlockOptin"])
    version = cupy.cuda.runtime.runtimeGetVersion()
    cuda = f"CUDA {version // 1000}.{version % 1000 // 10}"
    return Device(
        name=f"{properties['name'].decode()}, {cuda}, CuPy {cupy.__version__}",
        to_device=cupy.asarray,
        to_host=cupy.asnumpy,
        free_bytes=lambda: _free_bytes(cupy, number),
        activate=lambda: _activate(cupy, number),
        to_sparse=lambda matrix: _to_sparse(cupy, matrix),
        compile_kernel=lambda text, name: _compile(cupy, text, name, shared),
        shared_bytes=shared,
    )


def _try(cupy: Any) -> None:
    """Compile, multiply and come back: what else would fail in the middle of a run."""
    cupy.asnumpy(cupy.eye(2) @ cupy.eye(2) + 1.0)


def _activate(cupy: Any, number: int) -> None:
    cupy.cuda.Device(number).use()
    # each thread has its own handle of cuBLAS, which takes memory while there is some
    _try(cupy)


def _compile(cupy: Any, text: str, name: str, most: int) -> Kernel:
    kernel = cupy.RawKernel(text, name, options=COMPILER)
    asked = False

    def launch(grid: int, block: int, arguments: tuple[Any, ...], shared: int = 0) -> None:
        nonlocal asked
        if shared > UNASKED and not asked:
            # all that there is: kernels of the same text are one function, and the last to ask
            # decides for all
            kernel.max_dynamic_shared_size_bytes = most
            asked = True
        kernel((grid,), (block,), arguments, shared_mem=shared)

    return launch


def _free_bytes(cupy: Any, number: int) -> int:
    with cupy.cuda.Device(number) as device:
        free, _ = device.mem_info
        # the pool keeps what arrays have given back
        return int(free) + int(cupy.get_default_memory_pool().free_bytes())


def _to_sparse(cupy: Any, matrix: Sparse) -> Any:
    from cupyx.scipy.sparse import csr_matrix

    # cuSPARSE counts in 32 bits
    indices = (cupy.asarray(a.astype(np.int32)) for a in (matrix.columns, matrix.starts))
    shape = tuple(map(int, matrix.shape))
    return csr_matrix((cupy.asarray(matrix.values), *indices), shape=shape)
