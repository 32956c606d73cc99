"""Hostile files in torch's formats: one error each, and nothing runs."""

from __future__ import annotations

import io
import struct
import time
import zipfile

import numpy as np
import pytest

from lyapy.weights.formats import read_arrays
from lyapy.weights.formats.torch_pickle import load_pickle
from tests.support.weights_files import (
    PICKLES,
    legacy_file,
    numbers,
    refused,
    state,
    storage,
    tensor,
    torch_file,
    zipped,
)


@pytest.mark.parametrize("build", [torch_file, legacy_file])
@pytest.mark.parametrize("name", PICKLES)
def test_hostile_pickle(tmp_path, monkeypatch, name, build):
    monkeypatch.chdir(tmp_path)
    pickle, finding = PICKLES[name]
    refused(tmp_path / "a.pt", build(pickle), finding)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def nested(depth, leaf):
    """A list of twice a list of twice ... of a leaf."""
    pairs = b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(depth))
    return b"](" + leaf + b"eq\x00" + pairs + b"."


@pytest.mark.parametrize(
    ("pickle", "finding"),
    [
        (nested(25, b""), "holds no arrays"),
        (nested(25, tensor()), "too many values"),
        (nested(15, tensor() + b"N" * 2000), "too many values"),
    ],
)
def test_shared_lists_do_not_multiply(tmp_path, pickle, finding):
    begin = time.process_time()
    refused(tmp_path / "a.pt", torch_file(pickle), finding)
    assert time.process_time() - begin < 1.0


def test_long_numbers_are_not_multiplied(tmp_path):
    number = b"\x8b" + struct.pack("<i", 1 << 20) + bytes((1 << 20) - 1) + b"\x01q\x00"
    shape = b"(" + number + b"h\x00" * 30 + b"tq\x010"
    pickle = shape + state(tensor().replace(numbers((2, 3)) + numbers((3, 1)), b"h\x01h\x01"))
    begin = time.process_time()
    refused(tmp_path / "a.pt", torch_file(pickle), "'w0' has an impossible shape")
    assert time.process_time() - begin < 1.0


def test_a_list_of_pairs_is_copied_once():
    pairs = b"](](Va\nI1\neeq\x01"
    call = b"ccollections\nOrderedDict\n(h\x01tR"
    assert load_pickle(io.BytesIO(pairs + b"0" + call + call + b"\x86.")) == ({"a": 1}, {})


def test_handmade_files_without_a_lie_are_read(tmp_path):
    path = tmp_path / "a.pt"
    # Python's own machine would fill a list up to this memo's index
    memo = b"}r\xff\xff\xff\x7f" + state(tensor())[1:]
    for content in (
        torch_file(memo),
        legacy_file(memo, b"]V0\na.", SIX + bytes(24)),
        tensor_file(shape=(2, 3, 1), strides=(3, 1, 1 << 62)),
    ):
        path.write_bytes(content)
        np.testing.assert_array_equal(read_arrays(path)["w0"].ravel(), np.zeros(6, "f4"))


def tensor_file(**kwargs):
    return torch_file(state(tensor(**kwargs)))


def legacy(data, keys=b"]V0\na."):
    return legacy_file(state(tensor()), keys, data)


def encrypted(content):
    at = content.index(b"PK\x01\x02")
    return content[: at + 8] + b"\x01" + content[at + 9 :]


SIX, SEVEN, NEGATIVE = (struct.pack("<q", count) for count in (6, 7, -6))
GOOD = [("a/data.pkl", state(tensor())), ("a/data/0", bytes(24))]
TWICE = b"}Va.b\n" + tensor() + b"sVa\n}Vb\n" + tensor() + b"ss."


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (torch_file(TWICE), "two tensors .*'a.b'"),
        (tensor_file(offset=1), r"'w0' of shape \(2, 3\) is larger"),
        (tensor_file(offset=-1), "negative"),
        (tensor_file(strides=(4, 1)), "larger than its storage"),
        (tensor_file(strides=(-3, 1)), "negative"),
        (tensor_file(shape=(2, -3)), "negative"),
        (tensor_file(shape=(1 << 62, 1 << 62)), "larger than its storage"),
        (tensor_file(shape=(10**4000, 3)), "'w0' has an impossible shape"),
        (tensor_file(shape=(1 << 40,), strides=(0,)), "larger than its storage"),
        (tensor_file(shape=(2,)), "impossible shape"),
        (tensor_file(shape=(1,) * 99, strides=(1,) * 99), "impossible shape"),
        (tensor_file(stored=storage(count=7)), "'w0' has a storage of 24 bytes, declared with 28"),
        (tensor_file(stored=storage(count=-6)), "larger than its storage"),
        (tensor_file(stored=storage(kind="torch\nDoubleStorage")), "declared with 48"),
        (tensor_file(stored=storage(kind="torch\nQInt8Storage")), "torch.QInt8Storage"),
        (tensor_file(stored=storage(key="1")), "'w0' lacks the member 'data/1'"),
        (tensor_file(stored=storage(key="../../other")), "lacks the member"),
        (legacy(b"", keys=b"]."), "'w0' lacks its data"),
        (legacy(b"", keys=b"}."), "'w0' lacks its data"),
        (legacy(SIX + bytes(24), keys=b"]V1\na."), "no tensor names"),
        (legacy((SIX + bytes(24)) * 2, keys=b"]V0\naV0\na."), "no tensor names"),
        (legacy(SEVEN + bytes(24)), "two sizes for one"),
        (legacy(NEGATIVE + bytes(24)), "two sizes for one"),
        (legacy(SIX + bytes(23)), "cut short"),
        (legacy(SIX + bytes(25)), "1 bytes after"),
        (legacy(SIX + bytes(24)).replace(b"M\xe9\x03.", b"M\xea\x03."), "unknown version"),
        (legacy(SIX + bytes(24)).replace(b"\x88s.", b"\x89s."), "big-endian"),
        (zipped(GOOD, zipfile.ZIP_DEFLATED), "compressed archive"),
        (zipped([*GOOD, GOOD[1]]), "two members of one name"),
        (zipped([*GOOD, ("b/data.pkl", b"}.")]), "more than one data.pkl"),
        (zipped([*GOOD, ("a/constants.pkl", b").")]), "TorchScript"),
        (zipped([*GOOD, ("a/code/x.py", b"")]), "TorchScript"),
        (zipped([*GOOD, ("a/byteorder", b"middle")]), "byte order"),
        (zipped([("x", b"PK")]), "neither torch.save nor"),
        (encrypted(zipped(GOOD)), "is an encrypted"),
    ],
)
def test_lying_files(tmp_path, content, finding):
    refused(tmp_path / "a.pt", content, finding)
