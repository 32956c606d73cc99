"""Write the files in training_files/: networks as training leaves them; run by hand.

Usage: python -m tools.golden.make_training_files torch keras tf_keras flax

Each name writes the files of one framework, so that they may be in separate environments: torch
2.13; Keras 3.15 and tf_keras 2.21 with TensorFlow 2.21; Flax 0.12 with optax 0.2. Beside each file
``expected.npz`` holds the recurrent matrix that the framework computed with, under the file's name.
TensorFlow's checkpoints are converted by the lines that lyapy's message gives.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from . import GOLDEN

HERE = GOLDEN / "training_files"
M, N = 2, 3


def write_torch() -> dict[str, Any]:
    import torch
    from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

    def awd(rnn: Any) -> None:
        # as fastai and salesforce/awd-lstm-lm: the raw weight next to the copy that dropout left
        raw = rnn.weight_hh_l0
        del rnn._parameters["weight_hh_l0"]
        rnn.register_parameter("weight_hh_l0_raw", torch.nn.Parameter(raw.detach()))
        dropped = torch.nn.functional.dropout(raw.detach(), 0.5)
        rnn.register_parameter("weight_hh_l0", torch.nn.Parameter(dropped))

    w = "weight_hh_l0"
    changes: dict[str, Callable[[Any], Any]] = {
        "weight_norm_old": lambda rnn: weight_norm(rnn, w),
        "weight_norm_all": lambda rnn: weight_norm(rnn, w, dim=None),
        "weight_norm": lambda rnn: parametrizations.weight_norm(rnn, w),
        "spectral_norm_old": lambda rnn: spectral_norm(rnn, w),
        "spectral_norm": lambda rnn: parametrizations.spectral_norm(rnn, w),
        "pruned": lambda rnn: prune.random_unstructured(rnn, w, 0.5),
        "orthogonal": lambda rnn: parametrizations.orthogonal(rnn, w),
        "awd_raw": awd,
    }
    found = {}
    for name, change in changes.items():
        torch.manual_seed(1)
        model = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(M, N), "head": torch.nn.Linear(N, M)})
        rnn: Any = model["rnn"]
        change(rnn)
        optimizer = torch.optim.Adam(model.parameters())
        if name != "awd_raw":
            model["head"](rnn(torch.ones(4, 1, M))[0]).sum().backward()
            optimizer.step()
            rnn.eval()
            rnn(torch.ones(4, 1, M))
        torch.save(model.state_dict(), HERE / f"{name}.pt")
        found[name] = rnn.weight_hh_l0_raw if name == "awd_raw" else rnn.weight_hh_l0
        if name == "pruned":
            prune.remove(rnn, w)
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state, HERE / "checkpoint.pt")
            found["checkpoint"] = rnn.weight_hh_l0
    return {name: array.detach().numpy() for name, array in found.items()}


def write_keras(which: str) -> dict[str, Any]:
    """Write a trained model in each format, and TensorFlow's checkpoints of it as npz."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import importlib

    import tensorflow as tf

    from lyapy.weights import formats

    keras = importlib.import_module(which)
    keras.utils.set_random_seed(1)
    rnn = keras.layers.LSTM(N, return_sequences=True, name="rnn")
    head = keras.layers.Dense(M, name="head")
    model = keras.Sequential([keras.layers.Input((None, M)), rnn, head])
    model.compile("adam", "mse")
    x = np.ones((1, 4, M))
    model.fit(x, 0.5 * x, verbose=0)
    for suffix in (".h5", ".keras"):
        model.save(HERE / f"{which}{suffix}")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        prefixes = {"checkpoint": checkpoint.save(f"{folder}/ckpt")}
        if which == "tf_keras":
            model.save_weights(f"{folder}/weights")
            prefixes["weights"] = f"{folder}/weights"
            model.save(f"{folder}/saved", save_format="tf")
        else:
            model.export(f"{folder}/saved", verbose=False)
        prefixes["saved_model"] = f"{folder}/saved"
        for name, prefix in prefixes.items():
            try:
                formats.read_contents(prefix)
            except ValueError as error:
                lines = re.search(r"in Python: (.*)", str(error))
            assert lines is not None
            code = lines[1].replace("a.npz", str(HERE / f"{which}_{name}.npz"))
            exec(code, {"tf": tf, "numpy": np})
    names = [f"{which}.h5", f"{which}.keras", *(f"{which}_{name}" for name in prefixes)]
    return dict.fromkeys(names, model.layers[0].get_weights()[1].T)


def write_flax() -> dict[str, Any]:
    import jax
    import optax
    from flax import linen, serialization
    from flax.training.train_state import TrainState

    class Model(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            return linen.Dense(M, name="head")(linen.RNN(linen.GRUCell(N), name="rnn")(x))

    x = np.ones((1, 4, M), np.float32)
    model = Model()
    params = model.init(jax.random.PRNGKey(1), x)["params"]
    state: Any = TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))
    gradient = jax.grad(lambda p: model.apply({"params": p}, x).sum())(params)
    state = state.apply_gradients(grads=gradient)
    (HERE / "train_state.msgpack").write_bytes(serialization.to_bytes(state))
    cell = next(v for k, v in state.params.items() if k != "head")
    cell = cell.get("cell", cell)
    U = np.concatenate([np.asarray(cell[f"h{gate}"]["kernel"]).T for gate in "rzn"])
    return {"train_state": U}


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    path = HERE / "expected.npz"
    expected = dict(np.load(path)) if path.exists() else {}
    for framework in sys.argv[1:]:
        if framework in ("keras", "tf_keras"):
            expected |= write_keras(framework)
        else:
            expected |= {"torch": write_torch, "flax": write_flax}[framework]()
    np.savez(path, **expected)
