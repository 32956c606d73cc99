"""ml-pararnn's cells as its modules name them, against its recurrence step by einsum."""

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.networks.forward import forward_chunk

HEADS, D_IN, D = 2, 2, 3
SIZES = {"A": (3, 6), "B": (HEADS, D_IN, 3, D), "b": (3, 6), "C": (2, 6)}


def weights(*names):
    rng = np.random.default_rng(5)
    return {f"layers.0.cell.{name}": rng.normal(size=SIZES[name]) for name in names}


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def driven(arrays, x):
    """Return B x + b (T, 3, D), as the published code computes it."""
    B, b = arrays["layers.0.cell.B"], arrays["layers.0.cell.b"]
    return np.einsum("thi,hivj->tvhj", x.reshape(len(x), HEADS, D_IN), B).reshape(-1, 3, 6) + b


def test_para_gru():
    arrays, x = weights("A", "B", "b"), np.random.default_rng(6).normal(size=(10, 4))
    network = lyapy.load(arrays)
    assert type(network.cells[0]) is lyapy.cells.ParaGRU
    assert "gates are sigmoid" in network.assumptions[0]
    h, A = np.zeros(6), arrays["layers.0.cell.A"]
    for pre, state in zip(driven(arrays, x), forward_chunk(network, x, h).states, strict=True):
        z, r = sigmoid(pre[0] + A[0] * h), sigmoid(pre[1] + A[1] * h)
        h = z * np.tanh(A[2] * h * r + pre[2]) + (1 - z) * h
        np.testing.assert_allclose(state, h, atol=1e-14)


def test_para_lstm():
    arrays, x = weights("A", "B", "b", "C"), np.random.default_rng(6).normal(size=(10, 4))
    network = lyapy.load(arrays)
    assert type(network.cells[0]) is lyapy.cells.ParaLSTM
    h, c, A, C = np.zeros(6), np.zeros(6), arrays["layers.0.cell.A"], arrays["layers.0.cell.C"]
    for pre, state in zip(
        driven(arrays, x), forward_chunk(network, x, np.zeros(12)).states, strict=True
    ):
        f, g = sigmoid(pre[0] + A[0] * h + C[0] * c), np.tanh(pre[2] + A[2] * h)
        c = f * c + (1 - f) * g
        h = sigmoid(pre[1] + A[1] * h + C[1] * c) * np.tanh(c)
        np.testing.assert_allclose(state, [*h, *c], atol=1e-14)


def test_tensors_that_do_not_fit():
    arrays = weights("A", "B", "b")
    arrays["layers.0.cell.A"] = np.ones((3, 5))
    with pytest.raises(WeightsError, match=r"A has shape \(3, 5\); it must be \(3, 6\)"):
        lyapy.load(arrays)
    del arrays["layers.0.cell.A"]
    with pytest.raises(WeightsError, match="no recurrent layer is recognised"):
        lyapy.load(arrays)
