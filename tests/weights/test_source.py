"""Models in memory and open files: the network equals that of the file, bit for bit."""

import io
import json
import pickle
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

import lyapy
from lyapy import WeightsError
from lyapy.cells.activations import NONLINEARITIES
from lyapy.weights.formats import read_contents
from lyapy.weights.frameworks.layer import Hints
from lyapy.weights.load import load_closed_loop
from tests.support.weights_files import read_arrays

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
def test_a_mapping_or_a_module_is_the_network_of_its_file(source):
    network = lyapy.load(source)
    assert network.digest() == WANTED
    assert network.origin == f"a {type(source).__name__} in memory"
    loop = load_closed_loop(source, Hints())
    assert loop.digest() == load_closed_loop(TORCH, Hints()).digest()


def test_open_files_are_read(tmp_path):
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
def test_other_objects_are_refused(source):
    with pytest.raises(TypeError, match=r"source is a \w+; give a path, an open file, a mapping"):
        lyapy.load(source)


def test_a_mapping_without_arrays_is_refused():
    with pytest.raises(WeightsError, match="a dict in memory: holds no arrays; give a mapping"):
        lyapy.load({"a": None, "b": object()})
    cyclic = {}
    cyclic["a"] = cyclic
    with pytest.raises(WeightsError, match="nests its mappings too deeply"):
        lyapy.load(cyclic)


SCRIPT = {"W_in": np.ones((3, 2)), "W_rec": np.eye(3) + 0.5, "b": np.arange(3.0)}


def test_arrays_of_numpy_in_a_torch_file_are_read(tmp_path):
    """Pickled by torch.save in protocol 2, where bytes are text of Latin-1; here by hand."""
    wanted = lyapy.load(SCRIPT, nonlinearity="tanh").digest()
    stored = {
        "C": SCRIPT,
        "F": {n: np.asfortranarray(a) for n, a in SCRIPT.items()},
        "big": {n: a.astype(">f8") for n, a in SCRIPT.items()},
    }
    for name, arrays in stored.items():
        with zipfile.ZipFile(tmp_path / f"{name}.pt", "w") as archive:
            tree = {"weights": arrays, "shared": arrays, "text": "a", "dtype": np.dtype("f4")}
            archive.writestr("a/data.pkl", pickle.dumps(tree, protocol=2))
            archive.writestr("a/version", "3\n")
        network = lyapy.load(tmp_path / f"{name}.pt", prefix="weights", nonlinearity="tanh")
        assert network.digest() == wanted


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.array([{}], object), "dtype|plain numbers"),
        (np.zeros(2, [("a", "f4")]), "has the dtype 'V4'"),
        (np.array(["a"]), "has the dtype '<U1'"),
    ],
)
def test_other_arrays_of_numpy_are_refused(tmp_path, array, what):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"a": array}, protocol=2))
    with pytest.raises(WeightsError, match=rf"tensor 'a' .*{what}"):
        lyapy.load(tmp_path / "a.pt")


@pytest.mark.parametrize("packed", [False, True])
def test_files_of_matlab_are_read(tmp_path, packed):
    content = SCRIPT | {"notes": "hello", "options": {"leak": 0.5}}
    savemat(tmp_path / "a.mat", content, do_compression=packed)
    network = lyapy.load(tmp_path / "a.mat", nonlinearity="tanh")
    assert network.digest() == lyapy.load(SCRIPT, nonlinearity="tanh").digest()
    sparse = {"W": csc_array(np.eye(3)), "Win": np.ones((3, 2)), "lr": 0.5}
    savemat(tmp_path / "b.mat", sparse, do_compression=packed)
    found = lyapy.load(tmp_path / "b.mat", nonlinearity="tanh")
    assert found.digest() == lyapy.load(sparse, nonlinearity="tanh").digest()


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_that_matlab_stores_in_fewer_bytes_are_read(tmp_path, order):
    """MATLAB stores whole numbers of class double as int8, up to four bytes in the tag."""
    body = b"".join([
        struct.pack(f"{order}IIII", 6, 8, 6, 0), struct.pack(f"{order}IIii", 5, 8, 2, 2),
        struct.pack(f"{order}I4s", (1 << 16) | 1, b"J"),
        struct.pack(f"{order}I4b", (4 << 16) | 1, 1, 2, 3, 4),
    ])  # fmt: skip
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100)
    mark = b"IM" if order == "<" else b"MI"
    content = head + mark + struct.pack(f"{order}II", 14, len(body)) + body
    (tmp_path / "a.mat").write_bytes(content)
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.mat")["J"], [[1.0, 3.0], [2.0, 4.0]])


def test_damaged_files_of_matlab_are_refused(tmp_path):
    savemat(tmp_path / "a.mat", {"W_rec": np.zeros((5000, 5000))}, do_compression=True)
    with pytest.raises(WeightsError, match="unpacks to more than a file of its size may"):
        lyapy.load(tmp_path / "a.mat")
    savemat(tmp_path / "b.mat", SCRIPT | {"S": csc_array(np.eye(3))})
    whole = (tmp_path / "b.mat").read_bytes()
    (tmp_path / "b.mat").write_bytes(whole[:300])
    with pytest.raises(WeightsError, match="is truncated or damaged"):
        lyapy.load(tmp_path / "b.mat")
    rng = np.random.default_rng(0)
    for _ in range(500):
        content = bytearray(whole)
        for place in rng.integers(128, len(whole), 3):
            content[place] = rng.integers(256)
        (tmp_path / "b.mat").write_bytes(content)
        with suppress(WeightsError):
            lyapy.load(tmp_path / "b.mat", nonlinearity="tanh")
    (tmp_path / "c.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(600))
    with pytest.raises(WeightsError, match=r"is a MATLAB file of version 7\.3; save it with"):
        lyapy.load(tmp_path / "c.mat")
