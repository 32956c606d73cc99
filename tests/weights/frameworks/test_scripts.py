"""Names that research code gives: from a mapping or a file to the network that was meant."""

import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy import WeightsError, cells
from lyapy.weights.frameworks.layer import Hints
from lyapy.weights.load import load_closed_loop

RNG = np.random.default_rng(7)
N, M = 4, 2
W, U, B, R = (RNG.normal(size=s) for s in ((N, M), (N, N), N, (M, N)))
WANTED = lyapy.Network([cells.Vanilla(W, U, B, "relu")])


@pytest.mark.parametrize(
    "arrays",
    [
        {"W_in": W, "W_rec": U, "b": B},
        {"W_in": W.T, "W_rec": U.T, "b": B},  # of x @ W_in + h @ W_rec
        {"w_in": W, "w_hh": U, "b_h": B},
        {"net.Win": W, "net.J": U, "net.bias": B},
        {"rnn.input2h.weight": W, "rnn.h2h.weight": U, "rnn.h2h.bias": B},
        {"i2h.weight": W, "h2h.weight": U, "i2h.bias": 0.25 * B, "h2h.bias": 0.75 * B},
        {"rnn0_l0_i2h_weight": W, "rnn0_l0_h2h_weight": U, "rnn0_l0_h2h_bias": B},
        {"model": {"Wxh": W, "Whh": U, "bh": B[:, None]}},
    ],
)
def test_a_vanilla_network_under_its_usual_names(arrays):
    network = lyapy.load(arrays, nonlinearity="relu")
    assert network.digest() == WANTED.digest()
    assert any(line.endswith(": no leak") for line in network.assumptions)
    with pytest.raises(WeightsError, match="give nonlinearity="):
        lyapy.load(arrays)


def test_two_names_of_one_weight_are_refused():
    with pytest.raises(WeightsError, match="W_rec and J are names of the same weight; remove one"):
        lyapy.load({"W_rec": U, "J": U})


def test_choices_that_shapes_leave_open_are_assumed():
    network = lyapy.load({"J": U}, nonlinearity="tanh")
    assert network.digest() == lyapy.Network([cells.Vanilla(None, U)]).digest()
    assert "J multiplies the state from the left" in network.assumptions
    square = lyapy.load({"W_in": U, "W_rec": U}, nonlinearity="tanh")
    assert "W_rec multiplies the state from the left" in square.assumptions
    settled = lyapy.load({"W_in": W, "W_rec": U}, nonlinearity="tanh").assumptions
    assert not any("from the left" in line for line in settled)


def test_gates_are_stacked_as_in_torch():
    shapes = {"i2h_weight": (4 * N, N), "h2h_weight": (4 * N, N), "i2h_bias": 4 * N}
    gluon, torch = {}, {}
    for layer in (0, 1):
        for name, shape in shapes.items():
            side, kind = name.split("_")
            array = gluon[f"lstm0_l{layer}_{name}"] = RNG.normal(size=shape)
            torch[f"{kind}_{side[0]}h_l{layer}"] = array
        torch[f"bias_hh_l{layer}"] = np.zeros(4 * N)
    network = lyapy.load(gluon)
    assert network.digest() == lyapy.load(torch).digest()
    assert [type(cell) for cell in network.cells] == 2 * [cells.LSTM]


@pytest.mark.parametrize("bias", [0.5, np.full((N, 1), 0.5), csr_array(np.full((N, 1), 0.5))])
def test_arrays_of_reservoirpy_are_a_reservoir(bias):
    """Its W is the recurrent weight, and it has sparse matrices, a scalar bias and a leak."""
    arrays = {"W": csr_array(U), "Win": csr_array(W), "bias": bias, "lr": 0.3}
    network = lyapy.load(arrays, nonlinearity="tanh")
    wanted = cells.Reservoir(W, csr_array(U), np.full(N, 0.5), leak=0.3)
    assert network.digest() == lyapy.Network([wanted]).digest()


@pytest.mark.parametrize(
    ("cell", "wanted"), [("vanilla", cells.Vanilla(W, U, B)), ("rate", cells.Rate(W, U, B, dt=0.1))]
)
def test_names_of_arguments_need_the_cell(cell, wanted):
    arrays = {"W": W, "U": U, "b": B} | ({"dt": 0.1} if cell == "rate" else {})
    network = lyapy.load(arrays, cell=cell, nonlinearity="tanh")
    assert network.digest() == lyapy.Network([wanted]).digest()
    with pytest.raises(WeightsError, match="as W, U and b of cell='vanilla'"):
        lyapy.load(arrays)


def test_a_named_cell_under_the_names_of_scripts():
    network = lyapy.load({"W_in": W, "W_rec": U, "b": B}, cell="reservoir")
    assert network.digest() == lyapy.Network([cells.Reservoir(W, U, B)]).digest()


def test_the_read_out_of_a_script_closes_the_loop():
    loop = load_closed_loop({"W_in": W, "W_rec": U, "W_out": R}, Hints(nonlinearity="tanh"))
    np.testing.assert_array_equal(loop.cells[0].readout[0], R)


def test_several_layers_are_offered_as_a_stack():
    def layer(name, m):
        return {
            f"{name}.weight_ih_l0": np.ones((3 * N, m)),
            f"{name}.weight_hh_l0": np.ones((3 * N, N)),
        }

    with pytest.raises(WeightsError, match=r"or stack them with prefix=\['a\.', 'b\.'\]"):
        lyapy.load(layer("a", M) | layer("b", N))
    with pytest.raises(WeightsError, match=r"pick one with prefix= \(--prefix\)$"):
        lyapy.load(layer("a", M) | layer("b", M))


def test_flax_minimal_gated_unit_is_a_gru_with_one_gate():
    """f = σ(W_if x + b_if + W_hf h), n = tanh(W_in x + b_in + f (W_hn h + b_hn))."""
    F, G = RNG.normal(size=(2, N, M)), RNG.normal(size=(2, N, N))
    b = RNG.normal(size=(3, N))
    tree = {"params": {
        "if": {"kernel": F[0].T, "bias": b[0]}, "in": {"kernel": F[1].T, "bias": b[1]},
        "hf": {"kernel": G[0].T}, "hn": {"kernel": G[1].T, "bias": b[2]},
    }}  # fmt: skip
    network = lyapy.load(tree)
    h, x = RNG.normal(size=(2, N)), RNG.normal(size=(1, M))
    f = 1.0 / (1.0 + np.exp(-(F[0] @ x[0] + b[0] + G[0] @ h[0])))
    n = np.tanh(F[1] @ x[0] + b[1] + f * (G[1] @ h[0] + b[2]))
    from lyapy.networks.forward import forward_chunk

    found = forward_chunk(network, x, h[0]).states[0]
    np.testing.assert_allclose(found, (1.0 - f) * n + f * h[0], rtol=1e-13)
    del tree["params"]["hn"]["bias"]
    with pytest.raises(WeightsError, match=r"minimal gated unit 'params\.' without a reset gate"):
        lyapy.load(tree)
