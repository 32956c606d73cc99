"""Saturated units, whose exponents span far more than float64's digits, against 120 digits."""

import mpmath
import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.networks.forward import forward_chunk

precise = np.vectorize(mpmath.mpf, otypes=[object])


def precise_growth(jacobians):
    """Sum of log R_ii by Gram and Schmidt's recipe, in as many digits as are set."""
    Q = precise(np.eye(len(jacobians[0])))
    growth = precise(np.zeros(len(Q)))
    for J in jacobians:
        Z = J @ Q
        for i in range(len(Q)):
            for j in range(i):
                Z[:, i] -= (Z[:, j] @ Z[:, i]) * Z[:, j]
            norm = mpmath.sqrt(Z[:, i] @ Z[:, i])
            growth[i] += mpmath.log(norm)
            Z[:, i] /= norm
        Q = Z
    return growth.astype(float)


def vanilla_jacobian(named, U):
    return named["a"][:, None] * U


def lstm_jacobian(named, U):
    f, p, q, s, e, w = (named[name] for name in "fpqsew")
    U_i, U_f, U_g, U_o = np.split(U, 4)
    A = p[:, None] * U_f + q[:, None] * U_i + s[:, None] * U_g
    upper = [e[:, None] * A + w[:, None] * U_o, np.diag(e * f)]
    return np.block([upper, [A, np.diag(f)]])


@pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning")
@pytest.mark.parametrize(
    ("kind", "n", "gain", "jacobian"),
    [("vanilla", 8, 20.0, vanilla_jacobian), ("lstm", 4, 20.0, lstm_jacobian)],
)
def test_saturated_units(kind, n, gain, jacobian, backend):
    with mpmath.workdps(120):
        network = lyapy.random_network(kind, n, 2, gain=gain, bias=2.0, seed=2)
        inputs = np.random.default_rng(3).normal(size=(40, 2))
        values = forward_chunk(network, inputs, np.zeros(network.state_size)).coefficients
        (placed,) = network.program.coefficients
        U = precise(network.cells[0].weights.U)
        named = [{m: precise(v[c.entries]) for m, c in placed.items()} for v in values]
        exact = precise_growth([jacobian(one, U) for one in named])
    spectrum = lyapunov_spectrum(network, inputs, frame="identity", backend=backend)
    assert exact.max() - exact.min() > 10 * len(inputs)
    found, sure = spectrum.growth.sum(axis=1)[0], np.empty(len(exact), bool)
    sure[spectrum.order] = spectrum.resolved
    assert sure.sum() >= len(exact) / 2
    np.testing.assert_allclose(found[sure], exact[sure], atol=1e-6)
    # what is not resolved is bounded from above
    error = 10 * len(inputs) * spectrum.numerical_error[0]
    assert np.all(found >= exact - error - 1e-6)
