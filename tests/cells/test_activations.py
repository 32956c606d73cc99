"""Smooth activations: value and slope of each engine against more digits, far into saturation."""

import mpmath
import numpy as np
import pytest

import lyapy
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine

X = np.array([-700.0, -300, -40, -20, -3, -1.5, -1, -0.1, -1e-9, 1e-9, 0.1, 1, 3, 20, 40, 300])
EXACT = {
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), lambda x: 1 / (1 + mpmath.exp(-x))),
    "elu": (lambda x: x if x > 0 else mpmath.expm1(x), lambda x: 1 if x > 0 else mpmath.exp(x)),
    "silu": (
        lambda x: x / (1 + mpmath.exp(-x)),
        lambda x: (1 + mpmath.exp(-x) * (1 + x)) / (1 + mpmath.exp(-x)) ** 2,
    ),
    "sin": (mpmath.sin, mpmath.cos),
}


def digits(function):
    with mpmath.workdps(400):
        return np.array([float(function(mpmath.mpf(float(x)))) for x in X])


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_value_and_slope_are_exact_to_rounding(name, backend):
    network = lyapy.Network([lyapy.Vanilla(None, np.zeros((16, 16)), X, nonlinearity=name)])
    run = choose_engine(backend).run_layer
    chunk = forward_chunk(network, np.zeros((1, 0)), np.zeros(16), run)
    value, slope = (digits(function) for function in EXACT[name])
    np.testing.assert_allclose(np.ravel(chunk.states), value, rtol=2e-15)
    np.testing.assert_allclose(np.ravel(chunk.coefficients[0]), slope, rtol=2e-15)
