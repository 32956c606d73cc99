"""Files written by Keras: lyapy and Keras compute the same."""

import json
import time

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError, lyapunov_spectrum
from lyapy.weights.formats import read_contents
from lyapy.weights.frameworks import find_layers
from lyapy.weights.frameworks.layer import Hints
from tests.support import weights_files
from tests.support.weights_files import outputs_of

GOLDEN = weights_files.GOLDEN / "keras_files"
EXPECTED = {
    which: dict(np.load(GOLDEN / f"{which}_expected.npz")) for which in ("keras", "tf_keras")
}
SUFFIXES = {"keras": [".h5", ".keras", ".weights.h5"]}
SUFFIXES["tf_keras"] = [*SUFFIXES["keras"], "_old.h5"]
ACTIVATIONS = {"rnn_relu": "relu", "lstm_relu": "relu"}
CASES = [
    (which, name.removeprefix(f"{which}_"), suffix)
    for which, expected in EXPECTED.items()
    for name in expected
    for suffix in SUFFIXES[which]
    if (GOLDEN / f"{name}{suffix}").exists()
]


def hints(which, name, suffix):
    """Return the hints that a file needs."""
    numbered = which == "tf_keras" and suffix == ".weights.h5"
    names = ["gru", "gru_1"] if numbered else ["first", "second"]
    said = {"prefix": names} if name == "stack" else {}
    if suffix in (".h5", ".keras") or name.startswith("cudnn"):
        return said
    said["nonlinearity"] = ACTIVATIONS.get(name, "tanh")
    if not name.startswith("rnn"):
        hard = "hard-sigmoid" if which == "keras" else "hard-sigmoid-keras2"
        said["gate_nonlinearity"] = hard if name.endswith("_hard") else "sigmoid"
    if name == "gru_no_bias":
        said["cell"] = "gru"
    return said


@pytest.mark.parametrize(("which", "name", "suffix"), CASES)
def test_keras_computes_the_same(which, name, suffix):
    network = lyapy.load(GOLDEN / f"{which}_{name}{suffix}", **hints(which, name, suffix))
    x, y = EXPECTED[which]["inputs"], EXPECTED[which][f"{which}_{name}"]
    if name == "bidirectional":
        back = {**hints(which, name, suffix), "direction": "backward"}
        backward = lyapy.load(GOLDEN / f"{which}_{name}{suffix}", **back)
        np.testing.assert_allclose(outputs_of(backward, x[::-1])[::-1], y[:, 3:], rtol=0, atol=1e-6)
        y = y[:, :3]
    np.testing.assert_allclose(outputs_of(network, x), y, rtol=0, atol=1e-6)


@pytest.mark.parametrize("which", EXPECTED)
@pytest.mark.parametrize("name", ["lstm", "gru", "gru_before", "rnn", "lstm_hard"])
def test_one_spectrum_however_it_was_saved(which, name):
    x = EXPECTED[which]["inputs"].astype(float)
    spectra = [
        lyapunov_spectrum(
            lyapy.load(GOLDEN / f"{which}_{name}{s}", **hints(which, name, s)), x
        ).exponents
        for s in SUFFIXES[which]
    ]
    for other in spectra[1:]:
        np.testing.assert_allclose(other, spectra[0], atol=1e-12)


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("keras_lstm.weights.h5", "Keras keeps activations in .*give gate_nonlinearity='sigmoid'"),
        ("tf_keras_gru_old.h5", r"Keras 2\.\d+\.\d+ keeps activations .*give gate_nonlin"),
        ("keras_rnn.weights.h5", "give nonlinearity='tanh', 'relu'"),
        ("keras_gru_no_bias.weights.h5", "does not say where its reset gate is; give cell='gru'"),
        ("keras_stack.keras", "2 recurrent networks, with prefixes 'first', 'second'; pick one"),
    ],
)
def test_open_choices_are_asked_for(file, what):
    with pytest.raises(WeightsError, match=what):
        lyapy.load(GOLDEN / file)


def test_a_long_configuration_takes_no_longer_than_it_is():
    layers = [{"class_name": f"A{i}", "config": {}} for i in range(20_000)]
    layers += [None, {}, {"config": 3}]
    found = read_contents(GOLDEN / "keras_lstm.weights.h5")
    found.metadata["model_config"] = json.dumps({"config": {"layers": layers}})
    begin = time.process_time()
    find_layers("a.h5", found, Hints())
    assert time.process_time() - begin < 1.0


def test_layers_are_stacked_by_their_names():
    network = lyapy.load(GOLDEN / "keras_stack.keras", prefix=["first", "second"])
    assert [cell.state_size for cell in network.cells] == [3, 4]


def test_assumed_parameters_are_kept():
    network = lyapy.load(GOLDEN / "keras_lstm.weights.h5", gate_nonlinearity="sigmoid")
    (assumed,) = network.assumptions
    assert "tanh next to the gates" in assumed
    x = EXPECTED["keras"]["inputs"].astype(float)
    assert lyapunov_spectrum(network, x, k=1).settings["assumptions"] == [assumed]
