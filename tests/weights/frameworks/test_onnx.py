"""ONNX files with every attribute of their nodes: the network computes what onnxruntime does."""

from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from lyapy.weights.formats import read_arrays

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")

GOLDEN = Path(__file__).parents[2] / "golden" / "onnx_files"
EXPECTED = dict(np.load(GOLDEN / "expected.npz"))


def outputs(network, inputs, backend="numpy"):
    run = choose_engine(backend).run_layer
    states = forward_chunk(network, inputs.astype(float), np.zeros(network.state_size), run).states
    return states[:, :3]


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "inputs"])
def test_onnxruntime_computes_the_same(name, backend):
    path, x, y = GOLDEN / f"{name}.onnx", EXPECTED["inputs"], EXPECTED[name]
    close = {"rtol": 1e-6, "atol": 1e-6}
    if name == "lstm_reverse" or name == "lstm_bidirectional":
        network = lyapy.load(path, direction="backward")
        np.testing.assert_allclose(outputs(network, x[::-1], backend)[::-1], y[:, -3:], **close)
        if name == "lstm_reverse":
            return
    np.testing.assert_allclose(outputs(lyapy.load(path), x, backend), y[:, :3], **close)


def changed(tmp_path, change):
    model = onnx.load(GOLDEN / "lstm.onnx")
    content = change(model)
    path = tmp_path / "a.onnx"
    path.write_bytes(content or model.SerializeToString())
    return path


def external(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="other.bin")


def computed(model):
    model.graph.node[0].input[1] = "computed"


def softsign(model):
    node = model.graph.node[0]
    values = ["Softsign", "Tanh", "Tanh"]
    node.attribute.append(onnx.helper.make_attribute("activations", values))


def lying(model):
    model.graph.initializer[0].dims[0] = 1 << 40


def negative(model):
    model.graph.initializer[0].dims[:] = [-1, -12, 2]


def without_weights(model):
    del model.graph.node[0].input[1:]


def sideways(model):
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("direction", "sideways"))


def slope_of_text(model):
    attribute = model.graph.node[0].attribute
    attribute.append(onnx.helper.make_attribute("activations", ["HardSigmoid", "Tanh", "Tanh"]))
    attribute.append(onnx.helper.make_attribute("activation_alpha", ["a"]))


def clip_of_text(model):
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("clip", "a"))


def name_of_bytes(model):
    """Protobuf gives a text that is no UTF-8 as bytes."""
    model.graph.initializer[0].name = "unlikely"
    return model.SerializeToString().replace(b"unlikely", b"\xff" * 8)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (external, "keeps 'W' in another file, which is not opened"),
        (computed, r"computes its W \('computed'\) in the graph; export with constant"),
        (softsign, "the node 'cell' has the activation Softsign; only Tanh"),
        (lying, r"has \d+ bytes and declares \(1099511627776, 12, 2\) for 'W'"),
        (negative, r"declares \(-1, -12, 2\) for 'W'"),
        (without_weights, "the node 'cell' has no weights"),
        (sideways, "has the direction 'sideways'"),
        (slope_of_text, r"has activation_alpha \['a'\]"),
        (clip_of_text, "does not fit the layout onnx"),
        (name_of_bytes, "holds a name that is not text|damaged"),
    ],
)
def test_what_is_refused(tmp_path, change, what):
    with pytest.raises(WeightsError, match=what):
        lyapy.load(changed(tmp_path, change))


def test_a_direction_that_is_alone_is_asked_for():
    with pytest.raises(WeightsError, match="layers run backward; give direction='backward'"):
        lyapy.load(GOLDEN / "lstm_reverse.onnx")
    with pytest.raises(ValueError, match="direction is 'forward', but all layers are backward"):
        lyapy.load(GOLDEN / "lstm_reverse.onnx", direction="forward")


def test_many_names_of_one_tensor_hold_it_once(tmp_path):
    model = onnx.load(GOLDEN / "lstm.onnx")
    names = [("W", "W1"), ("W1", "W2")]
    identities = [onnx.helper.make_node("Identity", [a], [b]) for a, b in names]
    node = model.graph.node.pop()
    node.input[1] = "W2"
    model.graph.node.extend([*identities, node])
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    arrays = read_arrays(path)
    assert arrays["W"] is arrays["W2"]
    assert lyapy.load(path).digest() == lyapy.load(GOLDEN / "lstm.onnx").digest()
