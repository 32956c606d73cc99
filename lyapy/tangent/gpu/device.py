"""The devices that arrays lie on; the one file that imports CuPy, and only when it is asked to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from ...arrays import UNIT_ROUNDOFF, Array
from ...cells.sparse import Sparse
from ...errors import DeviceError
from ..interval import LOG_RANGE

__all__ = ["PRECISIONS", "Device", "Kernel", "Precision", "describe_devices", "find_devices"]

INSTALL = "python -m pip install 'lyapy[cuda12]' (or cuda13, as nvidia-smi shows)"
MISSING = (
    "finds no NVIDIA GPU ({}); run on a machine where nvidia-smi shows one, or use backend='numba'"
)
UNUSABLE = (
    "finds an NVIDIA GPU, but cannot use it ({}); it may be taken, or CUDA's libraries may be "
    "missing: python -m pip install 'cupy-cuda12x[ctk]' (or cuda13x); or use backend='numba'"
)
# bytes of shared memory that a block has without asking
UNASKED = 48 * 1024
COMPILER = ("-std=c++14",)
# products and sums are rounded one by one, as on the CPU
EXACT = (*COMPILER, "--fmad=false")


class Precision(NamedTuple):
    """A floating-point type, and what follows from it."""

    name: str
    itemsize: int
    # u, to which the interval's spread is bound
    roundoff: float
    # exp(±log_range) keeps norms, and their squares in a sum, inside the type's range
    log_range: float
    # by default, about √u: half of the digits for the spread, half for the result
    tolerance: float


PRECISIONS = {
    "float64": Precision("float64", 8, UNIT_ROUNDOFF, LOG_RANGE, 1e-8),
    "float32": Precision("float32", 4, 2.0**-24, 40.0, 2.5e-4),
}
# grid and block, both in one dimension; arrays and integers; bytes of dynamic shared memory
Kernel = Callable[..., None]


class Device(NamedTuple):
    """An array module's way from the host to one of its devices and back, in one precision.

    On the device all is done by NumPy's own functions, which hand arrays of another module to
    that module (NEP 13 and 18), and by kernels.
    """

    name: str
    # copy an array; `to_host` waits for the device
    to_device: Callable[[Array], Array]
    to_host: Callable[[Array], Array]
    # an array of a shape and a type's name, not written yet
    empty: Callable[[tuple[int, ...], str], Any]
    # memory that can be had now
    free_bytes: Callable[[], int]
    # makes it the device of the calling thread
    activate: Callable[[], object]
    # copies a sparse matrix, to one that `lyapy.cells.sparse.product` takes
    to_sparse: Callable[[Sparse], Any]
    # from a text in CUDA C++, its kernel's name, and whether to fuse no operations
    compile_kernel: Callable[[str, str, bool], Kernel]
    # out = alpha a @ b + beta out, from (a, b, out, alpha = 1, beta = 0): matrices (B, m, p),
    # (B, p, n) or (p, n), and (B, m, n), whose rows may lie apart; b may be transposed
    multiply: Callable[..., None]
    # that a block of threads can have
    shared_bytes: int
    precision: Precision = PRECISIONS["float64"]

    def new(self, *shape: int) -> Any:
        """Return an array in the device's precision, not written yet."""
        return self.empty(shape, self.precision.name)

    def moved(self, matrix: Array | Sparse) -> Any:
        """Return a matrix on the device, in its precision."""
        if isinstance(matrix, Sparse):
            return self.to_sparse(matrix._replace(values=matrix.values.astype(self.precision.name)))
        return self.to_device(np.ascontiguousarray(matrix, self.precision.name))

    def compile(self, text: str, name: str, exact: bool = False) -> Kernel:
        """Return the kernel of a text in which ``real`` is the precision's type."""
        real = "double" if self.precision.name == "float64" else "float"
        return self.compile_kernel(f"typedef {real} real;\n{text}", name, exact)


def find_devices() -> tuple[Device, ...]:
    """Return the CUDA devices that the process sees; CUDA_VISIBLE_DEVICES decides on them.

    Raises a ModuleNotFoundError without CuPy, and a DeviceError where it can use no device.
    """
    if find_spec("cupy") is None:
        raise ModuleNotFoundError(f"backend='cupy' needs CuPy, which is not installed; {INSTALL}")
    # libraries that are missing, drivers that are too old, no device at all
    with _refusing(MISSING):
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
        if not count:
            raise RuntimeError("CUDA_VISIBLE_DEVICES may hide it")
    # a card that others have to themselves, CUDA's compiler or cuBLAS not installed
    with _refusing(UNUSABLE):
        return tuple(_device(cupy, number) for number in range(count))


@contextmanager
def _refusing(message: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise DeviceError(f"backend='cupy' {message.format(first)}") from error


def describe_devices() -> str:
    """Return in one line what `find_devices` finds, or why nothing."""
    try:
        devices = find_devices()
    except (ModuleNotFoundError, DeviceError) as error:
        return f"none: {error}"
    return "; ".join(f"{one.name}, {one.free_bytes() / 1e9:.3g} GB free" for one in devices)


def _device(cupy: Any, number: int) -> Device:
    properties = cupy.cuda.runtime.getDeviceProperties(number)
    shared = int(properties["sharedMemPerBlockOptin"])

    def free_bytes() -> int:
        with cupy.cuda.Device(number) as device:
            # the pool keeps the memory of freed arrays
            return int(device.mem_info[0]) + int(cupy.get_default_memory_pool().free_bytes())

    def activate() -> None:
        cupy.cuda.Device(number).use()
        # each thread has its own handle of cuBLAS, which takes memory while there is some
        _try(cupy, shared)

    with cupy.cuda.Device(number):
        _try(cupy, shared)
    version = cupy.cuda.runtime.runtimeGetVersion()
    cuda = f"CUDA {version // 1000}.{version % 1000 // 10}"
    return Device(
        name=f"{properties['name'].decode()}, {cuda}, CuPy {cupy.__version__}",
        to_device=cupy.asarray,
        to_host=cupy.asnumpy,
        empty=cupy.empty,
        free_bytes=free_bytes,
        activate=activate,
        to_sparse=partial(_to_sparse, cupy),
        compile_kernel=partial(_compile, cupy, shared),
        multiply=_multiplier(cupy),
        shared_bytes=shared,
    )


def _try(cupy: Any, shared: int) -> None:
    """Do once what a run does: a library that is missing shows now, not in its middle."""
    text = 'extern "C" __global__ void add(double* x) { x[threadIdx.x] += 1.0; }'
    array = cupy.zeros((1, 2, 2))
    _compile(cupy, shared, text, "add")(1, 4, (array,), shared)
    for precision in ("float64", "float32"):
        one = array.astype(precision)
        _multiplier(cupy)(one, one, one.copy())
    cupy.asnumpy(array + 1.0)


def _compile(cupy: Any, most: int, text: str, name: str, exact: bool = False) -> Kernel:
    kernel = cupy.RawKernel(text, name, options=EXACT if exact else COMPILER)
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


def _multiplier(cupy: Any) -> Callable[..., None]:
    """Return cuBLAS's product, which takes rows that lie apart, where CuPy would copy them."""
    from cupy_backends.cuda.libs import cublas

    functions = {"d": cublas.dgemmStridedBatched, "f": cublas.sgemmStridedBatched}

    def multiply(a: Any, b: Any, out: Any, alpha: float = 1.0, beta: float = 0.0) -> None:
        (B, m, n), p, size = out.shape, a.shape[2], a.itemsize
        # cuBLAS counts columns first: it sees the transposes of all three
        transposed = b.strides[-1] != size
        apart_b = b.strides[-1 if transposed else -2] // size
        apart_a, apart = a.strides[1] // size, out.strides[1] // size
        next_a, next_b, following = (x.strides[0] // size for x in (a, b, out))
        if b.ndim == 2:
            next_b = 0
            if next_a == m * apart_a and following == m * apart:
                B, m = 1, B * m
        numbers = np.array([alpha, beta], a.dtype)
        first = numbers.ctypes.data
        functions[a.dtype.char](
            *(cupy.cuda.device.get_cublas_handle(), int(transposed), 0, n, m, p, first),
            *(b.data.ptr, apart_b, next_b, a.data.ptr, apart_a, next_a),
            *(first + size, out.data.ptr, apart, following, B),
        )

    return multiply


def _to_sparse(cupy: Any, matrix: Sparse) -> Any:
    from cupyx.scipy.sparse import csr_matrix

    # cuSPARSE counts in 32 bits
    indices = (cupy.asarray(a.astype(np.int32)) for a in (matrix.columns, matrix.starts))
    shape = tuple(map(int, matrix.shape))
    found = csr_matrix((cupy.asarray(matrix.values), *indices), shape=shape)
    with _refusing(UNUSABLE):
        found @ cupy.zeros((shape[1], 2), matrix.values.dtype)
    return found
