"""Files of Flax, Equinox, Haiku and TensorFlow 1: lyapy and they compute the same."""

import struct
import tracemalloc

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError, lyapunov_spectrum
from tests.support.weights_files import GOLDEN, outputs_of, read_arrays

JAX = dict(np.load(GOLDEN / "jax_files" / "expected.npz"))
# computed by the frameworks in double precision with the same weights
PRECISE = dict(np.load(GOLDEN / "jax_files" / "expected_float64.npz"))
TF1 = dict(np.load(GOLDEN / "tensorflow1_files" / "expected.npz"))
PRECISE_TF1 = dict(np.load(GOLDEN / "tensorflow1_files" / "expected_float64.npz"))
SUFFIXES = (".msgpack", ".npz", ".safetensors", ".eqx")
FILES = [p for name in JAX for s in SUFFIXES if (p := GOLDEN / "jax_files" / f"{name}{s}").exists()]
FORGET = {"lstm_peepholes": 0.5}


def load(path):
    if path.suffix == ".msgpack":
        pytest.importorskip("msgpack", reason="needs the extra flax")
    hints = {"layout": "haiku"} if path.stem.startswith("haiku") else {}
    if "simple" in path.stem:
        hints["nonlinearity"] = "tanh"
    if path.suffix == ".eqx":
        hints["layout"] = "equinox"
    return lyapy.load(path, **hints)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_jax_computes_the_same(path):
    found = outputs_of(load(path), JAX["inputs"])
    np.testing.assert_allclose(found, JAX[path.stem], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found, PRECISE[path.stem], rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", [name for name in JAX if name != "inputs"])
def test_one_spectrum_however_it_was_saved(name):
    spectra = [
        lyapunov_spectrum(load(path), JAX["inputs"].astype(float)).exponents
        for path in FILES
        if path.stem == name
    ]
    for other in spectra[1:]:
        np.testing.assert_allclose(other, spectra[0], atol=1e-12)


@pytest.mark.parametrize("name", [name for name in TF1 if name != "inputs"])
def test_tensorflow1_computes_the_same(name):
    path, forget = GOLDEN / "tensorflow1_files" / f"{name}.npz", FORGET.get(name)
    network = lyapy.load(path, layout="tensorflow1", forget_bias=forget)
    assert "lstm" not in name or f"{forget or 1:g} is added to the forget" in str(
        network.assumptions
    )
    found = outputs_of(network, TF1["inputs"])
    np.testing.assert_allclose(found, TF1[name], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found, PRECISE_TF1[name], rtol=0, atol=1e-13)


@pytest.mark.parametrize("part", ["gru.ckpt.index", "gru.ckpt.data-00000-of-00001", "checkpoint"])
def test_checkpoints_of_tensorflow_are_named(part):
    with pytest.raises(WeightsError, match=r"TensorFlow checkpoint.*load_checkpoint.*numpy\.savez"):
        lyapy.load(GOLDEN / "tensorflow1_files" / part)


def test_layouts_that_need_a_hint_are_refused_without_it():
    path = GOLDEN / "tensorflow1_files" / "basic_lstm.npz"
    with pytest.raises(WeightsError, match="no recurrent layer is recognised"):
        lyapy.load(path)
    with pytest.raises(ValueError, match="layout is 'theano'; it must be one of"):
        lyapy.load(path, layout="theano")


def test_a_leaf_that_lies_is_refused(tmp_path):
    content = (GOLDEN / "jax_files" / "equinox_gru.eqx").read_bytes()
    path = tmp_path / "a.eqx"
    path.write_bytes(content[:-4])
    with pytest.raises(WeightsError, match=r"declares \(3,\) of float32 for array 3"):
        read_arrays(path)


def test_a_leaf_whose_header_lies_is_refused(tmp_path):
    path = tmp_path / "a.eqx"
    path.write_bytes(b"\x93NUMPY\x02\0" + struct.pack("<I", 1 << 31) + bytes(40))
    tracemalloc.start()
    with pytest.raises(WeightsError, match="holds array 0 with a header that is too long"):
        read_arrays(path)
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def test_msgpack_of_long_lists_is_refused(tmp_path):
    pytest.importorskip("msgpack", reason="needs the extra flax")
    path = tmp_path / "a.msgpack"
    # each list would be made before the next is looked at
    path.write_bytes(b"\x81\xa1a" + 500 * b"\xdd\0\x03\0\0" + bytes(3 << 16))
    with pytest.raises(WeightsError, match="exceeds max_array_len"):
        read_arrays(path)


def test_part_of_a_core_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **{"gru/w_h": np.ones((3, 9))})
    with pytest.raises(WeightsError, match="part of a recurrent layer, but no gru/w_i"):
        lyapy.load(path, layout="haiku")


def test_msgpack_that_lies_is_refused(tmp_path):
    msgpack = pytest.importorskip("msgpack", reason="needs the extra flax")
    array = msgpack.packb(((1 << 40,), "float32", bytes(4)))
    path = tmp_path / "a.msgpack"
    path.write_bytes(msgpack.packb({"w": msgpack.ExtType(1, array)}))
    with pytest.raises(WeightsError, match=r"declares \(1099511627776,\) of float32 for 4 bytes"):
        read_arrays(path)
