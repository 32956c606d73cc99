"""Activations and their slopes, exact far into saturation.

One text serves NumPy and CuPy arrays and, compiled, single numbers. Only `decay`
and `choose` have a second, vectorizable form in the compiled engine.
"""

import numpy as np

from ..arrays import Array, check_choice

NONLINEARITIES = (
    "tanh", "relu", "identity", "sigmoid", "hard-sigmoid", "hard-sigmoid-keras2", "softplus",
    "elu", "silu", "sin",
)  # fmt: skip
# places of those whose slope is zero where it is computed as zero; that of others has underflowed
EXACT = (1, 2, 4, 5)
# stands for 1 + x σ(−x) where silu turns and rounding leaves nothing of it
ROUNDING = 1.1e-16
# Lipschitz constants of the slopes; those of relu and the hard sigmoids jump
BENDS = (
    4.0 / 27.0**0.5, float("inf"), 0.0, 0.5 / 27.0**0.5, float("inf"), float("inf"), 0.25, 1.0, 0.5,
    1.0,
)  # fmt: skip


def decay(x: Array) -> tuple[Array, Array]:
    """Return exp(−|x|) and exp(−|x|) − 1, each to full relative accuracy."""
    y = -np.abs(x)
    return np.exp(y), np.expm1(y)


def choose(condition: Array, yes: Array, no: Array) -> Array:
    """Return ``yes`` where the condition holds, else ``no``."""
    return np.where(condition, yes, no)


def logistic(x: Array) -> tuple[Array, Array]:
    """Return σ(x) = 1/(1 + exp(−x)) and its slope σ(x) σ(−x)."""
    e, _ = decay(x)
    s = 1.0 / (1.0 + e)
    return choose(x < 0.0, e * s, s), e * s * s


def tanh(x: Array) -> tuple[Array, Array]:
    """Return tanh(x) and its slope 1/cosh²(x), which 1 − tanh² loses beyond |x| = 19."""
    e, m = decay(2.0 * x)
    s = 1.0 / (1.0 + e)
    return choose(x < 0.0, m * s, -m * s), 4.0 * e * s * s


def relu(x: Array) -> tuple[Array, Array]:
    """Return max(x, 0) and its slope, 0 at 0."""
    return np.maximum(x, 0.0), choose(x > 0.0, 1.0, 0.0)


def hard_sigmoid(x: Array) -> tuple[Array, Array]:
    """Return x/6 + 1/2 between 0 and 1 and its slope, as PyTorch and Keras 3 define it."""
    v = (x + 3.0) / 6.0
    return np.minimum(np.maximum(v, 0.0), 1.0), choose(np.abs(x) < 3.0, 1.0 / 6.0, 0.0)


def hard_sigmoid_keras2(x: Array) -> tuple[Array, Array]:
    """Return x/5 + 1/2 between 0 and 1 and its slope, as ONNX and Keras until 2 define it."""
    v = 0.2 * (x + 2.5)
    return np.minimum(np.maximum(v, 0.0), 1.0), choose(np.abs(x) < 2.5, 0.2, 0.0)


def softplus(x: Array) -> tuple[Array, Array]:
    """Return log(1 + exp(x)) and its slope σ(x)."""
    e, _ = decay(x)
    s = 1.0 / (1.0 + e)
    return np.maximum(x, 0.0) + np.log1p(e), choose(x < 0.0, e * s, s)


def elu(x: Array) -> tuple[Array, Array]:
    """Return x, or exp(x) − 1 below 0, and its slope."""
    e, m = decay(x)
    return choose(x > 0.0, x, m), choose(x > 0.0, 1.0, e)


def silu(x: Array) -> tuple[Array, Array]:
    """Return x σ(x), also named swish, and its slope σ(x) (1 + x σ(−x))."""
    e, _ = decay(x)
    s = 1.0 / (1.0 + e)
    up, down = choose(x < 0.0, e * s, s), choose(x < 0.0, s, e * s)
    turning = 1.0 + x * down
    return x * up, up * choose(turning == 0.0, ROUNDING, turning)


def sine(x: Array) -> tuple[Array, Array]:
    """Return sin x and its slope cos x."""
    return np.sin(x), np.cos(x)


def activation(x: Array, kind: int) -> tuple[Array, Array]:
    """Return value and slope of ``NONLINEARITIES[kind]``."""
    if kind == 0:
        return tanh(x)
    if kind == 1:
        return relu(x)
    if kind == 3:
        return logistic(x)
    if kind == 4:
        return hard_sigmoid(x)
    if kind == 5:
        return hard_sigmoid_keras2(x)
    if kind == 6:
        return softplus(x)
    if kind == 7:
        return elu(x)
    if kind == 8:
        return silu(x)
    if kind == 9:
        return sine(x)
    return x + 0.0, np.ones_like(x)


def clipped(x: Array, kind: int, limit: float) -> tuple[Array, Array]:
    """Return value and slope of ``NONLINEARITIES[kind]`` of x cut to ±``limit``."""
    value, slope = activation(np.minimum(np.maximum(x, -limit), limit), kind)
    return value, slope * (np.abs(x) <= limit)


def complement(x: Array, kind: int, limit: float) -> Array:
    """Return 1 − the value of `clipped`, which keeps its digits where that is near 1."""
    y = np.minimum(np.maximum(x, -limit), limit)
    if kind == 0:
        # 1 − tanh y = 2 σ(−2y)
        return 2.0 * logistic(-2.0 * y)[0]
    value, _ = activation(y, kind)
    if kind < 3 or kind > 5:
        return 1.0 - value
    # 1 − σ(y) = σ(−y), of the hard sigmoids too
    return activation(-y, kind)[0]


def difference(h: Array, x: Array, kind: int, limit: float) -> Array:
    """Return h − the value of `clipped`, which keeps its digits where both are near 1 or −1."""
    value, _ = clipped(x, kind, limit)
    if kind == 1 or kind == 2 or kind > 5:
        return h - value
    side = np.where(np.abs(value) < 0.5, 0.0, np.copysign(1.0, value))
    return np.where(side == 0.0, h - value, (h - side) + side * complement(side * x, kind, limit))


def gated_differences(
    h: Array, z: Array, z_slope: Array, n: Array, n_slope: Array
) -> tuple[Array, Array]:
    """Return 1 − z and h − n for z = σ and n = tanh, with their digits where these are near ±1."""
    rest = choose(z < 0.5, 1.0 - z, z_slope / np.maximum(z, 0.5))
    side = choose(np.abs(n) < 0.5, 0.0, np.copysign(1.0, n))
    # 1 − |tanh| = (1 − tanh²)/(1 + |tanh|)
    return rest, (h - side) + choose(side == 0.0, -n, side * n_slope / (1.0 + np.abs(n)))


def bend(x: Array, kind: int, lengths: Array, radius: float) -> float:
    """Return a bound on ‖φ′(y) − φ′(x)‖_∞ / r for |y_i − x_i| ≤ ``lengths``_i r, r ≤ ``radius``.

    Infinite where a kink may lie between.
    """
    if kind == 1:
        return float("inf") if np.any(np.abs(x) <= lengths * radius) else 0.0
    return BENDS[kind] * float(np.max(lengths, initial=0.0))


def kind_of(nonlinearity: str, name: str = "nonlinearity") -> int:
    """Return the place in `NONLINEARITIES`; ``name`` is the argument's, for the error."""
    check_choice(name, nonlinearity, NONLINEARITIES)
    return NONLINEARITIES.index(nonlinearity)
