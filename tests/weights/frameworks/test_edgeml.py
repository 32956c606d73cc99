"""EdgeML's FastGRNN as its module names the tensors, against the step of its code."""

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.networks.forward import forward_chunk

UNITS, INPUTS, RANK = 5, 3, 2
SIZES = {
    "W": (INPUTS, UNITS), "W1": (INPUTS, RANK), "W2": (RANK, UNITS),
    "U": (UNITS, UNITS), "U1": (UNITS, RANK), "U2": (RANK, UNITS),
    "bias_gate": (1, UNITS), "bias_update": (1, UNITS), "zeta": (1, 1), "nu": (1, 1),
}  # fmt: skip
COMMON = ("bias_gate", "bias_update", "zeta", "nu")


def weights(*matrices, prefix="cell."):
    rng = np.random.default_rng(5)
    names = (*matrices, *COMMON)
    return {f"{prefix}{name}": rng.normal(size=SIZES[name]).astype(np.float32) for name in names}


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


@pytest.mark.parametrize("matrices", [("W", "U"), ("W1", "W2", "U1", "U2"), ("W", "U1", "U2")])
def test_states_follow_the_published_step(matrices):
    arrays, x = weights(*matrices), np.random.default_rng(6).normal(size=(10, INPUTS))
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
    arrays = weights("W", "U", prefix="a.") | weights("W", "U", prefix="b.")
    np.savez(tmp_path / "two.npz", **arrays)
    with pytest.raises(WeightsError, match="prefix"):
        lyapy.load(tmp_path / "two.npz")
    assert lyapy.load(tmp_path / "two.npz", prefix="b").state_size == UNITS


def test_tensors_that_do_not_fit():
    arrays = weights("W", "U")
    arrays["cell.U"] = np.ones((UNITS, 4))
    with pytest.raises(WeightsError, match=r"U has shape \(5, 4\); it must be \(5, 5\)"):
        lyapy.load(arrays)
    del arrays["cell.U"]
    with pytest.raises(WeightsError, match=r"no cell\.U"):
        lyapy.load(arrays)
