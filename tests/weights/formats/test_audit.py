"""Loading runs nothing, opens no other file and takes little memory, in every format."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.weights_files import PICKLES, legacy_file, torch_file
from tests.weights.formats.test_hdf5 import HOSTILE, damaged, no_step, written

GOLDEN = Path(__file__).parents[2] / "golden"
WATCH = """
import resource, sys
from lyapy import WeightsError
from lyapy.weights.formats import read_contents
from lyapy.weights.frameworks import find_layers
from lyapy.weights.frameworks.layer import Hints

def load_all(good, bad):
    for path in good:
        assert read(path)
    for path in bad:
        try:
            read(path)
        except WeightsError:
            continue
        raise AssertionError(path)

def read(path):
    contents = read_contents(path)
    find_layers(path, contents, Hints())
    return contents.arrays

count = int(sys.argv[1])
good, bad = sys.argv[2 : 2 + count], sys.argv[2 + count :]
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
load_all(good, bad)  # for the late imports
seen = []
note = lambda event, args: event in HARMLESS or seen.append((event, *map(str, args[:1])))
# numpy parses the header of an npy array as a literal; to run it would be an event "exec"
HARMLESS = ("builtins.id", "compile")
sys.addaudithook(note)
load_all(good, bad)
seen = list(seen)
assert seen == [("open", path) for path in good + bad], str(seen)[:2000]
"""


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")


def watched(good, bad, script=WATCH):
    command = [sys.executable, "-W", "error", "-c", script, str(len(good)), *map(str, good + bad)]
    # the time is for a pipe that a reader opened and nobody writes to
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def torch_files(folder):
    paths = []
    for build in (torch_file, legacy_file):
        for name, (pickle, _) in PICKLES.items():
            paths.append(folder / f"{name}_{build.__name__}.pt")
            paths[-1].write_bytes(build(pickle))
    stems = ["lightning", "module_tagger", "foreign"]
    return [GOLDEN / f"torch_files/{stem}{old}.pt" for stem in stems for old in ("", "_old")], paths


def hdf5_files(folder):
    """Files that point to others, which are pipes: a library that opens one stops there."""
    for other in ("other.h5", "other.bin", "elsewhere"):
        os.mkfifo(folder / other)
    paths = []
    contents = [written(fill) for name, (fill, _) in HOSTILE.items() if "bomb" not in name]
    for number, content in enumerate([*contents, damaged(b"GCOL", no_step)]):
        paths.append(folder / f"{number}.h5")
        paths[-1].write_bytes(content)
    names = ["keras_lstm.h5", "keras_gru.weights.h5", "tf_keras_cudnn_lstm_old.h5"]
    return [GOLDEN / "keras_files" / name for name in [*names, "keras_stack.keras"]], paths


def onnx_files(folder):
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    os.mkfifo(folder / "other.bin")
    model = onnx.load(GOLDEN / "onnx_files" / "lstm.onnx")
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="other.bin")
    path = folder / "external.onnx"
    path.write_bytes(model.SerializeToString())
    names = ["lstm_bidirectional", "gru_before_hard", "rnn"]
    return [GOLDEN / "onnx_files" / f"{name}.onnx" for name in names], [path]


def msgpack_files(folder):
    msgpack = pytest.importorskip("msgpack", reason="needs the extra flax")
    path = folder / "a.msgpack"
    # the codes 2 and 4 are a complex number and a Timestamp; no other makes anything
    array = msgpack.packb(((1 << 40,), "float32", bytes(4)))
    path.write_bytes(msgpack.packb({"a": msgpack.ExtType(4, b"a"), "w": msgpack.ExtType(1, array)}))
    return sorted((GOLDEN / "jax_files").glob("*.msgpack")), [path]


def plain_files(folder):
    npz, tensors = folder / "a.npz", folder / "a.safetensors"
    np.savez(npz, a=np.array([print], dtype=object))
    tensors.write_bytes(b"\x02\0\0\0\0\0\0\0{]")
    folder = GOLDEN / "jax_files"
    good = [folder / f"linen_gru{suffix}" for suffix in (".npz", ".safetensors")]
    return [*good, folder / "equinox_gru.eqx"], [npz, tensors]


@pytest.mark.parametrize("files", [torch_files, hdf5_files, onnx_files, msgpack_files, plain_files])
def test_nothing_is_run_and_no_other_file_opened(tmp_path, monkeypatch, files):
    monkeypatch.chdir(tmp_path)
    done = watched(*files(tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("doing", ["open('other')", "__import__('os').system(':')"])
def test_the_watch_sees_other_files_and_programs(tmp_path, monkeypatch, doing):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").touch()
    script = WATCH.replace("    contents =", f"    {doing}\n    contents =")
    done = watched([GOLDEN / "jax_files" / "linen_gru.npz"], [], script)
    assert done.returncode == 1 and ("other" in done.stderr or "os.system" in done.stderr)
