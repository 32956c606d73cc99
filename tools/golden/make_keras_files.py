"""Write the files in keras_files/ with real Keras; run by hand, once with each Keras.

Usage: python -m tools.golden.make_keras_files keras      (3.15 with TensorFlow 2.21 was used)
       python -m tools.golden.make_keras_files tf_keras   (2.21, which is Keras 2)
"""

import importlib
import os
import sys
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import numpy as np
import tensorflow as tf

from . import GOLDEN

HERE = GOLDEN / "keras_files"
STEPS, INPUTS, UNITS = 20, 2, 3


def models(keras: Any) -> dict[str, Any]:
    """Return one model of each kind; the first recurrent layer's outputs are its outputs."""
    layers = keras.layers
    recurrent = {
        "lstm": layers.LSTM(UNITS, return_sequences=True),
        "gru": layers.GRU(UNITS, return_sequences=True),
        "gru_before": layers.GRU(UNITS, return_sequences=True, reset_after=False),
        "rnn": layers.SimpleRNN(UNITS, return_sequences=True),
        "rnn_relu": layers.SimpleRNN(UNITS, return_sequences=True, activation="relu"),
        "lstm_hard": layers.LSTM(UNITS, return_sequences=True, recurrent_activation="hard_sigmoid"),
        "lstm_relu": layers.LSTM(UNITS, return_sequences=True, activation="relu"),
        "lstm_no_bias": layers.LSTM(UNITS, return_sequences=True, use_bias=False),
        "gru_hard": layers.GRU(UNITS, return_sequences=True, recurrent_activation="hard_sigmoid"),
        "gru_no_bias": layers.GRU(UNITS, return_sequences=True, use_bias=False),
        "bidirectional": layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True)),
    }
    found = {
        name: keras.Sequential([keras.Input((None, INPUTS)), layer])
        for name, layer in recurrent.items()
    }
    x = keras.Input((None, INPUTS))
    first = layers.GRU(UNITS, return_sequences=True, name="first")(x)
    dense = layers.Dense(UNITS, name="between")
    second = layers.GRU(4, return_sequences=True, name="second")(first)
    found["stack"] = keras.Model(x, [second, dense(first)])
    return found


def randomise(model: Any, rng: np.random.Generator) -> None:
    model.set_weights([rng.normal(0.0, 0.8, w.shape).astype("f4") for w in model.get_weights()])


def cudnn(keras: Any, x: np.ndarray, rng: np.random.Generator, expected: dict[str, Any]) -> None:
    """Write layers of cuDNN's layout; Keras itself converts them for a processor."""
    for name, old, plain in (
        ("cudnn_lstm", tf.compat.v1.keras.layers.CuDNNLSTM, keras.layers.LSTM),
        ("cudnn_gru", tf.compat.v1.keras.layers.CuDNNGRU, keras.layers.GRU),
    ):
        layer = old(UNITS, return_sequences=True, name="rnn")
        model = keras.Sequential([keras.Input((STEPS, INPUTS)), layer])
        layer.set_weights([rng.normal(0.0, 0.8, w.shape).astype("f4") for w in layer.weights])
        path = HERE / f"tf_keras_{name}_old.h5"
        model.save_weights(path, save_format="h5")
        layer = plain(UNITS, return_sequences=True, name="rnn")
        model = keras.Sequential([keras.Input((None, INPUTS)), layer])
        model.load_weights(path)
        expected[f"tf_keras_{name}"] = np.asarray(model(x[None]))[0]


def main(which: str) -> None:
    keras = importlib.import_module(which)
    rng = np.random.default_rng(7)
    x = rng.normal(size=(STEPS, INPUTS)).astype("f4")
    expected: dict[str, Any] = {"inputs": x}
    for name, model in models(keras).items():
        randomise(model, rng)
        y = model(x[None])
        y = y[0] if isinstance(y, list) else y
        expected[f"{which}_{name}"] = np.asarray(y)[0]
        model.save_weights(HERE / f"{which}_{name}.weights.h5")
        model.save(HERE / f"{which}_{name}.h5")
        model.save(HERE / f"{which}_{name}.keras")
        if which == "tf_keras":
            model.save_weights(HERE / f"{which}_{name}_old.h5", save_format="h5")
    if which == "tf_keras":
        cudnn(keras, x, rng, expected)
    np.savez(HERE / f"{which}_expected.npz", **expected)


if __name__ == "__main__":
    main(sys.argv[1])
