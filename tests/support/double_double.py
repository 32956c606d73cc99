"""Growth in pairs of float64, of about 32 digits: for networks too large for mpmath."""

import numba
import numpy as np

from lyapy.networks.program import Coefficient


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


@numba.njit
def _dot(a, a_low, b, b_low):
    s, e = 0.0, 0.0
    for c in range(len(a)):
        p, q = _multiply(a[c], a_low[c], b[c], b_low[c])
        s, e = _add(s, e, p, q)
    return s, e


@numba.njit
def _log_r(Z, Z_low):
    """Orthonormalize the rows in place, twice by Gram and Schmidt's recipe; return log R_ii."""
    log_r = np.empty(len(Z))
    for i in range(len(Z)):
        for _ in range(2):
            for j in range(i):
                d, e = _dot(Z[j], Z_low[j], Z[i], Z_low[i])
                for c in range(Z.shape[1]):
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
        for c in range(Z.shape[1]):
            Z[i, c], Z_low[i, c] = _multiply(Z[i, c], Z_low[i, c], v, w)
    return log_r


@numba.njit
def _add_product(new, new_low, vectors, low, matrix):
    """Add ``vectors @ matrix.T`` to ``new``."""
    for j in range(len(vectors)):
        for d in range(len(matrix)):
            s, e = new[j, d], new_low[j, d]
            for c in range(matrix.shape[1]):
                if matrix[d, c] != 0.0:
                    p, q = _multiply(vectors[j, c], low[j, c], matrix[d, c], 0.0)
                    s, e = _add(s, e, p, q)
            new[j, d], new_low[j, d] = s, e


@numba.njit
def _eliminate(F, F_low):
    """Make F (k, D) unit lower triangular up to the order of columns; return log of the pivots."""
    log_u = np.empty(len(F))
    for i in range(len(F)):
        p = np.argmax(np.abs(F[i]))
        h, low = F[i, p], F_low[i, p]
        log_u[i] = np.log(np.abs(h))
        # its inverse by one of Newton's steps
        y = 1.0 / h
        a, b = _multiply(h, low, y, 0.0)
        a, b = _add(1.0, 0.0, -a, -b)
        v, w = _quick_sum(y, y * a)
        for d in range(F.shape[1]):
            F[i, d], F_low[i, d] = _multiply(F[i, d], F_low[i, d], v, w)
        F[i, p], F_low[i, p] = 1.0, 0.0
        for j in range(i + 1, len(F)):
            f, f_low = F[j, p], F_low[j, p]
            if f != 0.0:
                for d in range(F.shape[1]):
                    a, b = _multiply(f, f_low, F[i, d], F_low[i, d])
                    F[j, d], F_low[j, d] = _add(F[j, d], F_low[j, d], -a, -b)
                F[j, p], F_low[j, p] = 0.0, 0.0
    return log_u


def _image(program, values, F, F_low):
    """Apply a program to the rows of F, as `lyapy.networks.apply.tangent_step` does."""
    new, new_low = np.zeros((2, len(F), program.width))
    for target, terms in program.assignments:
        for term in terms:
            vectors, low = (new, new_low) if term.new else (F, F_low)
            matrix = term.matrix
            if matrix is None:
                matrix = np.eye(target.size)
            elif isinstance(matrix, Coefficient):
                matrix = values[matrix.entries].reshape(target.size, -1)
            columns, moved = term.source.columns, target.columns
            vectors, low = vectors[:, columns], low[:, columns]
            if term.right is not None:
                right = values[term.right.entries]
                vectors, low = (x.T for x in weighted(right, 0.0 * right, vectors.T, low.T))
            one, one_low = np.zeros((2, len(F), target.size))
            _add_product(one, one_low, vectors, low, matrix)
            if term.left is not None:
                left = values[term.left.entries]
                one, one_low = (x.T for x in weighted(left, 0.0 * left, one.T, one_low.T))
            found = added(new[:, moved], new_low[:, moved], one, one_low)
            new[:, moved], new_low[:, moved] = found
    size = program.state_size
    return new[:, :size].copy(), new_low[:, :size].copy()


def staged_growth(program, coefficients, ends):
    """Return the growth (D,) after so many steps each, stage by stage of a step.

    The product of the stages would lose the digits of closed gates.
    """
    D = program.state_size
    F, F_low, growth, found = np.eye(D), np.zeros((D, D)), np.zeros(D), []
    for t, values in enumerate(coefficients[: max(ends)], 1):
        for stage in program.stages or (program,):
            F, F_low = _image(stage, values, F, F_low)
            growth += _eliminate(F, F_low)
        if t in ends:
            found.append(growth + _log_r(F.copy(), F_low.copy()))
    return found
