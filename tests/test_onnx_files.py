"""ONNX files with every attribute of their nodes: the network computes what onnxruntime does."""

from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.engines import choose_engine
from lyapy.forward import forward_chunk

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")

GOLDEN = Path(__file__).parent / "golden" / "onnx_files"
EXPECTED = dict(np.load(GOLDEN / "expected.npz"))


def outputs(network, inputs, backend="numpy"):
    run = choose_engine(backend).run_layer
    states = forward_chunk(network, inputs.astype(float), np.zeros(network.state_size), run).states
    return states[:, :3]


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "inputs"])
def test_onnxruntime_computes_the_same(name, backend):
    path, x, y = GOLDEN / f"{name}.onnx", EXPECTED["inputs"], EXPECTED[name]
    close = {"rtol": 1e-6, "atol": 2e-6}
    if name == "lstm_reverse" or name == "lstm_bidirectional":
        network = lyapy.load(path, direction="backward")
        np.testing.assert_allclose(outputs(network, x[::-1], backend)[::-1], y[:, -3:], **close)
        if name == "lstm_reverse":
            return
    np.testing.assert_allclose(outputs(lyapy.load(path), x, backend), y[:, :3], **close)


def changed(tmp_path, change):
    model = onnx.load(GOLDEN / "lstm.onnx")
    change(model)
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
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


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (external, "keeps 'W' in another file, not opened"),
        (computed, r"computes its W \('computed'\) in the graph; export with constant"),
        (softsign, "the node 'cell' has the activation Softsign; only Tanh"),
        (lying, "is damaged"),
    ],
)
def test_what_is_refused(tmp_path, change, what):
    with pytest.raises(WeightsError, match=what):
        lyapy.load(changed(tmp_path, change))
