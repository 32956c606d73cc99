"""Hostile files in torch's formats: one error each, nothing run, nothing else opened."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lyapy.errors import WeightsError
from lyapy.weights.formats import read_arrays
from lyapy.weights.formats.torch_pickle import load_pickle

GOLDEN = Path(__file__).parents[2] / "golden" / "torch_files"


def refused(path, content, what):
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=what) as caught:
        read_arrays(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    return caught.value


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def torch_file(pickle, *more):
    return zipped([("a/data.pkl", pickle), ("a/data/0", bytes(24)), *more])


def legacy_file(pickle, keys=b"].", data=b""):
    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    return magic + b"M\xe9\x03." + b"}X\r\0\0\0little_endian\x88s." + pickle + keys + data


def storage(key="0", count=6, kind="torch\nFloatStorage"):
    return f"(Vstorage\nc{kind}\nV{key}\nVcpu\nI{count}\ntQ".encode()


def numbers(values):
    return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"


def tensor(offset=0, shape=(2, 3), strides=(3, 1), stored=None):
    head = b"ctorch._utils\n_rebuild_tensor_v2\n(" + (stored or storage())
    return head + b"I%d\n" % offset + numbers(shape) + numbers(strides) + b"\x89NtR"


def state(*values):
    return b"}" + b"".join(b"Vw%d\n%ss" % pair for pair in enumerate(values)) + b"."


PICKLES = {
    "system": (b"cos\nsystem\n(Vtouch owned\ntR.", "'os.system'.*not allowed; .*state_dict"),
    "stack": (b"\x8c\x05posix\x8c\x06system\x93(Vtouch owned\ntR.", "'posix.system'"),
    "eval": (b"cbuiltins\neval\n(Vopen('owned','w')\ntR.", "'builtins.eval'"),
    "eval_2": (b"c__builtin__\neval\n(Vopen('owned','w')\ntR.", "'builtins.eval'"),
    "import": (b"cowned\nthing\n.", "holds no arrays"),
    "load": (b"ctorch.serialization\nload\n(Vowned\ntR.", "'torch.serialization.load'"),
    "dotted": (b"\x8c\x0ctorch._utils\x8c\x14_rebuild_tensor.f_gb\x93.", "f_gb"),
    "inst": (b"(Vtouch owned\nios\nsystem\n.", "'os.system'.*not allowed"),
    "obj": (b"(ccollections\nOrderedDict\no.", "holds no arrays"),
    "newobj": (b"ccollections\nOrderedDict\n)\x81.", "holds no arrays"),
    "newobj_ex": (b"ccollections\nOrderedDict\n)}\x92.", "holds no arrays"),
    "ext": (b"\x82\x01.", "opcode EXT1"),
    "persid": (b"Pstorage\n.", "opcode PERSID"),
    "buffer": (b"\x97.", "opcode NEXT_BUFFER"),
    "unknown": (b"\xff.", "damaged .*unknown"),
    "call_text": (b"Vos.system\n(Vtouch owned\ntR.", "no function"),
    "call_type": (b"ctorch\nFloatStorage\n)R.", "no function"),
    "build_global": (b"ccollections\nOrderedDict\n}Vx\nI1\nsb.", "sets attributes"),
    "build_tensor": (tensor() + b"}Vx\nI1\nsb.", "sets attributes"),
    "items": (b"Vx\nVa\nI1\ns.", "items of what is no dict"),
    "append": (b"}I1\na.", "appends to what is no list"),
    "many_arguments": (b"ccollections\nOrderedDict\n(" + b"N" * 99 + b"tR.", "arguments"),
    "deep_key": (b"})" + b"\x85" * 200_000 + b"I1\ns.", "key of type tuple"),
    "deep": (b"]" * 200 + b"a" * 199 + b".", "too deeply"),
    "cycle": (b"}q\x00Va\nh\x00s.", "too deeply"),
    "long_name": (b"}V" + b"a" * 2000 + b"\n" + tensor() + b"s.", "too long names"),
    "underflow": (b"0.", "damaged"),
    "no_mark": (b"t.", "damaged"),
    "no_memo": (b"h\x07.", "damaged"),
    "lying_bytes": (b"\x8e" + struct.pack("<Q", 1 << 40) + b"x.", "damaged .*bytes8"),
    "lying_long": (b"\x8b" + struct.pack("<i", 1 << 30) + b"x.", "damaged .*long4"),
    "no_stop": (b"}", "damaged"),
    "nothing": (b"}.", "holds no arrays"),
    "numbers_only": (b"}Va\nI1\ns.", "holds no arrays"),
    "not_storage": (b"Vmodule\nQ.", "unknown way"),
    "lone_storage": (state(tensor(stored=b"N")), "without storage"),
    "list_shape": (state(tensor().replace(numbers((2, 3)), b"(l")), "without storage or shape"),
    "two_ways": (state(tensor(), tensor(stored=storage(count=5))), "one storage in two ways"),
    "two_types": (
        state(tensor(), tensor(stored=storage(kind="torch\nIntStorage"))),
        "one storage in two ways",
    ),
}


@pytest.mark.parametrize("build", [torch_file, legacy_file])
@pytest.mark.parametrize("name", PICKLES)
def test_hostile_pickle(tmp_path, monkeypatch, name, build):
    monkeypatch.chdir(tmp_path)
    pickle, what = PICKLES[name]
    refused(tmp_path / "a.pt", build(pickle), what)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def nested(depth, leaf):
    """A list of twice a list of twice ... of a leaf."""
    pairs = b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(depth))
    return b"](" + leaf + b"eq\x00" + pairs + b"."


@pytest.mark.parametrize(
    ("pickle", "what"),
    [
        (nested(25, b""), "holds no arrays"),
        (nested(25, tensor()), "too many values"),
        (nested(15, tensor() + b"N" * 2000), "too many values"),
    ],
)
def test_shared_lists_do_not_multiply(tmp_path, pickle, what):
    begin = time.process_time()
    refused(tmp_path / "a.pt", torch_file(pickle), what)
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


def test_two_tensors_of_one_dotted_name(tmp_path):
    pickle = b"}Va.b\n" + tensor() + b"sVa\n}Vb\n" + tensor() + b"ss."
    refused(tmp_path / "a.pt", torch_file(pickle), "two tensors .*'a.b'")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"offset": 1}, r"'w0' of shape \(2, 3\) is larger"),
        ({"offset": -1}, "negative"),
        ({"strides": (4, 1)}, "larger than its storage"),
        ({"strides": (-3, 1)}, "negative"),
        ({"shape": (2, -3)}, "negative"),
        ({"shape": (1 << 62, 1 << 62)}, "larger than its storage"),
        ({"shape": (10**4000, 3)}, "'w0' has an impossible shape"),
        ({"shape": (1 << 40,), "strides": (0,)}, "larger than its storage"),
        ({"shape": (2,)}, "impossible shape"),
        ({"shape": (1,) * 99, "strides": (1,) * 99}, "impossible shape"),
        ({"stored": storage(count=7)}, "'w0' has a storage of 24 bytes, declared with 28"),
        ({"stored": storage(count=-6)}, "larger than its storage"),
        ({"stored": storage(kind="torch\nDoubleStorage")}, "declared with 48"),
        ({"stored": storage(kind="torch\nQInt8Storage")}, "torch.QInt8Storage"),
        ({"stored": storage(key="1")}, "'w0' lacks the member 'data/1'"),
        ({"stored": storage(key="../../other")}, "lacks the member"),
    ],
)
def test_lying_tensor(tmp_path, given, what):
    refused(tmp_path / "a.pt", torch_file(state(tensor(**given))), what)


def test_the_handmade_files_are_good_but_for_their_lies(tmp_path):
    path = tmp_path / "a.pt"
    # Python's own machine would fill a list up to this memo's index.
    memo = b"}r\xff\xff\xff\x7f" + state(tensor())[1:]
    size = struct.pack("<q", 6)
    lone = torch_file(state(tensor(shape=(2, 3, 1), strides=(3, 1, 1 << 62))))
    for content in (torch_file(memo), legacy_file(memo, b"]V0\na.", size + bytes(24)), lone):
        path.write_bytes(content)
        np.testing.assert_array_equal(read_arrays(path)["w0"].ravel(), np.zeros(6, "f4"))


@pytest.mark.parametrize(
    ("keys", "data", "what"),
    [
        (b"].", b"", "'w0' lacks its data"),
        (b"}.", b"", "'w0' lacks its data"),
        (b"]V1\na.", struct.pack("<q", 6) + bytes(24), "no tensor names"),
        (b"]V0\naV0\na.", (struct.pack("<q", 6) + bytes(24)) * 2, "no tensor names"),
        (b"]V0\na.", struct.pack("<q", 7) + bytes(24), "two sizes"),
        (b"]V0\na.", struct.pack("<q", -6) + bytes(24), "two sizes"),
        (b"]V0\na.", struct.pack("<q", 6) + bytes(23), "cut short"),
        (b"]V0\na.", struct.pack("<q", 6) + bytes(25), "1 bytes after"),
    ],
)
def test_lying_legacy_storage(tmp_path, keys, data, what):
    refused(tmp_path / "a.pt", legacy_file(state(tensor()), keys, data), what)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [(b"M\xe9\x03.", b"M\xea\x03.", "unknown version"), (b"\x88s.", b"\x89s.", "big-endian")],
)
def test_legacy_head(tmp_path, old, new, what):
    good = legacy_file(state(tensor()), b"]V0\na.", struct.pack("<q", 6) + bytes(24))
    refused(tmp_path / "a.pt", good.replace(old, new), what)


def encrypted(content):
    at = content.index(b"PK\x01\x02")
    return content[: at + 8] + b"\x01" + content[at + 9 :]


GOOD = [("a/data.pkl", state(tensor())), ("a/data/0", bytes(24))]


@pytest.mark.parametrize(
    ("content", "what"),
    [
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
def test_lying_archive(tmp_path, content, what):
    refused(tmp_path / "a.pt", content, what)
