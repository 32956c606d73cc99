"""The table of what is read, in docs/file_formats.md, is made of the files that tests load.

``python tests/test_format_table.py`` prints it.
"""

from pathlib import Path

import numpy as np

import lyapy
from lyapy import Network, WeightsError
from lyapy.layouts.layer import Hints
from lyapy.loading import network_from_arrays

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
CELLS = {
    "vanilla": ("rnn", "simple"),
    "GRU, reset after": ("gru",),
    "GRU, reset before": ("gru_before",),
    "LSTM": ("lstm",),
    "peepholes": ("peepholes",),
    "projection": ("proj",),
    "other activations": ("hard", "relu", "activations"),
    "both directions": ("bidirectional",),
}
# format, folder, beginning and end of the golden files' names
FORMATS = [
    ("Keras 2 `.h5`", "keras_files", "tf_keras_", ".h5"),
    ("Keras 3 `.h5`", "keras_files", "keras_", ".h5"),
    ("Keras 2 weights `.h5`", "keras_files", "tf_keras_", "_old.h5"),
    ("Keras 3 `.weights.h5`", "keras_files", "keras_", ".weights.h5"),
    ("Keras `.keras`", "keras_files", "keras_", ".keras"),
    ("cuDNN layers `.h5`", "keras_files", "tf_keras_cudnn_", "_old.h5"),
    ("ONNX", "onnx_files", "", ".onnx"),
    ("Flax linen", "jax_files", "linen_", ".msgpack"),
    ("Flax nnx", "jax_files", "nnx_", ".msgpack"),
    ("Equinox", "jax_files", "equinox_", ".eqx"),
    ("Haiku `.npz`", "jax_files", "haiku_", ".npz"),
    ("TensorFlow 1 `.npz`", "tensorflow1_files", "", ".npz"),
]
# whose GRU has its reset gate before the product under the plain name
BEFORE = ("Haiku `.npz`", "TensorFlow 1 `.npz`")


def supported(format_name, names):
    """Return for each kind of cell whether a golden file of the format has it."""
    before = format_name in BEFORE
    found = []
    for cell, marks in CELLS.items():
        if cell == "GRU, reset after":
            exact = {"gru", "gru_after"} if not before else set()
            found.append(any(name in exact for name in names))
        elif cell == "GRU, reset before":
            found.append("gru_before" in names or (before and "gru" in names))
        else:
            found.append(any(mark in name for name in names for mark in marks))
    return found


# of PyTorch the files are loaded: the ending of their names, or those of torch_cells.npz
PYTORCH = [
    ("PyTorch `.pt`, `.pth`, `.ckpt`", ("torch_files/*[!d].pt", "lightning_files/*.ckpt")),
    ("PyTorch before 1.6", ("torch_files/*_old.pt",)),
]
COLUMNS = {
    "vanilla": "vanilla",
    "gru": "GRU, reset after",
    "lstm": "LSTM",
    "lstm-projected": "projection",
}


def loaded(patterns):
    """Return the kinds of cells in the golden files of PyTorch that hold one network."""
    found = set()
    for pattern in patterns:
        for path in GOLDEN.glob(pattern):
            try:
                found |= columns(lyapy.load(path))
            except WeightsError as refusal:
                assert "bad_" in path.name or "no recurrent layer" in str(refusal), path
    return found


def in_npz():
    """Return the kinds of cells among torch's arrays that the tests of cells compare."""
    with np.load(GOLDEN / "torch_cells.npz") as archive:
        arrays = dict(archive)
    found = set()
    for case in {name.partition("/")[0] for name in arrays}:
        head = f"{case}/weights/"
        weights = {n.removeprefix(head): a for n, a in arrays.items() if n.startswith(head)}
        hints = Hints(nonlinearity=case.split("_")[1] if case.startswith("rnn") else None)
        found |= columns(network_from_arrays(case, weights, hints))
    return found


def columns(network: Network) -> set[str]:
    kinds = {COLUMNS[cell.name] for cell in network.cells}
    # of bidirectional layers no file of torch is among them; test_loading has made ones
    relu = any(getattr(cell, "nonlinearity", "tanh") != "tanh" for cell in network.cells)
    both = any("other direction" in said for said in network.assumptions)
    return (
        kinds
        | ({"other activations"} if relu else set())
        | ({"both directions"} if both else set())
    )


def table():
    lines = ["| | " + " | ".join(CELLS) + " |", "|---" * (len(CELLS) + 1) + "|"]
    torch = [(name, loaded(patterns)) for name, patterns in PYTORCH]
    for name, kinds in [*torch, ("PyTorch's names in `.npz`", in_npz())]:
        marks = ["yes" if cell in kinds else "" for cell in CELLS]
        lines.append(f"| {name} | " + " | ".join(marks) + " |")
    for name, folder, begin, end in FORMATS:
        files = [p.name for p in (GOLDEN / folder).glob(f"{begin}*{end}")]
        names = {file[len(begin) : -len(end)] for file in files} - {"expected"}
        marks = ["yes" if there else "" for there in supported(name, names)]
        lines.append(f"| {name} | " + " | ".join(marks) + " |")
    return "\n".join(lines)


def test_the_table_in_the_docs_is_what_is_tested():
    assert table() in (ROOT / "docs" / "file_formats.md").read_text(encoding="utf-8")


if __name__ == "__main__":
    print(table())
