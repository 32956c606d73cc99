"""Torch's formats: hostile files give one error each and nothing runs; objects are read as data."""

import io
import struct
import sys
import time
import zipfile

import numpy as np
import pytest

import lyapy
from lyapy.weights.formats.torch_pickle import Object, load_pickle
from tests.support import weights_files
from tests.support.weights_files import (
    PICKLES,
    THING,
    legacy_file,
    numbers,
    of_case,
    outputs_of,
    read_arrays,
    refused,
    same,
    state,
    storage,
    tensor,
    torch_file,
    zipped,
)

GOLDEN = weights_files.GOLDEN / "torch_files"


@pytest.mark.parametrize("build", [torch_file, legacy_file])
@pytest.mark.parametrize("name", PICKLES)
def test_a_hostile_pickle_is_refused(tmp_path, monkeypatch, name, build):
    monkeypatch.chdir(tmp_path)
    pickle, finding = PICKLES[name]
    refused(tmp_path / "a.pt", build(pickle), finding)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def nested(depth, leaf):
    """A list of twice a list of twice ... of a leaf."""
    pairs = b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(depth))
    return b"](" + leaf + b"eq\x00" + pairs + b"."


def nested_modules(depth):
    module = b"cm\nM\n)\x81}V_modules\n}%ssbq%c"
    pairs = [b"0" + module % (b"Va\nh%csVb\nh%cs" % (i, i), i + 1) for i in range(depth)]
    return module % (b"", 0) + b"".join(pairs) + b"."


def long_shape():
    number = b"\x8b" + struct.pack("<i", 1 << 20) + bytes((1 << 20) - 1) + b"\x01q\x00"
    shape = b"(" + number + b"h\x00" * 30 + b"tq\x010"
    return shape + state(tensor().replace(numbers((2, 3)) + numbers((3, 1)), b"h\x01h\x01"))


CELL = b"cm\nM\n)\x81}V_modules\n}sVmode\nVRNN_RELU\nsbq\x00"


@pytest.mark.parametrize(
    ("pickle", "finding"),
    [
        (nested(25, b""), "holds no arrays"),
        (nested(25, tensor()), "too many values"),
        (nested(15, tensor() + b"N" * 2000), "too many values"),
        (nested_modules(24), "holds no arrays"),
        (CELL + b"0](" + b"h\x00" * 20_000 + b"e.", "too many recurrent modules"),
        (long_shape(), "'w0' has an impossible shape"),
    ],
    ids=range(6),
)
def test_shared_and_long_values_do_not_multiply(tmp_path, pickle, finding):
    begin = time.process_time()
    refused(tmp_path / "a.pt", torch_file(pickle), finding)
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
def test_files_that_lie_are_refused(tmp_path, content, finding):
    refused(tmp_path / "a.pt", content, finding)


@pytest.mark.parametrize("old", ["", "_old"])
@pytest.mark.parametrize("name", ["rnn", "rnn_cell", "gru", "lstm", "tagger", "parallel"])
def test_a_module_gives_its_state_dict_and_computes_as_torch(name, old):
    path, wanted = GOLDEN / f"module_{name}{old}.pt", of_case(GOLDEN / "modules.npz", name)
    assert wanted
    same(read_arrays(path), wanted)
    with np.load(GOLDEN / "modules.npz") as archive:
        found = outputs_of(lyapy.load(path), archive["inputs"])
        np.testing.assert_allclose(found, archive[f"{name}:outputs"], rtol=0, atol=1e-6)


def test_a_checkpoint_with_foreign_objects_is_read():
    for old in ("", "_old"):
        path = GOLDEN / f"foreign{old}.pt"
        found = dict(read_arrays(path))
        np.testing.assert_array_equal(found.pop("array"), np.arange(3.0))
        same(found, of_case(GOLDEN / "modules.npz", "foreign"))
        assert lyapy.load(path).state_size == 3


def test_another_nonlinearity_than_in_the_file_is_reported():
    network = lyapy.load(GOLDEN / "module_rnn.pt", nonlinearity="relu")
    assert any("the file says tanh" in said for said in network.assumptions)


@pytest.mark.parametrize(
    "made",
    [
        *(THING + way for way in (b")R", b")\x81", b")}\x92", b")R)R")),
        b"(" + THING + b"o",
        b"(iowned_module\nThing\n",
    ],
)
def test_every_way_to_make_an_object_makes_a_stand_in(made, tmp_path, monkeypatch):
    (tmp_path / "owned_module.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    found = load_pickle(io.BytesIO(made + b"}Vx\nI1\nsb."))
    assert isinstance(found, Object)
    assert (found.name, found.attributes) == ("owned_module.Thing", {"x": 1})
    assert "owned_module" not in sys.modules


def test_a_class_derived_from_rnn_has_its_nonlinearity(tmp_path):
    square = tensor(shape=(2, 2), strides=(2, 1))
    weights = b"}Vweight_ih_l0\n" + square + b"sVweight_hh_l0\n" + square + b"s"
    pickle = b"cm\nM\n)\x81}V_modules\n}sVmode\nVRNN_RELU\nsV_parameters\n" + weights + b"sb."
    path = tmp_path / "a.pt"
    path.write_bytes(torch_file(pickle))
    assert lyapy.load(path).cells[0].nonlinearity == "relu"


def test_a_kind_of_dict_is_read_as_one(tmp_path):
    path = tmp_path / "a.pt"
    path.write_bytes(torch_file(THING + b")\x81" + state(tensor())[1:]))
    assert list(read_arrays(path)) == ["w0"]
