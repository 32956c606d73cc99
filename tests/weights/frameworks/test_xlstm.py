"""sLSTM layers as xLSTM writes them: the states of the package, both kernels, TiRex's limit."""

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from tests.support.weights_files import GOLDEN, of_case

KERNEL, BIAS = "layer.slstm_cell._recurrent_kernel_", "layer.slstm_cell._bias_"


def golden(case):
    path = GOLDEN / "xlstm_layers.npz"
    return of_case(path, f"{case}/weights"), of_case(path, case)


def of_the_cuda_kernel(weights):
    """Return the weights as the other of xlstm's kernels, and TiRex, keep them."""
    heads, rows, d = weights[KERNEL].shape
    bias = weights[BIAS].reshape(4, heads, d).swapaxes(0, 1).reshape(-1)
    assert rows == 4 * d
    return {**weights, KERNEL: weights[KERNEL].swapaxes(1, 2), BIAS: bias}


@pytest.mark.parametrize("case", ["plain", "convolved"])
@pytest.mark.parametrize("kernel", [dict, of_the_cuda_kernel])
def test_states_are_those_of_the_package(case, kernel):
    weights, wanted = golden(case)
    network = lyapy.load(kernel(weights))
    assert "layer.fgate.weight drives the input gate" in network.assumptions[0]
    n = wanted["outputs"].shape[1]
    empty = np.concatenate([np.zeros(2 * n), np.full(n, -1e30)])
    states = forward_chunk(network, wanted["inputs"], empty).states
    np.testing.assert_allclose(states[:, :n], wanted["outputs"], atol=1e-15)


def test_heads_are_followed_separately():
    network = lyapy.load(golden("plain")[0])
    columns = [block.columns.tolist() for block in diagonal_blocks(network, whole=False)]
    first = [0, 1, 2, 6, 7, 8, 12, 13, 14]
    assert columns == [first, [column + 3 for column in first]]
    inputs = np.random.default_rng(1).normal(size=(1500, 6))
    spectrum = lyapy.lyapunov_spectrum(network, inputs, transient=300)
    assert len(spectrum.exponents) == 18 and spectrum.sum_rule_residual < 1e-9


def test_the_gauge_of_the_published_state_is_gone():
    """4n published directions, n of which die in the step in which the input gate wins."""
    network = lyapy.load(golden("plain")[0])
    state, x = np.random.default_rng(2).normal(size=(2, 18))
    assert np.linalg.matrix_rank(lyapy.jacobian(network, state, x[:6])) == 18


def test_tirex_cuts_its_forget_gate():
    weights, _ = golden("plain")
    renamed = {f"blocks.0.slstm_{name}": array for name, array in weights.items()}
    network = lyapy.load(of_the_cuda_kernel(weights))
    tirex = lyapy.load(renamed)
    assert tirex.cells[0].weights.limit == 15.0 and network.cells[0].weights.limit == np.inf
    assert "cut at 15" in tirex.assumptions[-1]
    renamed |= {name.replace(".0.", ".1."): array for name, array in renamed.items()}
    with pytest.raises(WeightsError, match=r"2 recurrent networks, with prefixes"):
        lyapy.load(renamed)
    assert lyapy.load(renamed, prefix="blocks.1.slstm_layer").digest() == tirex.digest()


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (KERNEL, (2, 9, 3), r"has shape \(2, 9, 3\); it must be \(2, 3, 12\) or \(2, 12, 3\)"),
        (KERNEL, (2, 36), r"has shape \(2, 36\)"),
        (BIAS, (12,), r"_bias_ has shape \(12,\); it must be \(24,\)"),
        ("layer.igate.weight", (1, 3, 3), r"igate.weight has shape \(1, 3, 3\)"),
        ("layer.ogate.weight", None, "has part of a recurrent layer, but no layer.ogate.weight"),
    ],
)
def test_tensors_that_do_not_fit(name, shape, message):
    weights, _ = golden("plain")
    del weights[name]
    if shape:
        weights[name] = np.ones(shape)
    with pytest.raises(WeightsError, match=message):
        lyapy.load(weights)
