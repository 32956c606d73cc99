"""Npz and safetensors files come back exactly; hostile ones, and of msgpack, are refused."""

import functools
import json
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from tests.support.weights_files import read_arrays, refused, same, zipped

ARRAYS = {
    "a.b": np.arange(6.0).reshape(2, 3),
    "half": np.array([1, 2.5], "f2"),
    "single": np.array([[1, 2.5]], "f4"),
    "ints": np.arange(-3, 3, dtype="i8"),
    "flags": np.array([True, False]),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3)),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_comes_back_exactly(tmp_path, save):
    odd = {
        "fortran": np.asfortranarray(ARRAYS["a.b"]),
        "text": np.array(["relu", "tanh"]),
        "zeros": np.zeros(1 << 20),
    }
    save(tmp_path / "a.npz", **ARRAYS, **odd, swapped=np.arange(3, dtype=">f8"))
    same(read_arrays(tmp_path / "a.npz"), {**ARRAYS, **odd, "swapped": np.arange(3.0)})


def test_safetensors_come_in_the_files_order(tmp_path):
    """The package returns them in another order each time."""
    arrays = ARRAYS | {f"layer{i}": np.full(2, float(i)) for i in range(12)}
    content = safetensors.numpy.save(arrays, metadata={"format": "np"})
    (tmp_path / "a.safetensors").write_bytes(content)
    names = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    wanted = {name: arrays[name] for name in names if name != "__metadata__"}
    same(read_arrays(tmp_path / "a.safetensors"), wanted)


def test_bfloat16_safetensors_are_read(tmp_path):
    path = tmp_path / "a.safetensors"
    head = {"w": entry(shape=(2, 1), dtype="BF16")}
    path.write_bytes(tensors(head, b"\x80\x3f\x20\xc0"))
    same(read_arrays(path), {"w": np.array([[1], [-2.5]], "f4")})


def npy(header, data=b"", version=1):
    head = repr(header).encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + size + head + data


def header(descr="<f8", shape=(1,)):
    return {"descr": descr, "fortran_order": False, "shape": shape}


def npz(name="a.npy", data=bytes(8), version=1, method=zipfile.ZIP_STORED, **kwargs):
    return zipped([(name, npy(header(**kwargs), data, version))], method)


def declaring(size, field=24):
    content = bytearray(npz(method=zipfile.ZIP_DEFLATED))
    at = content.index(b"PK\x01\x02") + field
    content[at : at + 4] = struct.pack("<I", size)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (npz(descr="|O", data=b"cos\nsystem\n."), "'a.npy' of dtype object"),
        (npz(descr=[("x", "<f8")]), "records are not read"),
        (npz(descr="<U0", shape=(1 << 60,), data=b""), "of dtype <U0"),
        (npz(shape=(-1,)), "declares.*-1"),
        (npz(shape=(-1, -1)), "declares.*-1"),
        (npz(shape=(1 << 60,)), "more than it holds"),
        (npz(data=bytes(7)), "more than it holds"),
        (npz(data=bytes(9)), "holds more in 'a.npy' than the array"),
        (npz(version=3), "npy version"),
        (zipped([("a.npy", npy("(" * 900, bytes(8)))]), "damaged"),
        (zipped([("a.npy", npy(header(), bytes(8))), ("b.txt", b"")]), "'b.txt'.*not an npy"),
        (npz(method=zipfile.ZIP_LZMA), "neither numpy nor Keras"),
        (declaring(0x7FFFFFFF), "declares 2147483647 unpacked"),
        (declaring(1 << 20, field=20), "that declares"),
        (npz(shape=(1,) * 700), "with a header that is too long"),
        (declaring(137), "damaged|than the array"),
        (zipped([("a.npy", bytes(160 << 20))], zipfile.ZIP_DEFLATED), "declares 167772160 unp"),
        (npz("a" * 1001 + ".npy"), "names that are too long"),
    ],
)
def test_hostile_npz_is_refused(tmp_path, content, finding):
    refused(tmp_path / "a.npz", content, finding)


def entry(begin=0, end=4, shape=(1,), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def tensors(head, data=bytes(4), length=None):
    head = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(head) if length is None else length) + head + data


ONE = json.dumps(entry()).encode()


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (tensors({"a": entry(), "b": entry()}), "damaged safetensors.*offset"),
        (tensors({"a": entry(end=8, shape=[2])}), "damaged safetensors"),
        (tensors({"a": entry()}, bytes(8)), "damaged safetensors"),
        (tensors({"a": entry(shape=[1 << 62, 8])}), "overflow"),
        (tensors({"a": entry(shape=[-1])}), "damaged safetensors"),
        (tensors(b'{"a":' + ONE + b',"a":' + ONE + b"}"), "twice"),
        (tensors({"a": entry(dtype="F8_E4M3", shape=[4])}), "'a' of unsupported dtype F8_E4M3"),
        (tensors({"a": entry()}, length=(1 << 64) - 1), "header of 18446744073709551615"),
        (tensors(b'{"a": 1}' + b" " * (17 << 20)), "header of 17"),
        (tensors(b'{"a":' + b"[" * 100_000), "damaged"),
        (tensors(b"{\xff}"), "damaged"),
        (tensors({}, b""), "holds no arrays"),
    ],
)
def test_hostile_safetensors_are_refused(tmp_path, content, finding):
    refused(tmp_path / "a.safetensors", content, finding)


@pytest.mark.parametrize(
    ("tree", "finding"),
    [
        ({"a": ((1,), "float8", b"a")}, "of unsupported dtype 'float8'"),
        ({"a": ((-1,), "int8", b"a")}, r"declares \(-1,\) of int8 for 1 bytes"),
        ({"a": ((2,), "int8", b"a")}, r"declares \(2,\) of int8 for 1 bytes"),
        ({"a": {"__msgpack_chunked_array__": True}}, "'a' in chunks"),
        (functools.reduce(lambda tree, _: {"a": tree}, range(99)), "too deeply"),
    ],
)
def test_hostile_msgpack_is_refused(tmp_path, tree, finding):
    msgpack = pytest.importorskip("msgpack", reason="needs the extra flax")

    def extension(value):
        return msgpack.ExtType(1, msgpack.packb(value))

    content = msgpack.packb(tree, strict_types=True, default=extension)
    refused(tmp_path / "a.msgpack", content, finding)
