"""From named arrays in a file to the network they describe, or an error that says why not."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import lyapy
from lyapy import WeightsError, lyapunov_spectrum
from lyapy.networks.forward import forward_chunk


def layer(kind, n, m, number=0, bias=True, dtype=float, seed=0):
    rows = {"vanilla": 1, "gru": 3, "lstm": 4}[kind] * n
    rng = np.random.default_rng([seed, number])
    arrays = {
        f"weight_ih_l{number}": rng.normal(size=(rows, m)),
        f"weight_hh_l{number}": rng.normal(size=(rows, n)),
        f"bias_ih_l{number}": rng.normal(size=rows),
        f"bias_hh_l{number}": rng.normal(size=rows),
    }
    if not bias:
        arrays = {name: array for name, array in arrays.items() if "weight" in name}
    return {name: array.astype(dtype) for name, array in arrays.items()}


def prefixed(prefix, arrays):
    return {prefix + name: array for name, array in arrays.items()}


@pytest.fixture(params=["npz", "safetensors"])
def write(request, tmp_path):

    def write_file(arrays):
        path = tmp_path / f"weights.{request.param}"
        if request.param == "npz":
            np.savez(path, **arrays)
        else:
            safetensors.numpy.save_file(arrays, path)
        return path

    return write_file


def states(network, steps=20):
    inputs = np.random.default_rng(3).normal(size=(steps, network.input_size))
    return forward_chunk(network, inputs, np.zeros(network.state_size)).states


def build(kind, arrays, **options):
    W, U, b, c = (np.asarray(a, dtype=float) for a in arrays.values())
    if kind == "gru":
        return lyapy.GRU(W, U, b, c)
    cell = lyapy.LSTM if kind == "lstm" else lyapy.Vanilla
    return cell(W, U, b + c, **options)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("kind", ["vanilla", "gru", "lstm"])
def test_any_precision_is_computed_in_float64(write, kind, dtype):
    arrays = layer(kind, 3, 2, dtype=dtype)
    hints = {"nonlinearity": "relu"} if kind == "vanilla" else {}
    network = lyapy.load(write(arrays), **hints)
    wanted = lyapy.Network([build(kind, arrays, **hints)])
    assert network.digest() == wanted.digest()
    assert network.cells[0].weights.U.dtype == np.float64
    inputs = np.random.default_rng(4).normal(size=(50, 2))
    results = [lyapunov_spectrum(n, inputs, k=1) for n in (network, wanted)]
    np.testing.assert_array_equal(results[0].growth, results[1].growth)
    assert results[0].growth.dtype == np.float64


def test_layers_keep_their_order(write):
    arrays = {}
    for number in range(11):
        arrays |= layer("lstm", 2, 2, number, seed=1)
    # a file may hold them in any order; 10 comes after 9
    shuffled = {name: arrays[name] for name in sorted(arrays)}
    network = lyapy.load(write(shuffled))
    parts = [list(arrays.values())[4 * i : 4 * i + 4] for i in range(11)]
    cells = [build("lstm", dict(enumerate(part))) for part in parts]
    assert network.digest() == lyapy.Network(cells).digest()
    assert len(lyapy.load(write(shuffled), layers=3).cells) == 3
    with pytest.raises(ValueError, match=r"layers is 12; it must be .* from 1 to 11.*11 layers"):
        lyapy.load(write(shuffled), layers=12)


def test_names_of_single_cells_and_of_ports_are_read(write):
    arrays = layer("gru", 3, 2)
    wanted = states(lyapy.load(write(arrays)))
    cell = {name.removesuffix("_l0"): array for name, array in arrays.items()}
    np.testing.assert_array_equal(states(lyapy.load(write(cell))), wanted)
    port = {n.replace("weight", "enc_w").replace("bias", "enc_b"): a for n, a in cell.items()}
    np.testing.assert_array_equal(states(lyapy.load(write(port))), wanted)


def test_a_prefix_picks_a_network(write):
    encoder, decoder = layer("gru", 3, 2, seed=1), layer("lstm", 2, 3, seed=2)
    arrays = prefixed("model.encoder.", encoder) | prefixed("decoder_", decoder)
    path = write(arrays | {"embedding.weight": np.ones((5, 2)), "head.bias": np.ones(3)})
    both = r"2 recurrent networks.*'(model\.encoder\.|decoder_)'.*pick one with"
    with pytest.raises(WeightsError, match=both):
        lyapy.load(path)
    for prefix in ("model.encoder.", "model.encoder"):
        network = lyapy.load(path, prefix=prefix)
        assert network.digest() == lyapy.Network([build("gru", encoder)]).digest()
    stacked = lyapy.load(path, prefix=["model.encoder", "decoder"])
    cells = [build("gru", encoder), build("lstm", decoder)]
    assert stacked.digest() == lyapy.Network(cells).digest()
    with pytest.raises(WeightsError, match="no recurrent layer has the prefix 'encoder'; found"):
        lyapy.load(path, prefix="encoder")
    with pytest.raises(WeightsError, match=r"layer 1 reads 3 inputs, but layer 0 has 2 out"):
        lyapy.load(path, prefix=["decoder", "decoder"])


def test_hints_choose_cell_and_layers(write):
    arrays = layer("gru", 3, 2)
    path = write(arrays)
    network = lyapy.load(path, cell="gru-reset-before")
    W, U, b, c = arrays.values()
    wanted = states(lyapy.Network([lyapy.GRUResetBefore(W, U, b + c)]))
    np.testing.assert_array_equal(states(network), wanted)
    assert network.assumptions == ()
    (assumption,) = lyapy.load(path).assumptions
    assert assumption == "layer 0: the GRU's reset gate comes after the product"
    with pytest.raises(WeightsError, match=r"weight_hh_l0 has shape \(9, 3\), that of .* 'gru'"):
        lyapy.load(path, cell="lstm")
    with pytest.raises(ValueError, match="cell is 'GRU'; it must be one of vanilla, gru"):
        lyapy.load(path, cell="GRU")
    for layers in (0, -1, 2, 1.0):
        with pytest.raises(ValueError, match=f"layers is {layers}; it must be a whole number"):
            lyapy.load(path, layers=layers)


def test_nonlinearity_is_not_in_the_file(write):
    arrays = layer("vanilla", 3, 2)
    path = write(arrays)
    with pytest.raises(WeightsError, match=r"weight_hh_l0 belongs to a vanilla .*'tanh', 'relu'"):
        lyapy.load(path)
    assert lyapy.load(path, nonlinearity="relu").cells[0].nonlinearity == "relu"
    with pytest.raises(ValueError, match="nonlinearity is 'sine'; it must be one of"):
        lyapy.load(path, nonlinearity="sine")


def test_missing_biases_are_zero(write):
    network = lyapy.load(write(layer("lstm", 3, 2, bias=False)))
    assert network.assumptions == ("layer 0 has no biases in the file: zero",)
    assert not network.cells[0].b.any()


def test_bidirectional_layers_lose_their_other_direction(write):
    def both(number, m):
        forward, backward = (layer("gru", 3, m, number, seed=s) for s in (1, 2))
        return forward | {f"{name}_reverse": array for name, array in backward.items()}

    network = lyapy.load(write(both(0, 2)))
    assert network.digest() == lyapy.Network([build("gru", layer("gru", 3, 2, seed=1))]).digest()
    (left_out,) = [a for a in network.assumptions if "other direction" in a]
    layer_of = "is the other direction of a bidirectional layer: left out"
    assert left_out == f"weight_hh_l0_reverse {layer_of}"
    path = write(both(0, 2) | both(1, 6))
    misfit = r"layer 1 reads 6 inputs, but layer 0 has 3 outputs; .*directions; give layers=1"
    with pytest.raises(WeightsError, match=misfit):
        lyapy.load(path)
    assert lyapy.load(path, layers=1).digest() == network.digest()


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_both_directions_compute_as_in_torch(kind, direction, suffix):
    folder = Path(__file__).parents[1] / "golden" / "torch_files"
    expected = np.load(folder / "bidirectional.npz")
    hints = {"nonlinearity": "tanh"} if kind == "rnn" else {}
    path = folder / f"bidirectional_{kind}{suffix}"
    network = lyapy.load(path, direction=direction, **hints)
    inputs, wanted = expected["inputs"].astype(float), expected[kind][:, :4]
    if direction == "backward":
        inputs, wanted = inputs[::-1], expected[kind][::-1, 4:]
    states = forward_chunk(network, inputs, np.zeros(network.state_size)).states
    np.testing.assert_allclose(states[:, :4], wanted, atol=1e-6)


def changed(kind="lstm", **changes):
    """Return a layer's arrays with some replaced; None removes one."""
    arrays = layer(kind, 3, 2) | {f"{name}_l0": array for name, array in changes.items()}
    return {name: array for name, array in arrays.items() if array is not None}


def spoiled(value):
    array = np.ones((12, 3))
    array[4, 1] = value
    return array


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (changed(bias_hh=None), "layer 0 has .*bias_ih_l0, .* but no bias_hh_l0; export the whole"),
        (changed(bias_ih=None), "but no bias_ih_l0"),
        (changed(weight_ih=None), "but no weight_ih_l0"),
        (changed(weight_hh=None), "no recurrent layer is recognised among 3 tensors"),
        (changed(weight_hh=np.ones((12, 5))), r"weight_hh_l0 has shape \(12, 5\).*\(4n, n\)"),
        (changed(weight_hh=np.ones((6, 3))), r"weight_hh_l0 has shape \(6, 3\), which is no"),
        (changed(weight_hh=np.ones(12)), r"weight_hh_l0 has shape \(12,\); it must be a matrix"),
        (changed(weight_hh=np.ones((0, 0))), r"weight_hh_l0 has shape \(0, 0\)"),
        (changed(weight_ih=np.ones((9, 2))), r"weight_ih_l0 has shape \(9, 2\); .*\(12, any\)"),
        (changed(bias_ih=np.ones(3)), r"bias_ih_l0 has shape \(3,\); it must be \(12,\)"),
        (changed(bias_hh=np.ones((12, 1))), r"bias_hh_l0 has shape \(12, 1\)"),
        (changed(weight_hr=np.ones((2, 4))), r"weight_h. has shape|weight_hr_l0 .*\(2, 4\)"),
        (changed(weight_hh=spoiled(np.nan)), "weight_hh_l0 holds 1 values that are NaN or infin"),
        (changed(weight_hh=spoiled(np.inf)), "weight_hh_l0 holds 1 values.*earlier checkpoint"),
        (changed(bias_ih=np.full(12, np.nan)), "bias_ih_l0 holds 12 values that are NaN"),
        (changed(weight_hh=np.ones((12, 3), int)), "weight_hh_l0 has dtype int64; weights must be"),
        (changed(bias_ih=np.ones(12, bool)), "bias_ih_l0 has dtype bool; weights must be floating"),
        (
            {"conv.weight": np.ones((3, 2)), "fc": np.ones(4)},
            r"no recurrent layer.*among 2 tensors: .*conv.weight \(3, 2\).*; recurrent weights are",
        ),
        (
            {f"weight_{s}_l{n}": np.ones((3, 3)) for s in ("ih", "hh") for n in (0, 900)},
            r"\[0, 900\] of '' are there, but not \[1, 2, .*12\]; export",
        ),
        (layer("gru", 2, 2, 0) | layer("gru", 2, 2, 2), r"\[0, 2\] of '' are there, but not \[1\]"),
        (
            layer("gru", 2, 2) | {"weight_hh": np.ones((6, 2))},
            "weight_hh.* and weight_hh.* are the same weight of layer 0; remove one",
        ),
        ({"weight_hh_l4000000000": np.ones((3, 3))}, "no recurrent layer is recognised"),
        ({f"w{i}": np.ones(1) for i in range(20)}, r"among 20 tensors: .* …; recurrent weights"),
    ],
)
def test_files_that_hold_no_network_are_refused(write, arrays, message):
    path = write(arrays)
    with pytest.raises(WeightsError, match=message) as caught:
        lyapy.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_the_path_may_be_text_and_is_kept(write):
    path = write(layer("lstm", 3, 2))
    network = lyapy.load(str(path))
    assert network.origin == str(path)
    assert repr(network) == "Network([LSTM(inputs=2, units=3)])"
