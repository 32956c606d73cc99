"""Growth in pairs of float64, of about 32 digits: for networks too large for mpmath."""

import numba
import numpy as np


@numba.njit(inline="always")
def _quick_sum(a, b):
    s = a + b
    return s, b - (s - a)


@numba.njit(inline="always")
def _add(a, a_low, b, b_low):
    s = a + b
    v = s - a
    e = (a - (s - v)) + (b - v)
    return _quick_sum(s, e + (a_low + b_low))


@numba.njit(inline="always")
def _split(a):
    t = 134217729.0 * a
    high = t - (t - a)
    return high, a - high


@numba.njit(inline="always")
def _multiply(a, a_low, b, b_low):
    p = a * b
    a1, a2 = _split(a)
    b1, b2 = _split(b)
    e = ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2
    return _quick_sum(p, e + (a * b_low + a_low * b))


@numba.njit
def weighted(left, left_low, matrix, matrix_low):
    found, low = np.empty_like(matrix), np.empty_like(matrix)
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            found[i, j], low[i, j] = _multiply(left[i], left_low[i], matrix[i, j], matrix_low[i, j])
    return found, low


@numba.njit
def added(one, one_low, other, other_low):
    found, low = np.empty_like(one), np.empty_like(one)
    for i in range(one.shape[0]):
        for j in range(one.shape[1]):
            found[i, j], low[i, j] = _add(one[i, j], one_low[i, j], other[i, j], other_low[i, j])
    return found, low


def pair(wide):
    high = wide.astype(float)
    return high, (wide - high).astype(float)


@numba.njit
def _dot(a, a_low, b, b_low):
    s, e = 0.0, 0.0
    for c in range(len(a)):
        p, q = _multiply(a[c], a_low[c], b[c], b_low[c])
        s, e = _add(s, e, p, q)
    return s, e


@numba.njit
def _step(J, J_low, Q, Q_low):
    """Return the next frame and log R_ii: Gram and Schmidt's recipe, twice for each row."""
    Z, Z_low, log_r = np.empty_like(Q), np.empty_like(Q), np.empty(len(Q))
    for i in range(len(Q)):
        for j in range(len(J)):
            Z[i, j], Z_low[i, j] = _dot(J[j], J_low[j], Q[i], Q_low[i])
    for i in range(len(Q)):
        for _ in range(2):
            for j in range(i):
                d, e = _dot(Z[j], Z_low[j], Z[i], Z_low[i])
                for c in range(len(J)):
                    p, q = _multiply(d, e, Z[j, c], Z_low[j, c])
                    Z[i, c], Z_low[i, c] = _add(Z[i, c], Z_low[i, c], -p, -q)
        s, e = _dot(Z[i], Z_low[i], Z[i], Z_low[i])
        # 1/√s by one of Newton's steps
        y = 1.0 / np.sqrt(s)
        p, q = _multiply(s, e, y, 0.0)
        p, q = _multiply(p, q, y, 0.0)
        p, q = _add(1.0, 0.0, -p, -q)
        v, w = _quick_sum(y, 0.5 * y * p)
        log_r[i] = 0.5 * np.log(s)
        for c in range(len(J)):
            Z[i, c], Z_low[i, c] = _multiply(Z[i, c], Z_low[i, c], v, w)
    return Z, Z_low, log_r


def double_double_growth(jacobians, D):
    Q, Q_low, growth = np.eye(D), np.zeros((D, D)), np.zeros(D)
    for J, J_low in jacobians:
        Q, Q_low, log_r = _step(J, J_low, Q, Q_low)
        growth += log_r
    return growth
