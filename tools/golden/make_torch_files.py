"""Write the files in torch_files/ with a real torch (2.13 was used); run by hand.

Usage: python -m tools.golden.make_torch_files
"""

import warnings
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from . import GOLDEN

HERE = GOLDEN / "torch_files"


def save(value: Any, name: str, **options: Any) -> None:
    """Write a value in both formats."""
    for suffix, modern in (("", True), ("_old", False)):
        path = HERE / f"{name}{suffix}.pt"
        torch.save(value, path, _use_new_zipfile_serialization=modern, **options)


def types() -> dict[str, torch.Tensor]:
    names = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 bool"
    names += " complex64 complex128"
    values = [[0.0, 1.0, 2.5], [3.0, 100.25, 7.0]]
    found = {name: torch.tensor(values).to(getattr(torch, name)) for name in names.split()}
    found["bfloat16"] = found["bfloat16"] / 3
    return {**found, "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3)}


def views() -> dict[str, torch.Tensor]:
    base = torch.arange(24.0).reshape(4, 6)
    brain = base.to(torch.bfloat16)
    return {
        "base": base,
        "transposed": base.T,
        "part": base[1:3, 2:5],
        "column": base[:, 4:5],
        "every_other": base[::2, ::3],
        "brain_transposed": brain.T,
        "brain_part": brain[2:, 1],
    }


def lightning() -> dict[str, Any]:
    """Return the contents of a Lightning checkpoint, and most kinds of entries of a state."""
    torch.manual_seed(2)
    model = torch.nn.Sequential(OrderedDict(rnn=torch.nn.GRU(2, 3), out=torch.nn.Linear(3, 2)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.out(model.rnn(torch.ones(4, 1, 2))[0]).sum().backward()
    optimizer.step()
    model.rnn.weight_ih_l0.note = "a parameter with state"
    tagged = torch.ones(2)
    tagged.note = "a tensor with state"
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": model.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "callbacks": {"EarlyStopping{'monitor': 'loss'}": {"best_score": torch.tensor(0.25)}},
        "hyper_parameters": {"lr": 0.01, "wide": None, "sizes": (2, 3), "names": {"a"}},
        "parameter": model.rnn.weight_ih_l0,
        "best": np.float64(0.5),
        "counts": [defaultdict(int, {"seen": 12}), Counter("aab")],
        "tagged": tagged,
        "rest": [torch.float32, torch.device("cpu"), torch.Size([2, 3]), b"raw", 1 << 80, 1j],
    }


class Config(dict):
    """A configuration, as users write them: a dict with attributes, that refers to itself."""

    def __init__(self, **values: Any) -> None:
        super().__init__(values)
        self.values, self.owner = values, self


class Tagger(torch.nn.Module):
    """A vanilla network inside a larger model, with buffers of both kinds and shared parts."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(5, 3)
        rnn = torch.nn.RNN(3, 4, num_layers=2, nonlinearity="relu")
        self.body = torch.nn.Sequential(OrderedDict(rnn=rnn))
        self.read = torch.nn.Linear(4, 4, bias=False)
        self.again = self.read
        self.norm = torch.nn.BatchNorm1d(4)
        self.register_buffer("scale", torch.ones(2))
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.register_buffer("none", None)
        self.config = Config(sizes=(3, 4), act=torch.nn.functional.relu)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)[0]


def write_modules() -> None:
    """Write whole modules, and a checkpoint with foreign objects, with torch's outputs."""
    # The old format keeps the source of each class and its path, neither of which belongs here.
    torch.serialization.get_source_lines_and_file = lambda _: (["class Source: ...\n"], 1, "a.py")
    torch.manual_seed(4)
    modules: dict[str, torch.nn.Module] = {
        "rnn": torch.nn.RNN(3, 4),
        "rnn_cell": torch.nn.RNNCell(3, 4, nonlinearity="relu"),
        "gru": torch.nn.GRU(3, 4, num_layers=2),
        "lstm": torch.nn.LSTM(3, 4, proj_size=2),
        "tagger": Tagger(),
        "parallel": torch.nn.DataParallel(torch.nn.GRU(3, 4)),
    }
    x = torch.randn(9, 3)
    found = {"inputs": x.numpy()}
    for name, module in modules.items():
        module.to("cpu").eval()
        save(module, f"module_{name}")
        expect(f"{name}/", module.state_dict(), found)
        with torch.no_grad():
            if name == "rnn_cell":
                state, outputs = torch.zeros(4), []
                for row in x:
                    state = module(row, state)
                    outputs.append(state)
                found[f"{name}:outputs"] = torch.stack(outputs).numpy()
            else:
                made = module(x)
                found[f"{name}:outputs"] = (made[0] if isinstance(made, tuple) else made).numpy()
    model = torch.nn.Sequential(OrderedDict(rnn=torch.nn.GRU(2, 3)))
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": Namespace(lr=0.01, path=Path("runs"), sizes=slice(1, 2)),
        "config": Config(depth=2, nested=Config(size=3)),
        "optimizer": torch.optim.Adam(model.parameters()),
        "array": np.arange(3.0),
        "version": torch.torch_version.TorchVersion("2.0"),
    }
    save(checkpoint, "foreign")
    expect("foreign/", {"state_dict": model.state_dict()}, found)
    np.savez(HERE / "modules.npz", **found)


def write_bidirectional() -> None:
    torch.manual_seed(5)
    x = torch.randn(9, 3)
    found = {"inputs": x.numpy()}
    for name, kind in (("rnn", torch.nn.RNN), ("gru", torch.nn.GRU), ("lstm", torch.nn.LSTM)):
        module = kind(3, 4, bidirectional=True)
        torch.save(module.state_dict(), HERE / f"bidirectional_{name}.pt")
        save_file(module.state_dict(), HERE / f"bidirectional_{name}.safetensors")
        with torch.no_grad():
            found[name] = module(x)[0].numpy()
    np.savez(HERE / "bidirectional.npz", **found)


def expect(name: str, value: Any, into: dict[str, np.ndarray]) -> None:
    """Gather the tensors of a value under dotted names, by torch's own eyes."""
    if isinstance(value, torch.Tensor):
        value = value.detach()
        into[name] = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    elif isinstance(value, dict):
        for key, child in value.items():
            expect(f"{name}.{key}" if name[-1] != "/" else f"{name}{key}", child, into)
    elif isinstance(value, list | tuple):
        expect(name, dict(enumerate(value)), into)


def main() -> None:
    torch.manual_seed(1)
    state = torch.nn.LSTM(3, 4).state_dict()
    good = {"state": state, "types": types(), "views": views(), "lightning": lightning()}
    expected: dict[str, np.ndarray] = {}
    for name, value in good.items():
        save(value, name)
        expect(f"{name}/", value, expected)
    save(state, "protocol4", pickle_protocol=4)
    np.savez(HERE / "expected.npz", **expected)
    write_modules()
    write_bidirectional()
    warnings.simplefilter("ignore")
    bad = {
        "sparse": {"a": torch.eye(3).to_sparse()},
        "quantized": {"a": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)},
        "float8": {"a": torch.ones(3).to(torch.float8_e4m3fn)},
        "conjugated": {"a": torch.ones(3, dtype=torch.complex64).conj()},
        "expanded": {"a": torch.ones(1).expand(1000)},
        "bare": torch.ones(3),
    }
    for name, value in bad.items():
        torch.save(value, HERE / f"bad_{name}.pt")
    torch.jit.script(torch.nn.Linear(1, 1)).save(HERE / "bad_script.pt")


if __name__ == "__main__":
    main()
