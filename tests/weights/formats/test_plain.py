"""Npz and safetensors files: good ones come back exactly, hostile ones are refused."""

from __future__ import annotations

import io
import json
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from lyapy.errors import WeightsError
from lyapy.weights.formats import read_arrays


def same(found, wanted):
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def refused(path, content, what):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=what) as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    return caught.value


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


ARRAYS = {
    "a.b": np.arange(6.0).reshape(2, 3),
    "half": np.array([1, 2.5], "f2"),
    "single": np.array([[1, 2.5]], "f4"),
    "ints": np.arange(-3, 3, dtype="i8"),
    "flags": np.array([True, False]),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3)),
}


def test_safetensors_come_in_the_files_order(tmp_path):
    """The package returns them in another one each time; what is listed or refused first varied."""
    arrays = {f"layer{i}": np.full(2, float(i)) for i in range(12)}
    (tmp_path / "a.safetensors").write_bytes(safetensors.numpy.save(arrays))
    length, data = 8, (tmp_path / "a.safetensors").read_bytes()
    header = json.loads(data[length : length + int.from_bytes(data[:length], "little")])
    same(read_arrays(tmp_path / "a.safetensors"), {name: arrays[name] for name in header})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    odd = {
        "fortran": np.asfortranarray(ARRAYS["a.b"]),
        "text": np.array(["relu", "tanh"]),
        "zeros": np.zeros(1 << 20),
    }
    save(tmp_path / "a.npz", **ARRAYS, **odd, swapped=np.arange(3, dtype=">f8"))
    same(read_arrays(tmp_path / "a.npz"), {**ARRAYS, **odd, "swapped": np.arange(3.0)})


def test_safetensors(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors.numpy.save(ARRAYS, metadata={"format": "np"}))
    found = read_arrays(path)
    same({name: found[name] for name in ARRAYS}, ARRAYS)
    assert len(found) == len(ARRAYS)


def test_bfloat16_safetensors(tmp_path):
    header = b'{"w":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\x80\x3f\x20\xc0")
    same(read_arrays(path), {"w": np.array([[1], [-2.5]], "f4")})


def npy(header, data=b"", version=1):
    head = repr(header).encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + size + head + data


def header(descr="<f8", shape=(1,)):
    return {"descr": descr, "fortran_order": False, "shape": shape}


def declaring(size, field=24):
    content = bytearray(zipped([("a.npy", npy(header(), bytes(8)))], zipfile.ZIP_DEFLATED))
    at = content.index(b"PK\x01\x02") + field
    content[at : at + 4] = struct.pack("<I", size)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zipped([("a.npy", npy(header("|O"), b"cos\nsystem\n."))]), "'a.npy' of dtype object"),
        (zipped([("a.npy", npy(header([("x", "<f8")]), bytes(8)))]), "records are not read"),
        (zipped([("a.npy", npy(header("<U0", (1 << 60,))))]), "of dtype <U0"),
        (zipped([("a.npy", npy(header(shape=(-1,)), bytes(8)))]), "declares.*-1"),
        (zipped([("a.npy", npy(header(shape=(-1, -1)), bytes(8)))]), "declares.*-1"),
        (zipped([("a.npy", npy(header(shape=(1 << 60,)), bytes(8)))]), "not what it holds"),
        (zipped([("a.npy", npy(header(), bytes(7)))]), "not what it holds"),
        (zipped([("a.npy", npy(header(), bytes(9)))]), "not what it holds"),
        (zipped([("a.npy", npy(header(), bytes(8), version=3))]), "npy version"),
        (zipped([("a.npy", npy("(" * 900, bytes(8)))]), "damaged"),
        (zipped([("a.npy", npy(header(), bytes(8))), ("b.txt", b"")]), "'b.txt'.*no npy"),
        (zipped([("a.npy", npy(header(), bytes(8)))], zipfile.ZIP_LZMA), "neither numpy nor Keras"),
        (declaring(0x7FFFFFFF), "declares 2147483647 unpacked"),
        (declaring(1 << 20, field=20), "that declares"),
        (zipped([("a.npy", npy(header(shape=(1,) * 700), bytes(8)))]), "with too long a header"),
        (declaring(137), "damaged|not what it holds"),
        (zipped([("a.npy", bytes(160 << 20))], zipfile.ZIP_DEFLATED), "declares 167772160 unp"),
        (zipped([("a" * 1001 + ".npy", npy(header(), bytes(8)))]), "too long names"),
    ],
)
def test_hostile_npz(tmp_path, content, what):
    refused(tmp_path / "a.npz", content, what)


def entry(begin=0, end=4, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def tensors(head, data=bytes(4), length=None):
    head = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(head) if length is None else length) + head + data


ONE = json.dumps(entry()).encode()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (tensors({"a": entry(), "b": entry()}), "damaged safetensors.*offset"),
        (tensors({"a": entry(end=8, shape=[2])}), "damaged safetensors"),
        (tensors({"a": entry()}, bytes(8)), "damaged safetensors"),
        (tensors({"a": entry(shape=[1 << 62, 8])}), "overflow"),
        (tensors({"a": entry(shape=[-1])}), "damaged safetensors"),
        (tensors(b'{"a":' + ONE + b',"a":' + ONE + b"}"), "twice"),
        (tensors({"a": entry(dtype="F8_E4M3", shape=[4])}), "'a' of dtype F8_E4M3"),
        (tensors({"a": entry()}, length=(1 << 64) - 1), "header of 18446744073709551615"),
        (tensors(b'{"a": 1}' + b" " * (17 << 20)), "header of 17"),
        (tensors(b'{"a":' + b"[" * 100_000), "damaged"),
        (tensors(b"{\xff}"), "damaged"),
        (tensors({}, b""), "holds no arrays"),
    ],
)
def test_hostile_safetensors(tmp_path, content, what):
    refused(tmp_path / "a.safetensors", content, what)
