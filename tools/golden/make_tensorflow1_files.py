"""Write the files in tensorflow1_files/ with TensorFlow 2.21's tf.compat.v1; run by hand.

Usage: TF_USE_LEGACY_KERAS=1 python -m tools.golden.make_tensorflow1_files
"""

import os
from typing import Any

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import numpy as np
import tensorflow as tf

from . import GOLDEN

HERE = GOLDEN / "tensorflow1_files"
STEPS, INPUTS, UNITS = 20, 2, 3


def checkpoint(session: Any, weights: dict[str, np.ndarray]) -> None:
    """Write a checkpoint, and see that the way out which lyapy names gives the same."""
    saver = tf.compat.v1.train.Saver(save_relative_paths=True)
    path = saver.save(session, str(HERE / "gru.ckpt"), write_meta_graph=False)
    reader = tf.train.load_checkpoint(path)
    found = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    assert found.keys() == {name.removesuffix(":0") for name in weights}
    assert all(np.array_equal(found[name.removesuffix(":0")], weights[name]) for name in weights)


def main() -> None:
    rng = np.random.default_rng(17)
    x = rng.normal(size=(STEPS, INPUTS)).astype("f4")
    expected = {"inputs": x}
    cells = tf.compat.v1.nn.rnn_cell
    makers = {
        "basic_lstm": lambda: cells.BasicLSTMCell(UNITS),
        "lstm_peepholes": lambda: cells.LSTMCell(UNITS, use_peepholes=True, forget_bias=0.5),
        "lstm_projected": lambda: cells.LSTMCell(UNITS, num_proj=2),
        "gru": lambda: cells.GRUCell(UNITS),
    }
    precise = {}
    for name, make in makers.items():
        weights: dict[str, np.ndarray] = {}
        for found, dtype in ((expected, "f4"), (precise, "f8")):
            with tf.Graph().as_default(), tf.compat.v1.Session() as session:
                inputs = x[None].astype(dtype)
                outputs, _ = tf.compat.v1.nn.dynamic_rnn(make(), inputs, dtype=inputs.dtype)
                variables = tf.compat.v1.global_variables()
                for variable in variables:
                    if variable.name not in weights:
                        drawn = rng.normal(0.0, 0.8, variable.shape)
                        weights[variable.name] = drawn.astype("f4")
                    variable.load(weights[variable.name].astype(dtype), session)
                found[name] = session.run(outputs)[0]
                if name == "gru" and dtype == "f4":
                    checkpoint(session, weights)
        np.savez(HERE / f"{name}.npz", **weights)
    np.savez(HERE / "expected.npz", **expected)
    # the same weights in double precision, where float32 rounding is none of the difference
    np.savez(HERE / "expected_float64.npz", **precise)


if __name__ == "__main__":
    main()
