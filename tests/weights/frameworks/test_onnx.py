"""ONNX files with every attribute of their nodes: lyapy and onnxruntime compute the same."""

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.tangent.engine import choose_engine
from tests.support import weights_files
from tests.support.weights_files import outputs_of, read_arrays

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")

GOLDEN = weights_files.GOLDEN / "onnx_files"
EXPECTED = dict(np.load(GOLDEN / "expected.npz"))


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "inputs"])
def test_onnxruntime_computes_the_same(name, backend):
    path, x, y = GOLDEN / f"{name}.onnx", EXPECTED["inputs"], EXPECTED[name]
    close, run = {"rtol": 1e-6, "atol": 1e-6}, choose_engine(backend).run_layer
    if name == "lstm_reverse" or name == "lstm_bidirectional":
        network = lyapy.load(path, direction="backward")
        np.testing.assert_allclose(outputs_of(network, x[::-1], run)[::-1], y[:, -3:], **close)
        if name == "lstm_reverse":
            return
    np.testing.assert_allclose(outputs_of(lyapy.load(path), x, run), y[:, :3], **close)


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


def inputs(*names):
    def change(model):
        model.graph.node[0].input[1:] = names

    return change


def dims(*sizes):
    def change(model):
        model.graph.initializer[0].dims[:] = sizes

    return change


def attributes(**values):
    def change(model):
        for item in values.items():
            model.graph.node[0].attribute.append(onnx.helper.make_attribute(*item))

    return change


def name_of_bytes(model):
    """Protobuf gives a text that is not UTF-8 as bytes."""
    model.graph.initializer[0].name = "unlikely"
    return model.SerializeToString().replace(b"unlikely", b"\xff" * 8)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (external, "keeps 'W' in another file, which is not opened"),
        (
            inputs("computed", "R"),
            r"computes its W \('computed'\) in the graph; export with constant",
        ),
        (inputs(), "the node 'cell' has no weights"),
        (dims(1 << 40, 12, 2), r"has \d+ bytes and declares \(1099511627776, 12, 2\) for 'W'"),
        (dims(-1, -12, 2), r"declares \(-1, -12, 2\) for 'W'"),
        (
            attributes(activations=["Softsign", "Tanh", "Tanh"]),
            "the node 'cell' has the activation Softsign; only Tanh",
        ),
        (attributes(direction="sideways"), "has the direction 'sideways'"),
        (
            attributes(activations=["HardSigmoid", "Tanh", "Tanh"], activation_alpha=["a"]),
            r"has activation_alpha \['a'\]",
        ),
        (attributes(clip="a"), "does not fit the layout onnx"),
        (name_of_bytes, "holds a name that is not text|damaged"),
    ],
)
def test_files_that_lie_are_refused(tmp_path, change, finding):
    with pytest.raises(WeightsError, match=finding):
        lyapy.load(changed(tmp_path, change))


def test_a_direction_that_is_alone_is_asked_for():
    with pytest.raises(WeightsError, match="layers run backward; give direction='backward'"):
        lyapy.load(GOLDEN / "lstm_reverse.onnx")
    with pytest.raises(ValueError, match="direction is 'forward', but all layers are backward"):
        lyapy.load(GOLDEN / "lstm_reverse.onnx", direction="forward")


def test_many_names_of_one_tensor_hold_it_once(tmp_path):
    def rename(model):
        pairs = [("W", "W1"), ("W1", "W2")]
        identities = [onnx.helper.make_node("Identity", [a], [b]) for a, b in pairs]
        node = model.graph.node.pop()
        node.input[1] = "W2"
        model.graph.node.extend([*identities, node])

    path = changed(tmp_path, rename)
    arrays = read_arrays(path)
    assert arrays["W"] is arrays["W2"]
    assert lyapy.load(path).digest() == lyapy.load(GOLDEN / "lstm.onnx").digest()
