"""Matrix products on row-major frames, through the BLAS that SciPy brings.

``np.dot`` inside Numba wants contiguous arrays; a block of a frame's columns is not.
The function is bound by its symbol's name, so compiled code that calls it can be cached.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic, register_jitable

__all__ = ["multiply"]


def _routine(name: str, arguments: int) -> types.ExternalFunction:
    symbol = f"lyapy_{name}"
    address = get_cython_function_address("scipy.linalg.cython_blas", name)
    llvmlite.binding.add_symbol(symbol, address)
    return types.ExternalFunction(symbol, types.void(*([types.uintp] * arguments)))


_dgemm = _routine("dgemm", 13)


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
