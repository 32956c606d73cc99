"""Activations in compiled code: the same text as elsewhere, run in loops that vectorize."""

import math
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic, overload, register_jitable

from ...arrays import Array
from ...cells import activations

__all__: list[str] = []

LOG2E = 1.4426950408889634
# ln 2 in two parts: k times the first is exact for every k in use
LN2_HIGH = 0.6931471803691238
LN2_LOW = 1.9082149292705877e-10
# below this, exp is as good as zero, and its exponent would leave the normal range
LOWEST = -708.0


@intrinsic
def _power_of_two(typingctx: Any, exponent: Any) -> Any:
    """2.0**exponent for a whole number in the normal range, from its bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.add(args[0], context.get_constant(types.int64, 1023))
        bits = builder.shl(bits, context.get_constant(types.int64, 52))
        return builder.bitcast(bits, context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


# fused, but not reassociated: that would undo the reduction of the argument
@register_jitable(fastmath={"contract"})
def _decay(x: float) -> tuple[float, float]:
    """exp(−|x|) and exp(−|x|) − 1 without a branch or a call, to about one unit roundoff."""
    y = -abs(x)
    y = LOWEST if y < LOWEST else y
    k = math.floor(y * LOG2E + 0.5)
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    # exp(r) − 1 = r + r² p(r) by Taylor's series, |r| ≤ ln 2 / 2: the remainder is below 2⁻⁵⁶
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    m = r + r * r * p
    scale = _power_of_two(np.int64(k))
    e = scale + scale * m
    return (0.0 if y == LOWEST else e), scale * m + (scale - 1.0)


@overload(activations.decay, strict=False)
def _overload_decay(x: Any) -> Any:
    return lambda x: _decay(x)


@overload(activations.choose, strict=False)
def _overload_choose(condition: Any, yes: Any, no: Any) -> Any:
    return lambda condition, yes, no: yes if condition else no


def _on_vectors(function: Any) -> None:
    """Let compiled code apply ``function``, which returns two numbers, to vectors."""
    on_number = numba.njit(error_model="numpy")(function)

    @overload(function, strict=False, jit_options={"error_model": "numpy"})
    def on_vector(x: Any) -> Any:
        def loop(x: Array) -> tuple[Array, Array]:
            # one allocation for both
            pair = np.empty((2, len(x)))
            value, slope = pair[0], pair[1]
            for i in range(len(x)):
                value[i], slope[i] = on_number(x[i])
            return value, slope

        # Compiled code read from the disk is linked by name: functions of the same name and
        # types, cached by different processes, would be taken for one another.
        loop.__qualname__ = f"{function.__name__}_on_vector"
        return loop if isinstance(x, types.Array) else None


_on_vectors(activations.logistic)
_on_vectors(activations.tanh)
_on_vectors(activations.relu)
_on_vectors(activations.hard_sigmoid)
_on_vectors(activations.hard_sigmoid_keras2)
_on_vectors(activations.softplus)
_on_vectors(activations.elu)
_on_vectors(activations.silu)
_on_vectors(activations.sine)


@overload(activations.gated_differences, strict=False, jit_options={"error_model": "numpy"})
def _overload_gated_differences(h: Any, z: Any, z_slope: Any, n: Any, n_slope: Any) -> Any:
    on_number = numba.njit(error_model="numpy")(activations.gated_differences)

    def loop(h: Array, z: Array, z_slope: Array, n: Array, n_slope: Array) -> tuple[Array, Array]:
        pair = np.empty((2, len(h)))
        rest, apart = pair[0], pair[1]
        for i in range(len(h)):
            rest[i], apart[i] = on_number(h[i], z[i], z_slope[i], n[i], n_slope[i])
        return rest, apart

    loop.__qualname__ = "gated_differences_on_vectors"
    return loop


register_jitable(activations.activation)
register_jitable(activations.clipped)
register_jitable(activations.complement)
register_jitable(activations.difference)
