"""Layers by Keras's names and configurations, in contents made by hand."""

import json

import numpy as np
import pytest

from lyapy import WeightsError
from lyapy.weights.formats import Contents
from lyapy.weights.frameworks import find_layers
from lyapy.weights.frameworks.layer import Hints

RNG = np.random.default_rng(5)


def arrays(group, gates=4, bias=True, n=3):
    """Return a layer's arrays as Keras 3 numbers them."""
    shapes = [(2, gates * n), (n, gates * n), (gates * n,)][: 3 if bias else 2]
    return {f"{group}/vars/{i}": RNG.normal(size=shape) for i, shape in enumerate(shapes)}


def of(kind, name="it", **config):
    return {"class_name": kind, "config": {"name": name} | config}


def model(*layers):
    return of("Functional", "model", layers=list(layers))


def stacks(found, config=None, **metadata):
    said = {} if config is None else {"model_config": json.dumps(config)}
    return find_layers("a.keras", Contents(found, said | metadata), Hints())


def only(found, config=None, **metadata):
    ((layer,),) = stacks(found, config, **metadata).values()
    return layer


LSTM, GRU, RNN = arrays("it/cell"), arrays("it/cell", 3, bias=False), arrays("it/cell", 1)


@pytest.mark.parametrize("kind", ["LSTM", "Custom>LSTM", "my>own>LSTM"])
def test_activations_are_in_the_configuration(kind):
    config = of(kind, activation="relu", recurrent_activation="linear")
    layer = only(LSTM, model(of("Dense", "head"), config))
    assert layer.activations == {"nonlinearity": "relu", "gate": "identity"}
    assert (layer.number, layer.assumed, layer.open_gates) == (0, [], "")


def test_vanilla_layers_have_no_gates():
    assert only(RNN, model(of("SimpleRNN"))).activations == {"nonlinearity": "tanh"}
    assert only(RNN, model(of("SimpleRNN", activation=None))).activations == {
        "nonlinearity": "identity"
    }


@pytest.mark.parametrize(("wrapper", "inside"), [("Bidirectional", "layer"), ("RNN", "cell")])
@pytest.mark.parametrize("kind", ["LSTM", "LSTMCell"])
def test_a_wrapper_has_the_activations_of_its_layer(wrapper, inside, kind):
    wrapped = of(kind, "other", activation="relu")
    assert only(LSTM, model(of(wrapper, **{inside: wrapped}))).activations["nonlinearity"] == "relu"


@pytest.mark.parametrize(
    ("config", "cell"),
    [
        ({"reset_after": True}, "gru"),
        ({"reset_after": False}, "gru-reset-before"),
        # before there was a choice
        ({}, "gru-reset-before"),
    ],
)
def test_the_configuration_places_the_reset_gate_of_a_gru_without_biases(config, cell):
    layer = only(GRU, model(of("GRU", **config)))
    assert (layer.cell, layer.open_reset) == (cell, False)


def test_without_a_configuration_no_more_is_asked_than_is_open():
    for found, reset in ((GRU, True), (LSTM, False), (arrays("it/cell", 3), False)):
        layer = only(found)
        assert (layer.open_reset, layer.activations) == (reset, {})
        assert layer.open_gates.startswith("Keras keeps activations")
    # of another layer
    assert only(LSTM, model(of("LSTM", "that"))).open_gates


@pytest.mark.parametrize(("given", "kind"), [("swish", "silu"), ("softplus", "softplus")])
def test_smooth_activations_are_read(given, kind):
    layer = only(RNN, model(of("SimpleRNN", activation=given)))
    assert layer.activations == {"nonlinearity": kind}


@pytest.mark.parametrize("value", ["softsign", {"class_name": "Own"}, ["tanh"], 1])
def test_an_activation_that_is_not_known_is_refused(value):
    with pytest.raises(WeightsError, match=r"the layer 'it' has the recurrent_activation .*; only"):
        stacks(LSTM, model(of("LSTM", recurrent_activation=value)))


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"keras_version": "3.0.1"}, "hard-sigmoid"),
        ({"keras_version": "10.0"}, "hard-sigmoid"),
        ({"keras_version": "2.99"}, "hard-sigmoid-keras2"),
        ({"keras_version": "nightly"}, "hard-sigmoid-keras2"),
        ({}, "hard-sigmoid-keras2"),
        ({"archive_metadata": '{"keras_version": "3.1"}'}, "hard-sigmoid"),
        ({"archive_metadata": "3"}, "hard-sigmoid-keras2"),
        ({"model_weights@keras_version": "3.1"}, "hard-sigmoid"),
    ],
)
def test_the_version_of_keras_decides_on_the_hard_sigmoid(metadata, kind):
    config = model(of("LSTM", recurrent_activation="hard_sigmoid"))
    assert only(LSTM, config, **metadata).activations["gate"] == kind


@pytest.mark.parametrize("backwards", [False, True])
def test_a_layer_that_reads_backwards_says_so(backwards):
    layer = only(LSTM, model(of("LSTM", go_backwards=backwards)))
    assert layer.assumed == ["it reads its input backwards: reverse the inputs"] * backwards


def test_the_forward_layer_is_the_first():
    found = arrays("it/backward_layer/cell") | arrays("it/forward_layer/cell")
    (both,) = stacks(found).values()
    assert [layer.direction for layer in both] == ["forward", "backward"]
    np.testing.assert_array_equal(both[1].arrays["W"], found["it/backward_layer/cell/vars/0"].T)


def test_layers_of_one_name_are_distinguished_by_their_groups():
    found = stacks(arrays("it/a/cell") | arrays("it/b/cell"))
    assert list(found) == ["it/a/cell/", "it/b/cell/"]
    assert [layer.names["U"] for (layer,) in found.values()] == [f"{g}vars/1" for g in found]


def test_a_recurrent_kernel_alone_is_no_layer():
    assert (
        stacks({"it/cell/vars/1": np.ones((3, 12)), "b/recurrent_kernel": np.ones((3, 12))}) == {}
    )


@pytest.mark.parametrize(
    ("group", "config", "metadata", "name"),
    [
        ("it/cell", None, {}, "it"),
        ("model_weights/it/more/cell", None, {}, "it"),
        ("layers/lstm/cell", None, {}, "lstm"),
        ("layers/lstm/cell", None, {"layers/lstm/vars@name": "mine"}, "mine"),
        # a cell that a model holds by itself
        ("own_cell", None, {"own_cell/vars@name": "mine"}, "mine"),
        ("a/b/cell", None, {"a/b/vars@name": "inner", "a/vars@name": "outer"}, "outer"),
        # the outermost that the model knows
        (
            "a/b/cell", model(of("LSTM", "inner")),
            {"a/b/vars@name": "inner", "a/vars@name": "outer"}, "inner",
        ),
        ("a/b/c/cell", model(of("LSTM", "c"), of("GRU", "b")), {}, "b"),
        ("a/cell", model(of("LSTM", "c")), {}, "a"),
        ("layers/lstm", None, {}, None),
        ("layers/lstm_1/cell", model(of("LSTM", "first"), of("LSTM", "second")), {}, "second"),
        ("layers/lstm/cell", model(of("Dense", "head"), of("LSTM", "first")), {}, "first"),
        ("layers/simple_rnn_2/cell", model(*(of("SimpleRNN", c) for c in "abc")), {}, "c"),
        ("layers/conv_lstm2d/cell", model(of("ConvLSTM2D", "mine")), {}, "mine"),
        ("layers/lstm_7/cell", model(of("LSTM", "first")), {}, "lstm_7"),
        ("layers/lstm/cell", model(3, {}, {"config": 3}, of("LSTM", "first")), {}, "first"),
    ],
)  # fmt: skip
def test_a_layer_has_the_name_that_the_user_gave(group, config, metadata, name):
    found = stacks(arrays(group), config, **metadata)
    assert list(found) == ([] if name is None else [name])


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"text"', "[3]", '{"config": [[]]}'])
def test_a_configuration_that_says_nothing_leaves_gates_open(text):
    assert only(LSTM, model_config=text).open_gates


@pytest.mark.parametrize("deep", [60, 61])
@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"a": x}, lambda x: {"config": x}])
def test_a_configuration_is_followed_to_a_depth_of_60(wrap, deep):
    config = of("LSTM")
    for _ in range(deep):
        config = wrap(config)
    assert bool(only(LSTM, config).activations) == (deep == 60)
