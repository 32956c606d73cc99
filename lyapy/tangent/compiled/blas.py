"""Matrix products and elimination on row-major frames, through the BLAS that SciPy brings.

``np.dot`` inside Numba wants contiguous arrays; a block of a frame's columns is not.
The function is bound by its symbol's name, so compiled code that calls it can be cached.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic, register_jitable

from ...arrays import Array

__all__ = ["eliminate", "multiply"]


def _routine(name: str, arguments: int, module: str = "blas") -> types.ExternalFunction:
    symbol = f"lyapy_{name}"
    address = get_cython_function_address(f"scipy.linalg.cython_{module}", name)
    llvmlite.binding.add_symbol(symbol, address)
    return types.ExternalFunction(symbol, types.void(*([types.uintp] * arguments)))


_dgemm = _routine("dgemm", 13)
_dgetrf = _routine("dgetrf", 6, "lapack")


@intrinsic
def _address(typingctx: Any, value: Any) -> Any:
    """Put a number on the stack and return its address, as Fortran takes arguments."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        slot = cgutils.alloca_once_value(builder, args[0])
        return builder.ptrtoint(slot, ir.IntType(64))

    return types.uintp(value), codegen


@register_jitable
def multiply(
    alpha: float,
    left: int,
    left_stride: int,
    right: int,
    right_stride: int,
    transposed: bool,
    beta: float,
    out: int,
    out_stride: int,
    rows: int,
    inner: int,
    columns: int,
) -> None:
    """Compute ``out = alpha left @ right + beta out``, row-major, from addresses and strides.

    ``left`` is (rows, inner), ``out`` (rows, columns), ``right`` (inner, columns), or
    (columns, inner) where ``transposed``.
    """
    # Fortran sees the transposes of row-major matrices, and so computes outᵀ = rightᵀ leftᵀ
    flag = types.uint8(84) if transposed else types.uint8(78)
    _dgemm(
        _address(flag),
        _address(types.uint8(78)),
        _address(types.int32(columns)),
        _address(types.int32(rows)),
        _address(types.int32(inner)),
        _address(types.float64(alpha)),
        types.uintp(right),
        _address(types.int32(right_stride)),
        types.uintp(left),
        _address(types.int32(left_stride)),
        _address(types.float64(beta)),
        types.uintp(out),
        _address(types.int32(out_stride)),
    )


@register_jitable
def eliminate(frame: int, stride: int, rows: int, columns: int, swaps: Array) -> None:
    """Factorize ``frame.T`` (columns, rows) in place by elimination, from an address and a stride.

    Written are U, and L without its diagonal, as LAPACK packs them, and ``swaps`` (rows,) of int32:
    the coordinates, from 1 on, with which each one was exchanged.
    """
    found = np.zeros(1, np.int32)
    _dgetrf(
        _address(types.int32(columns)),
        _address(types.int32(rows)),
        types.uintp(frame),
        _address(types.int32(stride)),
        types.uintp(swaps.ctypes.data),
        types.uintp(found.ctypes.data),
    )
    # Numba would free arrays that are not used after the call
    swaps[0] += 0 * found[0]
