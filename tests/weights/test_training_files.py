"""Files as training leaves them: reparametrised weights, optimizers, TensorFlow's checkpoints."""

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.cli import main
from lyapy.weights.frameworks.layer import Hints
from lyapy.weights.load import load_closed_loop
from lyapy.weights.source import read_source
from tests.support import weights_files
from tests.support.weights_files import outputs_of

GOLDEN = weights_files.GOLDEN / "training_files"
EXPECTED = dict(np.load(GOLDEN / "expected.npz"))
FOUND = {name: (GOLDEN / name, *GOLDEN.glob(f"{name}.*")) for name in EXPECTED}
FILES = {name: next(path for path in paths if path.exists()) for name, paths in FOUND.items()}
SETTLED = [name for name in EXPECTED if name != "orthogonal"]


def hints_of(name):
    """Return the hints that are needed: without a configuration, Keras leaves gates open."""
    open_gates = name.endswith(("_checkpoint", "_weights", "_saved_model"))
    return {"gate_nonlinearity": "sigmoid"} if open_gates else {}


def load(name):
    if name == "train_state":
        pytest.importorskip("msgpack", reason="needs the extra flax")
    return lyapy.load(FILES[name], **hints_of(name))


@pytest.mark.parametrize("name", SETTLED)
def test_the_weights_are_those_that_the_framework_computed_with(name):
    network = load(name)
    wanted = EXPECTED[name].astype(float)
    if network.cells[0].name == "lstm" and "keras" in name:
        i, f, c, o = np.split(wanted, 4)
        wanted = np.concatenate([i, f, c, o])
    np.testing.assert_allclose(network.cells[0].weights.U, wanted, rtol=0, atol=1e-6)
    # the head fits too, and no moment of an optimizer does in its place
    loop = load_closed_loop(FILES[name], Hints(**hints_of(name)))
    assert loop.input_size == 0 and loop.open_loop.digest() == network.digest()


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("weight_norm", "put together (weight norm)"),
        ("weight_norm_old", "put together (weight norm)"),
        ("spectral_norm", "put together (spectral norm)"),
        ("pruned", "put together (pruned)"),
        ("awd_raw", "the one before dropout"),
    ],
)
def test_how_a_weight_was_put_together_is_an_assumption(name, origin):
    assert load(name).assumptions[0] == f"rnn.weight_hh_l0 is {origin}"


def test_a_weight_that_its_factors_do_not_settle(tmp_path):
    """The file does not say which map to the orthogonal matrices was chosen."""
    remedy = r"call torch.nn.utils.parametrize.remove_parametrizations\(module, 'weight_hh_l0'\)"
    with pytest.raises(WeightsError, match=rf"rnn.weight_hh_l0 is reparametrised.*; .*{remedy}"):
        load("orthogonal")
    contents = read_source(FILES["awd_raw"])[1].arrays
    arrays = {"head.parametrizations.weight.original": contents["head.weight"]}
    arrays |= {n: a for n, a in contents.items() if n != "head.weight"}
    np.savez(tmp_path / "a.npz", **arrays)
    assert lyapy.load(tmp_path / "a.npz").state_size == 6
    with pytest.raises(WeightsError, match=r"head.weight is reparametrised"):
        load_closed_loop(tmp_path / "a.npz", Hints())


@pytest.mark.parametrize(
    ("factors", "remedy"),
    [
        (("orig",), "remove_spectral_norm"),
        (("orig", "u"), r"prune.remove\(module, 'weight_hh_l0'\)"),
    ],
)
def test_factors_that_are_missing(tmp_path, factors, remedy):
    arrays = dict(read_source(FILES["awd_raw"])[1].arrays)
    weight = arrays.pop("rnn.weight_hh_l0")
    arrays |= {f"rnn.weight_hh_l0_{factor}": weight for factor in factors}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(WeightsError, match=remedy):
        lyapy.load(tmp_path / "a.npz")


def test_the_raw_weight_of_a_wrapped_layer(tmp_path):
    """fastai keeps the layer as ``module``, and the raw weight outside of it."""
    arrays = dict(read_source(FILES["awd_raw"])[1].arrays)
    raw = arrays["rnn.weight_hh_l0"]
    wrapped = {n.replace("rnn.", "0.rnns.0.module."): a for n, a in arrays.items()}
    wrapped["0.rnns.0.module.weight_hh_l0"] = 0.0 * raw
    np.savez(tmp_path / "a.npz", **wrapped, **{"0.rnns.0.weight_hh_l0_raw": raw})
    network = lyapy.load(tmp_path / "a.npz")
    np.testing.assert_array_equal(network.cells[0].weights.U, raw)


@pytest.mark.parametrize("name", ["checkpoint", "train_state", "keras.keras", "tf_keras.h5"])
def test_info_counts_an_optimizer_in_one_line(name, capsys):
    load(name)
    assert main(["info", str(FILES[name])]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "not recurrent" in line]
    assert len(lines) == 3
    assert lines[-1].endswith(" tensors of an optimizer")


@pytest.mark.parametrize("given", ["ckpt", "ckpt.index", "ckpt.data-00000-of-00001", "saved"])
def test_a_checkpoint_of_tensorflow_is_known_by_every_name(tmp_path, given):
    (tmp_path / "saved" / "variables").mkdir(parents=True)
    for prefix in ("ckpt", "saved/variables/variables"):
        for part in (".index", ".data-00000-of-00001"):
            (tmp_path / f"{prefix}{part}").write_bytes(bytes.fromhex("57fb808b247547db"))
    prefix = tmp_path / ("saved/variables/variables" if given == "saved" else "ckpt")
    with pytest.raises(WeightsError, match=r"load_checkpoint\('(.*)'\); numpy\.savez") as caught:
        lyapy.load(tmp_path / given)
    assert f"'{prefix}'" in str(caught.value)


LIGHTNING = ("lightning.ckpt", "accelerate_model.safetensors", "accelerate_pytorch_model.bin",
             "omegaconf.pt")  # fmt: skip


@pytest.mark.parametrize("name", LIGHTNING)
def test_a_checkpoint_computes_the_outputs_of_its_framework(name):
    folder = weights_files.GOLDEN / "lightning_files"
    expected = np.load(folder / "expected.npz")
    found = outputs_of(lyapy.load(folder / name), expected["inputs"])
    wanted = expected[name.partition("_")[0].partition(".")[0]]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_an_optimizer_alone_holds_no_network():
    with pytest.raises(WeightsError, match=r"holds only the state of an optimizer, 24 tensors"):
        lyapy.load(weights_files.GOLDEN / "lightning_files/accelerate_optimizer.bin")
