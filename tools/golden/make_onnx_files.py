"""Write the files in onnx_files/, with the outputs of onnxruntime 1.32; run by hand.

Usage: python -m tools.golden.make_onnx_files
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from . import GOLDEN

HERE = GOLDEN / "onnx_files"
STEPS, INPUTS, UNITS = 20, 2, 3
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("RNN", {}),
    "rnn_relu": ("RNN", {"activations": ["Relu"]}),
    "gru_before": ("GRU", {}),
    "gru_after": ("GRU", {"linear_before_reset": 1}),
    "gru_hard": ("GRU", {"activations": ["HardSigmoid", "Tanh"], "linear_before_reset": 1,
                         "activation_alpha": [0.2], "activation_beta": [0.5]}),
    "gru_clip": ("GRU", {"clip": 0.5, "linear_before_reset": 1}),
    "gru_before_hard": ("GRU", {"activations": ["HardSigmoid", "Relu"],
                                "activation_alpha": [0.2], "activation_beta": [0.5]}),
    "lstm": ("LSTM", {}),
    "lstm_reverse": ("LSTM", {"direction": "reverse"}),
    "lstm_bidirectional": ("LSTM", {"direction": "bidirectional"}),
    "lstm_peepholes": ("LSTM", {}),
    "lstm_coupled": ("LSTM", {"input_forget": 1}),
    "lstm_coupled_peepholes": ("LSTM", {"input_forget": 1}),
    "lstm_clip": ("LSTM", {"clip": 0.7}),
    "lstm_activations": ("LSTM", {"activations": ["HardSigmoid", "Relu", "Sigmoid"],
                                  "activation_alpha": [1 / 6], "activation_beta": [0.5]}),
    "lstm_no_bias": ("LSTM", {}),
}  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(STEPS, 1, INPUTS)).astype("f4")
    expected = {"inputs": x[:, 0]}
    for name, (op, attributes) in CASES.items():
        D, rows = 1 + ("bidirectional" in name), GATES[op] * UNITS
        shapes = {"W": (D, rows, INPUTS), "R": (D, rows, UNITS), "B": (D, 2 * rows)}
        if "no_bias" in name:
            del shapes["B"]
        if "peepholes" in name:
            shapes["P"] = (D, 3 * UNITS)
        weights = {k: rng.normal(0.0, 0.8, s).astype("f4") for k, s in shapes.items()}
        inputs = ["X", "W", "R", "B" if "B" in weights else "", "", "", "", "P"]
        inputs = inputs[: 8 if "P" in weights else 4]
        node = helper.make_node(op, inputs, ["Y"], name="cell", hidden_size=UNITS, **attributes)
        graph = helper.make_graph(
            [node], "g",
            [helper.make_tensor_value_info("X", TensorProto.FLOAT, x.shape)],
            [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (STEPS, D, 1, UNITS))],
            [numpy_helper.from_array(w, k) for k, w in weights.items()],
        )  # fmt: skip
        opset = [helper.make_opsetid("", 14)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, HERE / f"{name}.onnx")
        session = onnxruntime.InferenceSession(model.SerializeToString())
        (y,) = session.run(["Y"], {"X": x})
        expected[name] = y[:, :, 0].reshape(STEPS, -1)
    np.savez(HERE / "expected.npz", **expected)


if __name__ == "__main__":
    main()
