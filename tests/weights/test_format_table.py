"""The table of formats in docs/file_formats.md agrees with the golden files, each loaded.

``python -m tests.weights.test_format_table`` prints it.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy import Network, WeightsError
from lyapy.cells.activations import kind_of
from lyapy.weights.formats import Contents
from lyapy.weights.frameworks.layer import Hints
from lyapy.weights.load import network_from_contents
from tests.support.weights_files import GOLDEN, of_case

ROOT = Path(__file__).parents[2]
CELLS = {
    "vanilla": "vanilla",
    "gru": "GRU, reset after",
    "gru-reset-before": "GRU, reset before",
    "lstm": "LSTM",
    "peepholes": "peepholes",
    "lstm-projected": "projection",
    "activations": "other activations",
    "directions": "both directions",
}
# format, golden files, and hints for those that leave something open
FORMATS = [
    (
        "PyTorch `.pt`, `.pth`, `.ckpt`",
        r"torch_files/(?!bad_).*(?<!_old)\.pt|lightning_files/.*\.ckpt",
        {},
    ),
    ("PyTorch before 1.6", r"torch_files/.*_old\.pt", {}),
    ("PyTorch `.safetensors`", r"torch_files/.*\.safetensors", {}),
    ("Keras 2 `.h5`", r"keras_files/tf_keras_.*(?<!_old)(?<!\.weights)\.h5", {}),
    ("Keras 3 `.h5`", r"keras_files/keras_.*(?<!\.weights)\.h5", {}),
    ("Keras 2 weights `.h5`", r"keras_files/tf_keras_(?!cudnn).*_old\.h5", {}),
    ("Keras 3 `.weights.h5`", r"keras_files/(tf_)?keras_.*\.weights\.h5", {}),
    ("Keras `.keras`", r"keras_files/.*\.keras", {}),
    ("cuDNN layers `.h5`", r"keras_files/tf_keras_cudnn_.*_old\.h5", {}),
    ("ONNX", r"onnx_files/.*\.onnx", {}),
    ("Flax linen", r"jax_files/linen_.*\.msgpack", {}),
    ("Flax nnx", r"jax_files/nnx_.*\.msgpack", {}),
    ("Equinox", r"jax_files/equinox_.*\.eqx", {"layout": "equinox"}),
    ("Haiku `.npz`", r"jax_files/haiku_.*\.npz", {"layout": "haiku"}),
    ("TensorFlow 1 `.npz`", r"tensorflow1_files/(?!expected).*\.npz", {"layout": "tensorflow1"}),
]
# hints that refusals ask for, tried in this order
ANSWERS = [
    {"nonlinearity": "tanh"},
    {"nonlinearity": "relu"},
    {"gate_nonlinearity": "sigmoid"},
    {"gate_nonlinearity": "hard-sigmoid"},
    {"cell": "gru", "gate_nonlinearity": "sigmoid"},
    {"prefix": "first"},
    {"prefix": "gru"},
    {"direction": "backward"},
]
# files that hold no network, or several ones
WITHOUT = r"no recurrent layer|recurrent networks, with prefixes"
# asked for by the name of the file, as a user would know of the own network
KNOWN = {"relu": {"nonlinearity": "relu"}, "hard": {"gate_nonlinearity": "hard-sigmoid"}}


def load(path, hints):
    """Return the network of a golden file, or None where there is not one."""
    known = [answer for mark, answer in KNOWN.items() if mark in path.stem]
    refusals = []
    for answer in [{}, *known, *ANSWERS]:
        try:
            return lyapy.load(path, **hints | answer)
        except WeightsError as refusal:
            refusals.append(str(refusal))
    assert re.search(WITHOUT, refusals[0]), (path, refusals[0])
    return None


def columns(network: Network) -> set[str]:
    found = {"directions"} if any("direction" in said for said in network.assumptions) else set()
    for cell in network.cells:
        found.add(cell.name.removesuffix("-variant"))
        usual = {"gate": "sigmoid", "candidate": "tanh", "output": "tanh"}
        kinds = {name: getattr(cell.weights, name, kind_of(kind)) for name, kind in usual.items()}
        if kinds != {name: kind_of(kind) for name, kind in usual.items()}:
            found.add("activations")
        if getattr(cell, "nonlinearity", "tanh") != "tanh":
            found.add("activations")
        if np.any(getattr(cell.weights, "peepholes", 0.0)):
            found.add("peepholes")
    return found


def in_files(pattern, hints):
    paths = [p for p in sorted(GOLDEN.rglob("*")) if re.fullmatch(pattern, _name(p))]
    networks = [load(path, hints) for path in paths]
    return set().union(*(columns(network) for network in networks if network is not None))


def _name(path):
    return path.relative_to(GOLDEN).as_posix()


def in_npz():
    path, found = GOLDEN / "torch_cells.npz", set()
    for case in {name.partition("/")[0] for name in np.load(path)}:
        weights = of_case(path, f"{case}/weights")
        hints = Hints(nonlinearity=case.split("_")[1] if case.startswith("rnn") else None)
        found |= columns(network_from_contents(case, Contents(weights, {}), hints))
    return found


def table():
    rows = [(name, in_files(pattern, hints)) for name, pattern, hints in FORMATS]
    rows.insert(3, ("PyTorch's names in `.npz`", in_npz()))
    lines = ["| | " + " | ".join(CELLS.values()) + " |", "|---" * (len(CELLS) + 1) + "|"]
    for name, kinds in rows:
        assert kinds <= set(CELLS), (name, kinds)
        marks = ["yes" if cell in kinds else "" for cell in CELLS]
        lines.append(f"| {name} | " + " | ".join(marks) + " |")
    return "\n".join(lines)


@pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("msgpack")), reason="needs the extras onnx and flax"
)
def test_the_table_in_the_docs_lists_the_files_that_are_read():
    assert table() in (ROOT / "docs" / "file_formats.md").read_text(encoding="utf-8")


if __name__ == "__main__":
    print(table())
