"""Whole modules and checkpoints with foreign objects are read as data, named as torch does."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy.networks.forward import forward_chunk
from lyapy.weights.formats import read_arrays
from lyapy.weights.formats.torch_pickle import Object, load_pickle
from tests.support.weights_files import THING, refused, same, state, tensor, torch_file

GOLDEN = Path(__file__).parents[2] / "golden" / "torch_files"


def written(name):
    with np.load(GOLDEN / "modules.npz") as archive:
        head = name + "/"
        found = {key.removeprefix(head): archive[key] for key in archive if key.startswith(head)}
        return found, archive["inputs"], archive.get(f"{name}:outputs")


@pytest.mark.parametrize("old", ["", "_old"])
@pytest.mark.parametrize("name", ["rnn", "rnn_cell", "gru", "lstm", "tagger", "parallel"])
def test_a_module_gives_its_state_dict_and_computes_as_torch(name, old):
    wanted, inputs, outputs = written(name)
    assert wanted
    path = GOLDEN / f"module_{name}{old}.pt"
    same(read_arrays(path), wanted)
    network = lyapy.load(path)
    start = np.zeros(network.state_size)
    states = forward_chunk(network, inputs.astype(float), start).states
    below = sum(cell.state_size for cell in network.cells[:-1])
    found = states[:, below : below + network.cells[-1].output_size]
    np.testing.assert_allclose(found, outputs, rtol=0, atol=1e-6)


def test_a_checkpoint_with_foreign_objects():
    for old in ("", "_old"):
        path = GOLDEN / f"foreign{old}.pt"
        same(read_arrays(path), written("foreign")[0])
        assert lyapy.load(path).state_size == 3


def test_another_nonlinearity_than_in_the_file_is_reported():
    network = lyapy.load(GOLDEN / "module_rnn.pt", nonlinearity="relu")
    assert any("the file says tanh" in said for said in network.assumptions)


@pytest.mark.parametrize(
    "made",
    [
        THING + b")R",
        THING + b")\x81",
        THING + b")}\x92",
        b"(" + THING + b"o",
        b"(iowned_module\nThing\n",
        THING + b")R)R",
    ],
)
def test_every_way_to_make_an_object_makes_a_stand_in(made, tmp_path, monkeypatch):
    (tmp_path / "owned_module.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    found = load_pickle(io.BytesIO(made + b"}Vx\nI1\nsb."))
    assert isinstance(found, Object)
    assert (found.name, found.attributes) == ("owned_module.Thing", {"x": 1})
    assert "owned_module" not in sys.modules


def test_shared_modules_do_not_multiply(tmp_path):
    module = b"cm\nM\n)\x81}V_modules\n}%ssbq%c"
    nested = module % (b"", 0)
    for i in range(1, 25):
        nested += b"0" + module % (b"Va\nh%csVb\nh%cs" % (i - 1, i - 1), i)
    begin = time.process_time()
    refused(tmp_path / "a.pt", torch_file(nested + b"."), "holds no arrays")
    assert time.process_time() - begin < 1.0


def test_a_shared_cell_is_not_reported_without_end(tmp_path):
    cell = b"cm\nM\n)\x81}V_modules\n}sVmode\nVRNN_RELU\nsbq\x00"
    pickle = cell + b"0](" + b"h\x00" * 20_000 + b"e."
    refused(tmp_path / "a.pt", torch_file(pickle), "too many recurrent modules")


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
