"""Closing the loop by the read-out in a file: one loop in every format, or a refusal by name."""

import json
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.cli import main
from lyapy.weights.formats import Contents
from lyapy.weights.frameworks.layer import Hints
from lyapy.weights.load import load_closed_loop

GOLDEN = Path(__file__).parents[1] / "golden" / "readout_files"
SUFFIXES = [".safetensors", ".h5", ".keras", ".weights.h5", ".onnx", "_dynamo.onnx",
            ".msgpack"]  # fmt: skip
RNG = np.random.default_rng(18)
N, M = 4, 3
R, C = RNG.normal(size=(M, N)), RNG.normal(size=M)
GRU = {
    "rnn.weight_ih_l0": RNG.normal(size=(3 * N, M)),
    "rnn.weight_hh_l0": RNG.normal(size=(3 * N, N)),
    "rnn.bias_ih_l0": RNG.normal(size=3 * N),
    "rnn.bias_hh_l0": RNG.normal(size=3 * N),
}
TORCH = {**GRU, "head.weight": R, "head.bias": C}


def exponents(path):
    hints = Hints(gate_nonlinearity="sigmoid") if path.name.endswith(".weights.h5") else Hints()
    loop = load_closed_loop(path, hints)
    assert any(line.startswith("the read-out is ") for line in loop.assumptions)
    start = np.full(loop.state_size, 0.1)
    return lyapy.lyapunov_spectrum(loop, steps=100, initial_state=start).exponents


@pytest.mark.parametrize("name", ["square", "rectangular"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_closed_loop_however_it_was_saved(name, suffix):
    """Exactly: a square read-out taken transposed, or without its bias, is another loop."""
    for package, needed in (("onnx", ".onnx"), ("msgpack", ".msgpack")):
        if suffix.endswith(needed):
            pytest.importorskip(package)
    wanted = exponents(GOLDEN / f"{name}.pt")
    np.testing.assert_allclose(exponents(GOLDEN / f"{name}{suffix}"), wanted, rtol=0, atol=1e-9)


def closed(tmp_path, arrays, readout=None, **hints):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    return load_closed_loop(path, Hints(**hints), readout)


def assert_closed_by(loop, matrix, bias):
    for found, wanted in zip(loop.cells[0].readout, (matrix, bias), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"embedding.weight": np.ones((9, M))}, r"embedding.weight \(9, 3\)"),
        ({"norm.weight": np.ones(N), "norm.bias": np.ones(N)}, r"norm.weight \(4,\), norm.bias"),
        ({"encoder.weight": np.ones((M, 7))}, r"encoder.weight \(3, 7\)"),
    ],
)
def test_other_layers_that_may_be_in_the_loop_are_named(tmp_path, others, named):
    with pytest.raises(WeightsError, match=rf"head.weight leads .*, but so may {named}.*readout="):
        closed(tmp_path, TORCH | others)
    loop = closed(tmp_path, TORCH | others, readout="head")
    assert_closed_by(loop, R, C)
    assert loop.assumptions[-1].startswith("left out of the closed loop: ")


def test_other_heads_and_counters_are_no_layers_of_the_loop(tmp_path):
    others = {"critic.weight": np.ones((1, N)), "critic.bias": np.ones(1), "seen": np.ones(N, int)}
    loop = closed(tmp_path, TORCH | others)
    assert_closed_by(loop, R, C)
    assert loop.assumptions[-1] == "the read-out is head.weight and head.bias"


@pytest.mark.parametrize(
    ("name", "bias"), [("W_out", "b_out"), ("fc_w", "fc_b"), ("out.W", "out.b")]
)
def test_biases_under_the_names_of_scripts(tmp_path, name, bias):
    assert_closed_by(closed(tmp_path, {**GRU, name: R, bias: C}), R, C)


def test_the_bias_of_a_cell_is_none_of_the_readout(tmp_path):
    cell = {"weight_ih": GRU["rnn.weight_ih_l0"], "weight_hh": GRU["rnn.weight_hh_l0"]}
    cell |= {"bias": np.ones(3 * N), "bias_n": np.ones(N)}
    assert_closed_by(closed(tmp_path, {**cell, "readout": R}), R, np.zeros(M))


def test_haiku_and_tensorflow1_keep_readouts_transposed(tmp_path):
    core = {"gru/w_i": np.ones((M, 3 * N)), "gru/w_h": np.ones((N, 3 * N)), "gru/b": np.ones(3 * N)}
    loop = closed(tmp_path, {**core, "linear/w": R.T, "linear/b": C}, layout="haiku")
    assert_closed_by(loop, R, C)
    shapes = {"gates/kernel:0": (M + N, 2 * N), "gates/bias:0": 2 * N}
    shapes |= {"candidate/kernel:0": (M + N, N), "candidate/bias:0": N}
    scope = {f"rnn/{name}": np.ones(shape) for name, shape in shapes.items()}
    dense = {"dense/kernel:0": R.T, "dense/bias:0": C}
    assert_closed_by(closed(tmp_path, scope | dense, layout="tensorflow1"), R, C)


def test_equinox_keeps_a_readout_after_its_cell(tmp_path):
    leaves = [*list(GRU.values())[:3], np.ones(N), R, C]
    with open(tmp_path / "a.eqx", "wb") as file:
        for leaf in leaves:
            np.save(file, leaf)
    loop = load_closed_loop(tmp_path / "a.eqx", Hints(layout="equinox"))
    assert_closed_by(loop, R, C)


def keras(tmp_path, monkeypatch, *others, head=None):
    dense = {"class_name": "Dense", "config": {"name": "head", **(head or {})}}
    gru = {"class_name": "GRU", "config": {"name": "rnn", "reset_after": True}}
    layers = [{"class_name": kind, "config": {"name": kind.lower()}} for kind in others]
    model = {"class_name": "Sequential", "config": {"layers": [*layers, gru, dense]}}
    arrays = {"rnn/gru_cell/kernel": np.ones((M, 3 * N)), "head/kernel": R.T, "head/bias": C}
    arrays |= {"rnn/gru_cell/recurrent_kernel": np.ones((N, 3 * N))}
    contents = Contents(arrays, {"model_config": json.dumps(model)})
    monkeypatch.setattr("lyapy.weights.source.read_contents", lambda path: contents)
    return load_closed_loop("a.keras", Hints())


def test_a_keras_model_names_the_other_layers_of_the_loop(tmp_path, monkeypatch):
    assert_closed_by(keras(tmp_path, monkeypatch, "InputLayer", "Dropout"), R, C)
    named = "but so may Embedding 'embedding', Conv1D 'conv1d'"
    with pytest.raises(WeightsError, match=named):
        keras(tmp_path, monkeypatch, "InputLayer", "Embedding", "Conv1D")
    curved = keras(tmp_path, monkeypatch, head={"activation": "sigmoid"})
    assert curved.assumptions[-1] == "the read-out is head/kernel and head/bias, then sigmoid"
    with pytest.raises(WeightsError, match="the read-out head/kernel has the activation softmax"):
        keras(tmp_path, monkeypatch, head={"activation": "softmax"})


def onnx_loop(tmp_path, make_nodes, **constants):
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    arrays = {"W": GRU["rnn.weight_ih_l0"][None], "U": GRU["rnn.weight_hh_l0"][None]} | constants
    nodes = [helper.make_node("GRU", ["x", "W", "U"], ["Y"], name="gru", hidden_size=N)]
    nodes += [helper.make_node("Squeeze", ["Y"], ["y"]), *make_nodes(helper.make_node)]
    initializers = [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()]
    (tmp_path / "a.onnx").write_bytes(
        helper.make_model(
            helper.make_graph(nodes, "g", [], [], initializers),
            opset_imports=[helper.make_opsetid("", 18)],
        ).SerializeToString()
    )
    assert onnx
    return load_closed_loop(tmp_path / "a.onnx", Hints())


def product(node):
    return [node("MatMul", ["y", "R"], ["z"]), node("Add", ["c", "z"], ["out"])]


def test_onnx_is_followed_through_its_graph(tmp_path):
    loop = onnx_loop(tmp_path, product, R=R.T, c=C)
    assert_closed_by(loop, R, C)
    assert loop.assumptions[-1] == "the read-out is 'z', R and c"
    curved = onnx_loop(tmp_path, lambda node: [*product(node), node("Tanh", ["out"], ["p"])],
                       R=R.T, c=C)  # fmt: skip
    assert curved.digest() == lyapy.ClosedLoop(loop.open_loop, R, C, "tanh").digest()
    assert curved.assumptions[-1] == "the read-out is 'z', R and c, then tanh"
    gemm = onnx_loop(
        tmp_path,
        lambda node: [node("Gemm", ["y", "R", "c"], ["z"], transB=1, alpha=2.0, beta=0.5)],
        R=R, c=C[None],
    )  # fmt: skip
    assert_closed_by(gemm, 2.0 * R, 0.5 * C)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            lambda node: [node("Exp", ["y"], ["v"], name="s"), node("MatMul", ["v", "R"], ["z"])],
            "but so may Exp 's'",
        ),
        (lambda node: [*product(node), node("Exp", ["out"], ["p"], name="s")], "so may Exp 's'"),
        (lambda node: [node("Mul", ["e", "e"], ["x"]), *product(node)], "but so may Mul"),
        (lambda node: [node("MatMul", ["y", "computed"], ["z"])], "no read-out leads from"),
    ],
)  # fmt: skip
def test_onnx_names_the_nodes_on_the_way(tmp_path, nodes, message):
    with pytest.raises(WeightsError, match=message):
        onnx_loop(tmp_path, nodes, R=R.T, c=C)


def test_onnx_of_a_network_that_the_exporter_changed(tmp_path):
    """As torch 2.13 does with dynamo=True: it unrolls a vanilla network, and loses proj_size."""
    onnx = pytest.importorskip("onnx")
    folder = GOLDEN.parent / "onnx_files"
    model = onnx.load(folder / "lstm.onnx")
    model.graph.node[0].input.extend([""] * (7 - len(model.graph.node[0].input)))
    model.graph.node[0].input[6] = "c0"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((1, 1, 5)), "c0"))
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match=r"an initial state of 5.*lost the projection"):
        lyapy.load(tmp_path / "a.onnx")
    model.graph.node[0].op_type = "MatMul"
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match=r"holds no RNN, GRU or LSTM node.*dynamo=False"):
        lyapy.load(tmp_path / "a.onnx")


def test_info_and_show_list_the_read_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["info", str(GOLDEN / "square.keras")]) == 0
    line = "the read-out is 'head', layers/dense/vars/0 and layers/dense/vars/1"
    assert f"  closed loop: {line}\n" in capsys.readouterr().out
    np.savez("a.npz", **TORCH, **{"norm.weight": np.ones(N)})
    assert main(["info", "a.npz"]) == 0
    assert "closed loop: the read-out head.weight leads to the" in capsys.readouterr().out
    run = ["spectrum", "a.npz", "--closed-loop", "--readout", "head", "-o", "a.h5", "--quiet"]
    assert main([*run, "--steps", "50"]) == 0
    capsys.readouterr()
    assert main(["show", "a.h5"]) == 0
    assert "assumed: left out of the closed loop: norm.weight (4,)" in capsys.readouterr().out
