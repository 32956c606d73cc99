"""Jacobians and growth in as many digits as are set, by separate formulas."""

import mpmath
import numpy as np

from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine

precise = np.vectorize(mpmath.mpf, otypes=[object])
_tanh = np.vectorize(mpmath.tanh, otypes=[object])
_cosh = np.vectorize(mpmath.cosh, otypes=[object])
_sigma = np.vectorize(lambda x: 1 / (1 + mpmath.exp(-x)), otypes=[object])


def _rows(vector, matrix):
    return vector[:, None] * matrix


def _eye(n):
    return precise(np.eye(n))


def _vanilla(cell, h, x):
    U = precise(cell.weights.U)
    a = precise(cell.W) @ x + precise(cell.b) + U @ h
    slope = precise(a > 0) if cell.nonlinearity == "relu" else 1 / _cosh(a) ** 2
    return _rows(slope, U)


def _gru_gates(cell, h, x):
    U_r, U_z, U_n = np.split(precise(cell.weights.U), 3)
    r, z, n = np.split(precise(cell.W) @ x + precise(cell.b), 3)
    return U_r, U_z, U_n, r + U_r @ h, z + U_z @ h, n


def _gru(cell, h, x):
    U_r, U_z, U_n, r, z, n = _gru_gates(cell, h, x)
    v = U_n @ h + precise(cell.weights.c)
    n = n + _sigma(r) * v
    J = _rows(_sigma(z), _eye(len(h)))
    J = J + _rows((h - _tanh(n)) * _sigma(z) * _sigma(-z), U_z)
    inner = _rows(_sigma(r), U_n) + _rows(v * _sigma(r) * _sigma(-r), U_r)
    return J + _rows(_sigma(-z) / _cosh(n) ** 2, inner)


def _gru_reset_before(cell, h, x):
    U_r, U_z, U_n, r, z, n = _gru_gates(cell, h, x)
    n = n + U_n @ (_sigma(r) * h)
    J = _rows(_sigma(z), _eye(len(h)))
    J = J + _rows((h - _tanh(n)) * _sigma(z) * _sigma(-z), U_z)
    inner = _rows(_sigma(r), _eye(len(h))) + _rows(h * _sigma(r) * _sigma(-r), U_r)
    return J + _rows(_sigma(-z) / _cosh(n) ** 2, U_n @ inner)


def _lstm(cell, state, x):
    projection = precise(cell.weights.P)
    n, p = len(cell.b) // 4, cell.variables["h"]
    h, c = state[:p], state[p:]
    U_i, U_f, U_g, U_o = np.split(precise(cell.weights.U), 4)
    a = precise(cell.W) @ x + precise(cell.b) + precise(cell.weights.U) @ h
    i, f, g, o = np.split(a, 4)
    A = _rows(c * _sigma(f) * _sigma(-f), U_f)
    A = A + _rows(_tanh(g) * _sigma(i) * _sigma(-i), U_i) + _rows(_sigma(i) / _cosh(g) ** 2, U_g)
    new = _sigma(f) * c + _sigma(i) * _tanh(g)
    e = _sigma(o) / _cosh(new) ** 2
    y_h = _rows(e, A) + _rows(_tanh(new) * _sigma(o) * _sigma(-o), U_o)
    y_c = _rows(e * _sigma(f), _eye(n))
    if projection.size:
        y_h, y_c = projection @ y_h, projection @ y_c
    return np.block([[y_h, y_c], [A, _rows(_sigma(f), _eye(n))]])


JACOBIANS = {
    "vanilla": _vanilla,
    "gru": _gru,
    "gru-reset-before": _gru_reset_before,
    "lstm": _lstm,
    "lstm-projected": _lstm,
}


def precise_jacobians(network, inputs, backend):
    run = choose_engine(backend).run_layer
    states = forward_chunk(network, inputs, np.zeros(network.state_size), run).states
    found, x = [], inputs
    for cell, layer in zip(network.cells, network.split_state(states), strict=True):
        before = [np.zeros(cell.state_size), *layer[:-1]]
        jacobian = JACOBIANS[cell.name]
        pairs = zip(before, x, strict=True)
        found.append([jacobian(cell, precise(h), precise(one)) for h, one in pairs])
        x = layer[:, : cell.output_size]
    return found


def precise_growth(jacobians):
    """Return the sum of log R_ii; growth below half of the digits is that of a dead direction."""
    least = mpmath.mpf(10) ** (-mpmath.mp.dps // 2)
    Q = _eye(len(jacobians[0]))
    growth = precise(np.zeros(len(Q)))
    for J in jacobians:
        Z = J @ Q
        for i in range(len(Q)):
            for j in range(i):
                Z[:, i] = Z[:, i] - (Z[:, j] @ Z[:, i]) * Z[:, j]
            norm = mpmath.sqrt(Z[:, i] @ Z[:, i])
            alive = norm > least
            growth[i] += mpmath.log(norm) if alive else -mpmath.inf
            Z[:, i] = Z[:, i] / norm if alive else 0 * Z[:, i]
        Q = Z
    return growth.astype(float)
