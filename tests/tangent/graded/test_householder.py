"""The QR of a graded step, reflector by reflector."""

import numpy as np
import pytest

from lyapy.tangent.compiled.reflections import Workspace, factor, workspace
from lyapy.tangent.graded.householder import sorted_qr


def reflected(columns, k):
    left, vectors, factors, applied = columns.copy(), [], [], np.zeros((k, columns.shape[1]))
    for i in range(k):
        x = left[i:, i]
        beta = -np.copysign(np.linalg.norm(x), x[0])
        v = np.eye(len(columns))[i]
        v[i + 1 :] = x[1:] / (x[0] - beta)
        # the last entry of a column is left as it is
        tau = (beta - x[0]) / beta if len(x) > 1 else 0.0
        applied[i] = tau * (v @ left)
        left -= np.outer(v, applied[i])
        vectors.append(v)
        factors.append(tau)
    return np.array(vectors).T, factors, left, applied


@pytest.mark.parametrize(("k", "D"), [(1, 1), (3, 7), (4, 4)])
def test_the_rounding_is_what_the_reflectors_take_away(k, D):
    rng = np.random.default_rng(k)
    image = rng.normal(size=(k, D)) * 10.0 ** -rng.permutation(D)
    sizes = np.linalg.norm(image, axis=0)
    found = sorted_qr(image, sizes)
    order = np.argsort(-sizes)
    np.testing.assert_array_equal(found.order, order)
    A = image.T[order]
    V, tau, R, W = reflected(A, k)
    signs = np.where(np.diag(R[:k]) < 0.0, -1.0, 1.0)
    np.testing.assert_allclose(found.upper, np.triu(R[:k]) * signs[:, None], rtol=1e-10)
    in_image = np.abs(V) @ np.abs(W) + np.abs(A)
    np.testing.assert_allclose(found.in_image.T[order], in_image, rtol=1e-6)
    # Q is built from its last reflector on
    Q, W = np.eye(D, k), np.zeros((k, k))
    for i in reversed(range(k)):
        W[i] = tau[i] * (V[:, i] @ Q)
        Q -= np.outer(V[:, i], W[i])
    np.testing.assert_allclose(found.frame.T[order], Q * signs, atol=1e-14)
    in_frame = np.abs(V) @ np.abs(W)
    np.testing.assert_allclose(found.in_frame.T[order], in_frame, rtol=1e-6, atol=1e-16)


def test_rows_of_one_size_keep_their_order():
    image = np.array([[1.0, 2.0, 1.0, 2.0], [1.0, 0.0, -1.0, 0.5]])
    assert sorted_qr(image, np.array([1.0, 2.0, 1.0, 2.0])).order.tolist() == [1, 3, 0, 2]


def test_what_vanishes_has_no_growth_and_no_sign():
    found = sorted_qr(np.diag([3.0, -2.0, 0.0]), np.array([3.0, 2.0, 0.0]))
    np.testing.assert_array_equal(np.diagonal(found.upper), [3.0, 2.0, 0.0])
    np.testing.assert_array_equal(found.frame, np.diag([1.0, -1.0, 1.0]))
    assert found.frame.flags.c_contiguous


def test_it_keeps_to_its_memory():
    """Reflectors are applied at addresses, which nothing checks."""
    k, D, beside = 12, 17, 64
    image = np.random.default_rng(0).normal(size=(k, D))
    wanted = sorted_qr(image, np.ones(D))
    plain = workspace(k, D)
    around = [np.full(array.size + 2 * beside, np.nan) for array in plain]
    within = [a[beside:-beside].reshape(p.shape) for a, p in zip(around, plain, strict=True)]
    within[0][:] = 0.0
    upper, (frame, in_image, in_frame) = np.empty((k, k)), np.empty((3, k, D))
    factor(image, np.arange(D), Workspace(*within), upper, frame, in_image, in_frame)
    np.testing.assert_array_equal(frame, wanted.frame)
    np.testing.assert_array_equal(upper, wanted.upper)
    np.testing.assert_array_equal(in_image, wanted.in_image)
    np.testing.assert_array_equal(in_frame, wanted.in_frame)
    for array in around:
        assert np.isnan(array[:beside]).all() and np.isnan(array[-beside:]).all()
