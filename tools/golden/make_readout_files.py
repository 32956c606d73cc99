"""Write the files in readout_files/: one GRU with its read-out, saved by each framework.

Usage: python -m tools.golden.make_readout_files torch keras flax

Each name writes the files of one framework, so that they may be in separate environments;
torch 2.13, Keras 3.15 and Flax 0.12 were used. All hold the same weights in float32: a square
read-out, which fits in either orientation, and a rectangular one.
"""

import os
import sys
from typing import Any

import numpy as np

from . import GOLDEN

HERE = GOLDEN / "readout_files"
UNITS = 5
INPUTS = {"square": UNITS, "rectangular": 3}


def weights(m: int) -> dict[str, Any]:
    """Return a GRU's weights under PyTorch's names, and its read-out's; Flax has no b_hr, b_hz."""
    rng = np.random.default_rng(m)

    def draw(*shape: int, scale: float = 0.5) -> Any:
        return (scale * rng.normal(size=shape)).astype(np.float32)

    inner = draw(3 * UNITS)
    inner[: 2 * UNITS] = 0.0
    return {
        "rnn.weight_ih_l0": draw(3 * UNITS, m),
        "rnn.weight_hh_l0": draw(3 * UNITS, UNITS, scale=1.0),
        "rnn.bias_ih_l0": draw(3 * UNITS),
        "rnn.bias_hh_l0": inner,
        "head.weight": draw(m, UNITS),
        "head.bias": draw(m),
    }


def write_torch(name: str, m: int) -> None:
    import torch
    from safetensors.torch import save_file

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torch.nn.GRU(m, UNITS, batch_first=True)
            self.head = torch.nn.Linear(UNITS, m)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0])

    model = Model()
    model.load_state_dict({k: torch.from_numpy(v) for k, v in weights(m).items()})
    torch.save(model.state_dict(), HERE / f"{name}.pt")
    save_file(model.state_dict(), HERE / f"{name}.safetensors")
    x = torch.zeros(1, 4, m)
    torch.onnx.export(model, (x,), HERE / f"{name}.onnx", dynamo=False)
    torch.onnx.export(model, (x,), HERE / f"{name}_dynamo.onnx", dynamo=True, external_data=False)


def write_keras(name: str, m: int) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    w = weights(m)

    def ordered(array: Any) -> Any:
        r, z, n = np.split(array, 3)
        return np.concatenate([z, r, n])

    rnn = keras.layers.GRU(UNITS, return_sequences=True, name="rnn")
    head = keras.layers.Dense(m, name="head")
    model = keras.Sequential([keras.layers.Input((None, m)), rnn, head])
    kernels = [ordered(w[f"rnn.weight_{side}_l0"]).T for side in ("ih", "hh")]
    bias = np.stack([ordered(w[f"rnn.bias_{side}_l0"]) for side in ("ih", "hh")])
    model.layers[0].set_weights([*kernels, bias])
    model.layers[1].set_weights([w["head.weight"].T, w["head.bias"]])
    for suffix in (".h5", ".keras"):
        model.save(HERE / f"{name}{suffix}")
    model.save_weights(HERE / f"{name}.weights.h5")


def write_flax(name: str, m: int) -> None:
    from flax import serialization

    w = weights(m)
    split = {role: np.split(w[f"rnn.{role}_l0"], 3) for role in
             ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}  # fmt: skip
    cell = {f"i{g}": {"kernel": split["weight_ih"][i].T, "bias": split["bias_ih"][i]}
            for i, g in enumerate("rzn")}  # fmt: skip
    cell |= {f"h{g}": {"kernel": split["weight_hh"][i].T} for i, g in enumerate("rzn")}
    cell["hn"]["bias"] = split["bias_hh"][2]
    head = {"kernel": w["head.weight"].T, "bias": w["head.bias"]}
    parameters = {"params": {"rnn": {"cell": cell}, "head": head}}
    (HERE / f"{name}.msgpack").write_bytes(serialization.to_bytes(parameters))


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for framework in sys.argv[1:]:
        write = {"torch": write_torch, "keras": write_keras, "flax": write_flax}[framework]
        for name, m in INPUTS.items():
            write(name, m)
