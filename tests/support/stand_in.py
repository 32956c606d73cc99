"""An array module that stands for CuPy where there is no GPU.

Its arrays hand NumPy's functions to themselves (NEP 13 and 18), as CuPy's do. They refuse the
same as CuPy's: to become NumPy arrays unasked, to be mixed with them, and functions that CuPy does
not have, and arrays that lie on another device than the calling thread's. They count the
costs on a GPU: launches of kernels, waiting for the device, and the size of the largest array.
"""

import threading
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from scipy.sparse import csr_array

from lyapy.tangent.gpu.device import Device
from tests.support import stand_in_kernels

# each of them CuPy has, which `test_gpu_stand_in` looks up where CuPy is installed
VIEWS = (np.diagonal, np.split, np.swapaxes, np.moveaxis, np.broadcast_to, np.reshape)
# functions that take room only
UNLAUNCHED = (*VIEWS, np.empty_like)
FUNCTIONS = (
    *VIEWS,
    *(np.concatenate, np.stack, np.where, np.clip, np.take),
    *(np.empty_like, np.ones_like, np.zeros_like),
    *(np.all, np.any, np.max, np.mean, np.min, np.prod, np.sum, np.count_nonzero),
    np.linalg.slogdet,
)
UFUNCS = (
    *(np.absolute, np.add, np.copysign, np.cos, np.cosh, np.divide, np.equal, np.exp, np.expm1),
    *(np.frexp, np.greater),
    *(np.greater_equal, np.isfinite, np.isnan, np.less, np.less_equal, np.log, np.log1p),
    *(np.logaddexp, np.logical_and, np.logical_not, np.logical_or, np.bitwise_and, np.invert),
    *(np.bitwise_or, np.maximum, np.minimum, np.multiply, np.negative, np.not_equal),
    *(np.power, np.sign, np.sin, np.sqrt, np.square, np.subtract, np.tanh),
)


@dataclass
class Counts:
    launches: int = 0
    waits: int = 0
    kernels: int = 0
    functions: set = field(default_factory=set)
    largest: int = 0


COUNTS = Counts()
NAME = "a stand-in"
SHARED_BYTES = 96 * 1024
CURRENT = threading.local()


def current():
    return getattr(CURRENT, "number", 0)


class DeviceArray(NDArrayOperatorsMixin):
    def __init__(self, data):
        assert isinstance(data, (np.ndarray, np.generic))
        self._data = np.asarray(data)
        self.device = current()
        COUNTS.largest = max(COUNTS.largest, self._data.size)

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion to a NumPy array is not allowed; use to_host")

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        if method != "__call__" or ufunc.signature is not None or ufunc not in UFUNCS:
            raise TypeError(f"{ufunc.__name__}.{method} is not among the functions of the device")
        _launch(ufunc)
        targets = tuple(_data(array) for array in out)
        result = ufunc(*map(_data, inputs), **({"out": targets} if out else {}), **_data(kwargs))
        return out[0] if len(out) == 1 else _wrap(result)

    def __array_function__(self, function, types, args, kwargs):
        if function not in FUNCTIONS or not all(issubclass(t, DeviceArray) for t in types):
            names = ", ".join(sorted(t.__name__ for t in types))
            raise TypeError(f"{function.__name__} of {names} is not a function of the device")
        if function not in UNLAUNCHED:
            _launch(function)
        if function is np.split:
            # where to cut lies on the host
            return _wrap(np.split(args[0]._data, *args[1:], **kwargs))
        return _wrap(function(*_data(args), **_data(kwargs)))

    def __getitem__(self, key):
        if isinstance(key, DeviceArray) and key.dtype == bool:
            # how many there are has to be known on the host
            COUNTS.waits += 1
        found = self._data[_data(key)]
        if not np.shares_memory(found, self._data):
            _launch(np.ndarray.__getitem__)
        return DeviceArray(found)

    def __setitem__(self, key, value):
        _launch(np.ndarray.__setitem__)
        self._data[_data(key)] = _data(value)

    # CuPy does not take NumPy's matmul, which is no function of single numbers
    def __matmul__(self, other):
        if not isinstance(other, DeviceArray):
            return NotImplemented
        # results lie row by row, whatever the operands do
        one, two = _operand(self), _operand(other)
        _launch("matmul")
        return DeviceArray(np.ascontiguousarray(_data(one) @ _data(two)))

    def __rmatmul__(self, other):
        raise TypeError("a NumPy array is multiplied with one of the device; use to_device")

    def __len__(self):
        return len(self._data)

    def _wait(self):
        _check(self)
        COUNTS.waits += 1
        return self._data

    def __bool__(self):
        return bool(self._wait())

    def __float__(self):
        return float(self._wait())

    def __int__(self):
        return int(self._wait())

    def __index__(self):
        return self._wait().__index__()

    def get(self):
        return self._wait().copy()

    def astype(self, dtype, copy=True):
        _launch(np.ndarray.astype)
        return DeviceArray(self._data.astype(dtype, copy=copy))

    def copy(self):
        _launch(np.ndarray.copy)
        return DeviceArray(self._data.copy())

    def reshape(self, *shape):
        found = self._data.reshape(*shape)
        if not np.shares_memory(found, self._data):
            _launch(np.reshape)
        return DeviceArray(found)

    def sum(self, axis=None):
        return np.sum(self, axis=axis)

    def max(self, axis=None):
        return np.max(self, axis=axis)

    def min(self, axis=None):
        return np.min(self, axis=axis)

    @property
    def T(self):
        return DeviceArray(self._data.T)

    shape = property(lambda self: self._data.shape)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    dtype = property(lambda self: self._data.dtype)
    strides = property(lambda self: self._data.strides)
    flags = property(lambda self: self._data.flags)
    nbytes = property(lambda self: self._data.nbytes)


def _check(array):
    if array.device != current():
        raise ValueError(f"an array of device {array.device} is used on device {current()}")


class DeviceSparse:
    """Sparse rows on the device that is not there: all that is done with them is one product."""

    def __init__(self, matrix):
        arrays = (matrix.values, matrix.columns, matrix.starts)
        assert all(isinstance(array, np.ndarray) for array in arrays)
        self._rows = csr_array(tuple(a.copy() for a in arrays), shape=tuple(matrix.shape))
        self.shape, self.nnz = self._rows.shape, self._rows.nnz

    def __array__(self, *args, **kwargs):
        raise TypeError("a sparse matrix of the device does not become a NumPy array")

    def __matmul__(self, other):
        if not isinstance(other, DeviceArray) or other.ndim != 2:
            raise TypeError("sparse rows multiply a matrix of the device")
        _operand(other)
        _launch(DeviceSparse.__matmul__)
        return DeviceArray(np.asfortranarray(self._rows @ other._data))


def _operand(array):
    """Copy an operand of a product as CuPy does: a matrix may be transposed, a stack may not."""
    flags = array.flags
    if flags.c_contiguous or (array.ndim == 2 and flags.f_contiguous):
        return array
    return array.copy()


def _launch(function):
    COUNTS.launches += 1
    COUNTS.functions.add(function)


def _data(value):
    """Return the array inside; refuse arrays of the host, as CuPy does."""
    if isinstance(value, DeviceArray):
        _check(value)
        return value._data
    if isinstance(value, np.ndarray):
        raise TypeError("a NumPy array is mixed with those of the device; use to_device")
    if isinstance(value, (tuple, list)):
        return type(value)(map(_data, value))
    if isinstance(value, dict):
        return {name: _data(inside) for name, inside in value.items()}
    return value


def _wrap(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return DeviceArray(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_wrap, value))
    if isinstance(value, (tuple, list)):
        return type(value)(map(_wrap, value))
    return value


def to_device(array):
    assert isinstance(array, np.ndarray)
    return DeviceArray(array.copy())


def compile_kernel(text, name, exact=False):
    """Return a kernel, which runs on the host."""

    def launch(grid, block, arguments, shared=0):
        _launch(name)
        COUNTS.kernels += 1
        assert grid > 0
        assert shared <= SHARED_BYTES
        values = tuple(map(_data, arguments))
        # a kernel reads row after row
        assert all(isinstance(x, int) or x.flags.c_contiguous for x in values), name
        # many threads do the same as a few, and more slowly; in another order each time
        stand_in_kernels.run(text, name, grid, min(block, 4), values, shared, COUNTS.kernels)

    return launch


def multiply(a, b, out, alpha=1.0, beta=0.0):
    """Multiply as cuBLAS does, whose rows may lie apart, but not the entries of a row."""
    _launch("multiply")
    a, b, out = map(_data, (a, b, out))
    assert a.ndim == out.ndim == 3
    assert a.shape == (*out.shape[:2], b.shape[-2])
    for array in (a, b, out):
        transposed = array is b and b.shape[-1] > 1 and b.strides[-1] != b.itemsize
        last = array.strides[-2 if transposed else -1]
        assert last == array.itemsize or array.shape[-1] == 1
    # numbers that were never written are not read where they count nothing
    out[...] = alpha * (a @ b) + (beta * out if beta else 0.0)


def stand_in(free_bytes=10**9, number=0):
    return Device(
        name=NAME,
        to_device=to_device,
        to_host=lambda array: array.get(),
        # numbers read before they are written show
        empty=lambda shape, kind: DeviceArray(np.full(shape, np.nan, kind)),
        free_bytes=lambda: free_bytes,
        activate=partial(setattr, CURRENT, "number", number),
        to_sparse=DeviceSparse,
        compile_kernel=compile_kernel,
        multiply=multiply,
        shared_bytes=SHARED_BYTES,
    )
