"""What a torch pickle names that is no tensor: kept as data, never imported and never called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lyapy.weights.formats.refusal import CONVERT, RefusedError

__all__ = ["Object", "is_refused"]

# What can run something, or reach what can; no file of weights has a use for it.
_PROGRAMS = frozenset([
    "_ctypes", "_frozen_importlib", "_io", "_operator", "_pickle", "_posixsubprocess", "_socket",
    "_thread", "asyncio", "bdb", "builtins", "cloudpickle", "codecs", "codeop", "ctypes", "dill",
    "ftplib", "gc", "imp", "importlib", "inspect", "io", "marshal", "multiprocessing", "nt",
    "ntpath", "operator", "os", "pdb", "pickle", "pip", "pkgutil", "platform", "posix",
    "posixpath", "pty", "pydoc", "runpy", "shelve", "shutil", "signal", "smtplib", "socket",
    "socketserver", "ssl", "subprocess", "sys", "tempfile", "threading", "timeit", "types",
    "urllib", "urllib2", "venv", "webbrowser", "zipimport",
])  # fmt: skip
# Of torch's own, what else is unknown may make tensors, which must not be lost without a word.
_NO_TENSORS = (
    "torch.nn.", "torch.optim.", "torch._C._nn.", "torch.torch_version.", "torch.amp.",
    "torch.cuda.amp.", "torch.utils.data.", "torch.distributed.fsdp.", "torch.distributions.",
)  # fmt: skip
_TENSORS = ("torch.nn.parameter.", "torch.nn.quantized.")
_HARMLESS = frozenset([
    "builtins.object", "builtins.str", "builtins.bool", "builtins.tuple", "builtins.bytes",
    "builtins.bytearray", "builtins.frozenset", "builtins.range", "builtins.slice",
    "types.SimpleNamespace",
])  # fmt: skip


def is_refused(module: str, name: str) -> bool:
    """Tell whether a name has no place in a file of weights, not even as data.

    Parameters
    ----------
    module, name
        As the pickle gives them.
    """
    found, top = f"{module}.{name}", module.split(".")[0]
    if top == "torch":
        return not found.startswith(_NO_TENSORS) or found.startswith(_TENSORS)
    return top in _PROGRAMS and found not in _HARMLESS


class Object:
    """An inert stand-in of an object of a class that is not known here.

    Parameters
    ----------
    name
        Of its class, with its module's.
    args
        What it was made of.
    """

    __slots__ = ("args", "entries", "items", "name", "passing", "state")

    def __init__(self, name: str, args: Any = ()) -> None:
        self.name = name
        self.args = args
        self.state: Any = None
        self.entries: dict[Any, Any] = {}
        self.items: list[Any] = []
        self.passing: frozenset[str] = frozenset()

    def build(self, state: Any) -> None:
        """Take the state that the pickle gives it, once.

        Parameters
        ----------
        state
            A dict of attributes, perhaps with what stands in slots, or anything.
        """
        if self.state is not None:
            raise RefusedError(f"sets the state of {self.name!r} twice in its pickle", CONVERT)
        self.state = state
        passing = self.attributes.get("_non_persistent_buffers_set")
        if isinstance(passing, list):
            self.passing = frozenset(key for key in passing if isinstance(key, str))
            # So that a short pickle cannot have a long list read many times.
            passing.clear()

    def __str__(self) -> str:
        return self.name

    @property
    def attributes(self) -> dict[Any, Any]:
        """What its state says of its attributes."""
        state = self.state
        if isinstance(state, tuple) and state:
            state = state[0]  # beside it is what stands in __slots__
        return state if isinstance(state, dict) else {}

    @property
    def nonlinearity(self) -> str | None:
        """What a ``torch.nn.RNN``, a class derived from it, or an ``RNNCell`` says of its own."""
        mode, said = self.attributes.get("mode"), self.attributes.get("nonlinearity")
        if mode in ("RNN_TANH", "RNN_RELU"):
            return {"RNN_TANH": "tanh", "RNN_RELU": "relu"}[mode]
        if self.name == "torch.nn.modules.rnn.RNNCell" and said in ("tanh", "relu"):
            return str(said)
        return None

    def children(self) -> Iterator[tuple[Any, Any]]:
        """Yield what ``state_dict`` would name of a module, or the items of a dict or list."""
        attributes = self.attributes
        if not isinstance(attributes.get("_modules"), dict):
            yield from self.entries.items()
            yield from enumerate(self.items)
            return
        for kind in ("_parameters", "_buffers", "_modules"):
            part = attributes.get(kind)
            for key, value in part.items() if isinstance(part, dict) else ():
                passing = kind == "_buffers" and key in self.passing
                yield key, None if passing else value
