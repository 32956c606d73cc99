"""Models in memory and open files: the network equals that of the file, bit for bit."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.cells.activations import NONLINEARITIES
from lyapy.weights.formats import read_arrays, read_contents
from lyapy.weights.frameworks.layer import Hints
from lyapy.weights.load import load_closed_loop

GOLDEN = Path(__file__).parents[1] / "golden"
TORCH = GOLDEN / "readout_files" / "rectangular.pt"
KERAS = GOLDEN / "keras_files" / "keras_lstm_hard.h5"
ARRAYS = read_arrays(TORCH)
WANTED = lyapy.load(TORCH).digest()


class Tensor:
    """As torch's: NumPy's only when it is detached and on the CPU."""

    def __init__(self, array, *, detached=False, on_cpu=False):
        self.array, self.detached, self.on_cpu = array, detached, on_cpu
        self.dtype = f"torch.{array.dtype}"

    def detach(self):
        return Tensor(self.array, detached=True, on_cpu=self.on_cpu)

    def cpu(self):
        return Tensor(self.array, detached=self.detached, on_cpu=True)

    def __array__(self, dtype=None, copy=None):
        assert self.detached and self.on_cpu
        return self.array


class BFloat16(Tensor):
    def __init__(self, array, **state):
        super().__init__(array, **state)
        self.dtype = "torch.bfloat16"

    def detach(self):
        return BFloat16(self.array)

    def cpu(self):
        return BFloat16(self.array)

    def float(self):
        return self.array


class DLPack:
    """As an array of a library without __array__."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        raise TypeError("use DLPack")

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Module:
    """As torch's modules."""

    def __init__(self, tensors, **modules):
        self.tensors, self.modules = tensors, modules

    def state_dict(self):
        return self.tensors

    def named_modules(self):
        yield "", self
        yield from self.modules.items()


def nested(arrays):
    tree = {}
    for name, array in arrays.items():
        *groups, last = name.split(".")
        inner = tree
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = array
    return tree


@pytest.mark.parametrize(
    "source",
    [
        ARRAYS,
        nested(ARRAYS),
        {"layers": [nested(ARRAYS)], "step": 3, "name": "best", "nothing": None},
        *({name: kind(a) for name, a in ARRAYS.items()} for kind in (Tensor, BFloat16, DLPack)),
        Module({name: Tensor(array) for name, array in ARRAYS.items()}),
    ],
)
def test_a_mapping_or_a_module(source):
    network = lyapy.load(source)
    assert network.digest() == WANTED
    assert network.origin == f"a {type(source).__name__} in memory"
    loop = load_closed_loop(source, Hints())
    assert loop.digest() == load_closed_loop(TORCH, Hints()).digest()


def test_open_files(tmp_path):
    content = TORCH.read_bytes()
    with open(TORCH, "rb") as file:
        network = lyapy.load(file)
    assert (network.digest(), network.origin) == (WANTED, str(TORCH))
    assert lyapy.load(io.BytesIO(content)).digest() == WANTED
    with pytest.raises(WeightsError, match=r"^a BytesIO in memory: is a truncated"):
        lyapy.load(io.BytesIO(content[:900]))
    with pytest.raises(TypeError, match="is open as text; open it with mode 'rb'"):
        lyapy.load(io.StringIO("weights"))


@pytest.mark.parametrize("state", ["weight_hh_l0", "weight_hh"])
def test_a_module_says_its_nonlinearity(state):
    arrays = {"a.weight_ih_l0": np.ones((3, 2)), "a.weight_hh_l0": np.eye(3)}
    rnn = SimpleNamespace(nonlinearity="relu", **{state: None})
    other = SimpleNamespace(nonlinearity="tanh")
    network = lyapy.load(Module(arrays, a=rnn, b=other))
    assert network.cells[0].nonlinearity == "relu"


class Variable(Tensor):
    """As Keras's: with a path from version 3, and a whole name before."""

    def __init__(self, name, array, version):
        super().__init__(array, detached=True, on_cpu=True)
        self.name = f"{name}:0" if version == 2 else name.rpartition("/")[2]
        if version == 3:
            self.path = name


@pytest.mark.parametrize(("version", "gate"), [(2, "hard-sigmoid-keras2"), (3, "hard-sigmoid")])
def test_a_keras_model_says_its_configuration(version, gate):
    contents = read_contents(KERAS)

    class Sequential:
        def __init__(self):
            named = {n.split("/", 2)[2]: a for n, a in contents.arrays.items()}
            self.weights = [Variable(name, array, version) for name, array in named.items()]

        def get_config(self):
            return json.loads(contents.metadata["model_config"])["config"]

    network = lyapy.load(Sequential())
    assert NONLINEARITIES[network.cells[0].weights.gate] == gate
    assert (network.digest() == lyapy.load(KERAS).digest()) is (version == 3)


@pytest.mark.parametrize("source", [3, np.ones((3, 3)), object(), ["a"]])
def test_other_objects(source):
    with pytest.raises(TypeError, match=r"source is a \w+; give a path, an open file, a mapping"):
        lyapy.load(source)


def test_a_mapping_without_arrays():
    with pytest.raises(WeightsError, match="a dict in memory: holds no arrays; give a mapping"):
        lyapy.load({"a": None, "b": object()})
    cyclic = {}
    cyclic["a"] = cyclic
    with pytest.raises(WeightsError, match="nests its mappings too deeply"):
        lyapy.load(cyclic)
