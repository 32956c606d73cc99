"""PyTorch's own files come back exactly; damaged and other files are named and refused."""

import io
import os
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from lyapy.errors import WeightsError
from tests.support import weights_files
from tests.support.weights_files import of_case, read_arrays, refused, same, zipped

GOLDEN = weights_files.GOLDEN / "torch_files"
HDF5 = b"\x89HDF\r\n\x1a\n"


def expected(stem):
    return of_case(GOLDEN / "expected.npz", stem)


@pytest.mark.parametrize("old", ["", "_old"])
@pytest.mark.parametrize("stem", ["state", "types", "views", "lightning", "protocol4"])
def test_torch_files_come_back_exactly(stem, old):
    wanted = expected(stem.replace("protocol4", "state"))
    assert wanted
    same(read_arrays(GOLDEN / f"{stem}{old}.pt"), wanted)


@pytest.mark.parametrize(
    ("stem", "finding"),
    [
        ("sparse", "_rebuild_sparse_tensor.*dense"),
        ("quantized", "_rebuild_qtensor"),
        ("float8", "torch.float8_e4m3fn"),
        ("conjugated", "conjugated"),
        ("expanded", r"'a' of shape \(1000,\) is larger than its storage; save tensor.clone"),
        ("bare", "without a name"),
        ("script", "TorchScript.*torch.jit.load"),
    ],
)
def test_unsupported_torch_files_are_refused(stem, finding):
    with pytest.raises(WeightsError, match=f"bad_{stem}.pt: .*{finding}"):
        read_arrays(GOLDEN / f"bad_{stem}.pt")


def test_shared_storage_stays_shared_and_read_only():
    arrays = read_arrays(GOLDEN / "views.pt")
    assert np.shares_memory(arrays["base"], arrays["part"])
    assert not np.shares_memory(arrays["base"], arrays["brain_part"])
    with pytest.raises(ValueError, match="read-only"):
        arrays["base"][0] = 1


def test_content_decides_not_the_name(tmp_path):
    for stem in ("state", "state_old"):
        path = tmp_path / f"{stem}.safetensors"
        path.write_bytes((GOLDEN / f"{stem}.pt").read_bytes())
        same(read_arrays(str(path)), expected("state"))


def test_a_big_endian_torch_file_is_read(tmp_path):
    path = tmp_path / "big.pt"
    with zipfile.ZipFile(GOLDEN / "views.pt") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if "/data/" in name:
                data = np.frombuffer(data, "<f4" if len(data) == 96 else "<u2").byteswap().tobytes()
            new.writestr(name, b"big" if name.endswith("byteorder") else data)
    same(read_arrays(path), expected("views"))


def test_a_pickle_of_python_2_is_read(tmp_path):
    tensor = (
        b"ctorch._utils\n_rebuild_tensor\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n"
        b"I2\ntQI0\n(I2\nt(I1\nttR"
    )
    pairs = b"ccollections\nOrderedDict\n((l(S'w'\n" + tensor + b"tatR."
    path = tmp_path / "old.pt"
    data = np.array([1, 2], "<f4").tobytes()
    path.write_bytes(zipped([("old/data.pkl", pairs), ("old/data/0", data)]))
    same(read_arrays(path), {"w": np.array([1, 2], "f4")})


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"", "is empty"),
        (b"weights: 1, 2, 3\n", "not a weights file despite its name: it begins with b'weights: 1"),
        (HDF5 + bytes(99), "damaged"),
        (zipped([("model.weights.h5", HDF5)]), "damaged"),
        (b"\x08\x08\x12\x07pytorc", "damaged ONNX file|needs the package onnx"),
        (b"\x93NUMPY\x01\x00", "damaged"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x80\x04\x95\x00\x00", "pickle that torch.save did not write"),
        (b"PK\x05\x06" + bytes(18), "neither torch.save nor numpy.savez"),
        (b"PK\x03\x04", "truncated or damaged zip"),
    ],
)
def test_foreign_files_are_named_and_refused(tmp_path, content, finding):
    path = tmp_path / "a.pt"
    refused(path, content, "^" + re.escape(str(path)) + ": .*" + finding)


def test_paths_that_are_not_small_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"absent\.pt: does not exist"):
        read_arrays(tmp_path / "absent.pt")
    with pytest.raises(WeightsError, match="is a directory"):
        read_arrays(tmp_path)
    with pytest.raises(WeightsError, match=r"damaged .*null"):
        read_arrays("a\0b")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match="not a regular file"):
        read_arrays(tmp_path / "pipe")
    monkeypatch.setattr("lyapy.weights.formats._SIZE_LIMIT", 1000)
    with pytest.raises(WeightsError, match="more than 16 GiB"):
        read_arrays(GOLDEN / "state.pt")

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", forbidden)
    with pytest.raises(WeightsError, match="may not be read"):
        read_arrays(GOLDEN / "state.pt")


def test_import_is_cheap():
    command = [sys.executable, "-c", "import sys, lyapy.weights.formats; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    readers = [name for name in done.stdout.split() if name.startswith("lyapy.weights.formats.")]
    assert readers == ["lyapy.weights.formats.contents", "lyapy.weights.formats.refusal"]


@pytest.mark.parametrize("name", ["state.pt", "state_old.pt", "types.pt", "lightning_old.pt", "h5"])
def test_truncated_files_are_refused(tmp_path, name):
    path = GOLDEN.parent / "keras_files/keras_gru.weights.h5" if name == "h5" else GOLDEN / name
    good = path.read_bytes()
    for length in [*range(0, len(good) - 1, 97), len(good) - 1]:
        (tmp_path / "a.pt").write_bytes(good[:length])
        with pytest.raises(WeightsError, match=r"a\.pt: "):
            read_arrays(tmp_path / "a.pt")


def sample_files():
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.ones(2, "f4")}
    files = [path.read_bytes() for path in sorted(GOLDEN.glob("*.pt"))]
    for save in (np.savez, np.savez_compressed):
        save(buffer := io.BytesIO(), **arrays)
        files.append(buffer.getvalue())
    return [*files, safetensors.numpy.save(arrays)]


def mutate(data, content):
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    return bytes(content)


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_only_weights_errors_escape(tmp_path_factory, data):
    content = data.draw(st.sampled_from(sample_files()))
    if content[:2] == b"PK" and data.draw(st.booleans()):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        chosen = data.draw(st.integers(0, len(members) - 1))
        members[chosen] = members[chosen][0], mutate(data, members[chosen][1])
        content = zipped(members)
    else:
        content = mutate(data, content)
    path = tmp_path_factory.getbasetemp() / "mutated"
    path.write_bytes(content)
    try:
        arrays = read_arrays(path)
    except WeightsError as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
