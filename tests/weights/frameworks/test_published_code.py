"""Cells as EdgeML and ml-pararnn name their tensors, against the steps of the published code."""

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.networks.forward import forward_chunk

UNITS, INPUTS, RANK = 5, 3, 2
FAST_GRNN = {
    "W": (INPUTS, UNITS), "W1": (INPUTS, RANK), "W2": (RANK, UNITS),
    "U": (UNITS, UNITS), "U1": (UNITS, RANK), "U2": (RANK, UNITS),
    "bias_gate": (1, UNITS), "bias_update": (1, UNITS), "zeta": (1, 1), "nu": (1, 1),
}  # fmt: skip
COMMON = ("bias_gate", "bias_update", "zeta", "nu")


def fast_grnn(*matrices, prefix="cell."):
    rng = np.random.default_rng(5)
    names = (*matrices, *COMMON)
    return {
        f"{prefix}{name}": rng.normal(size=FAST_GRNN[name]).astype(np.float32) for name in names
    }


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


@pytest.mark.parametrize("matrices", [("W", "U"), ("W1", "W2", "U1", "U2"), ("W", "U1", "U2")])
def test_fast_grnn_follows_the_published_step(matrices):
    arrays, x = fast_grnn(*matrices), np.random.default_rng(6).normal(size=(10, INPUTS))
    network = lyapy.load(arrays)
    (cell,) = network.cells
    assert type(cell) is lyapy.cells.FastGRNN
    assert any("the gate is sigmoid" in text for text in network.assumptions)
    w = {name.removeprefix("cell."): array.astype(float) for name, array in arrays.items()}
    W = w["W"] if "W" in w else w["W1"] @ w["W2"]
    U = w["U"] if "U" in w else w["U1"] @ w["U2"]
    h = np.zeros((1, UNITS))
    for row, state in zip(x, forward_chunk(network, x, h[0]).states, strict=True):
        pre = row @ W + h @ U
        z, c = sigmoid(pre + w["bias_gate"]), np.tanh(pre + w["bias_update"])
        h = z * h + (sigmoid(w["zeta"]) * (1.0 - z) + sigmoid(w["nu"])) * c
        np.testing.assert_allclose(state, h[0], atol=1e-14)


def test_two_cells_of_one_file_are_two_networks(tmp_path):
    arrays = fast_grnn("W", "U", prefix="a.") | fast_grnn("W", "U", prefix="b.")
    np.savez(tmp_path / "two.npz", **arrays)
    with pytest.raises(WeightsError, match="prefix"):
        lyapy.load(tmp_path / "two.npz")
    assert lyapy.load(tmp_path / "two.npz", prefix="b").state_size == UNITS


def test_tensors_of_a_fast_grnn_that_do_not_fit():
    arrays = fast_grnn("W", "U")
    arrays["cell.U"] = np.ones((UNITS, 4))
    with pytest.raises(WeightsError, match=r"U has shape \(5, 4\); it must be \(5, 5\)"):
        lyapy.load(arrays)
    del arrays["cell.U"]
    with pytest.raises(WeightsError, match=r"no cell\.U"):
        lyapy.load(arrays)


HEADS, D_IN, D = 2, 2, 3
PARALLEL = {"A": (3, 6), "B": (HEADS, D_IN, 3, D), "b": (3, 6), "C": (2, 6)}


def parallel(*names):
    rng = np.random.default_rng(5)
    return {f"layers.0.cell.{name}": rng.normal(size=PARALLEL[name]) for name in names}


def driven(arrays, x):
    """Return B x + b (T, 3, D), as the published code computes it."""
    B, b = arrays["layers.0.cell.B"], arrays["layers.0.cell.b"]
    return np.einsum("thi,hivj->tvhj", x.reshape(len(x), HEADS, D_IN), B).reshape(-1, 3, 6) + b


def test_para_gru_follows_the_published_step():
    arrays, x = parallel("A", "B", "b"), np.random.default_rng(6).normal(size=(10, 4))
    network = lyapy.load(arrays)
    assert type(network.cells[0]) is lyapy.cells.ParaGRU
    assert "gates are sigmoid" in network.assumptions[0]
    h, A = np.zeros(6), arrays["layers.0.cell.A"]
    for pre, state in zip(driven(arrays, x), forward_chunk(network, x, h).states, strict=True):
        z, r = sigmoid(pre[0] + A[0] * h), sigmoid(pre[1] + A[1] * h)
        h = z * np.tanh(A[2] * h * r + pre[2]) + (1 - z) * h
        np.testing.assert_allclose(state, h, atol=1e-14)


def test_para_lstm_follows_the_published_step():
    arrays, x = parallel("A", "B", "b", "C"), np.random.default_rng(6).normal(size=(10, 4))
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


def test_tensors_of_a_parallel_cell_that_do_not_fit():
    arrays = parallel("A", "B", "b")
    arrays["layers.0.cell.A"] = np.ones((3, 5))
    with pytest.raises(WeightsError, match=r"A has shape \(3, 5\); it must be \(3, 6\)"):
        lyapy.load(arrays)
    del arrays["layers.0.cell.A"]
    with pytest.raises(WeightsError, match="no recurrent layer is recognised"):
        lyapy.load(arrays)
