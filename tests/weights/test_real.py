"""Trained networks as they are found: one out of a package, and the one that ships with lyapy."""

import zipfile
from importlib.resources import files

import numpy as np
import pytest
from safetensors import safe_open

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from tests.support.fetched import fetched
from tests.support.weights_files import read_arrays

PACKAGE = "g2p_en"
VERSION = "2.1.0"
LETTERS = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
DECODER_BEGINS, DECODER_ENDS = 2, 3
# "activationist" in the package's README: AE2 K T IH0 V EY1 SH AH0 N IH0 S T
PRONOUNCED = [9, 45, 60, 38, 69, 33, 59, 10, 48, 38, 58, 60]
SENTENCE = "the recurrent network spells every word of this sentence letter by letter"


@pytest.fixture(scope="module")
def g2p(request, tmp_path_factory):
    wheel = fetched(request.config, PACKAGE, VERSION, f"{PACKAGE}-{VERSION}-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.extract(f"{PACKAGE}/checkpoint20.npz", tmp_path_factory.mktemp(PACKAGE))


def embed(path, words):
    table = read_arrays(path)["enc_emb"].astype(float)
    return np.concatenate([table[[LETTERS.index(c) for c in [*word, "</s>"]]] for word in words])


@pytest.mark.network
def test_g2p_pronounces(g2p):
    """With a gate out of place the two networks would not find the phonemes of the README."""
    arrays = read_arrays(g2p)
    encoder, decoder = (lyapy.load(g2p, prefix=prefix) for prefix in ("enc", "dec"))
    state = forward_chunk(encoder, embed(g2p, ["activationist"]), np.zeros(256)).states[-1]
    found = [DECODER_BEGINS]
    while found[-1] != DECODER_ENDS and len(found) < 20:
        x = arrays["dec_emb"][found[-1:]].astype(float)
        state = forward_chunk(decoder, x, state).states[0]
        found.append(int(np.argmax(arrays["fc_w"] @ state + arrays["fc_b"])))
    assert found[1:-1] == PRONOUNCED


@pytest.mark.network
def test_g2p_encoder_spectrum(g2p):
    network = lyapy.load(g2p, prefix="enc")
    assert network.state_size == network.input_size == 256
    inputs = embed(g2p, SENTENCE.split())
    spectrum = lyapunov_spectrum(network, inputs)
    assert spectrum.resolved.all()
    assert spectrum.sum_rule_residual < 1e-10
    assert np.all(np.diff(spectrum.exponents) <= 0.0)
    # it has to remember a word, and no more: it forgets, slowly at first
    assert -0.2 < spectrum.largest < 0.05
    leading = lyapunov_spectrum(network, inputs, k=4, frame="identity", interval=1)
    full = lyapunov_spectrum(network, inputs, frame="identity")
    np.testing.assert_allclose(leading.growth, full.growth[:, :, :4], atol=1e-6)


@pytest.fixture(scope="module")
def shipped():
    folder = files(lyapy) / "data"
    path = folder / "character_lstm.safetensors"
    with safe_open(str(path), "numpy") as file:
        vocabulary = file.metadata()["vocabulary"]
    text = (folder / "excerpt.txt").read_text(encoding="utf-8")
    indices = np.array([vocabulary.index(character) for character in text])
    inputs = read_arrays(str(path))["embedding.weight"].astype(float)[indices]
    return path, indices, inputs


def test_each_input_is_the_embedding_of_its_character():
    network, inputs, text = lyapy.load_example()
    B, T, m = inputs.shape
    assert (B, m, network.state_size) == (8, network.input_size, 128)
    assert [len(passage) for passage in text] == [T] * B
    # the same characters have the same inputs, and different ones different inputs
    characters, rows = np.array([list(passage) for passage in text]), {}
    for character in np.unique(characters):
        found = np.unique(inputs[characters == character], axis=0)
        assert len(found) == 1
        rows[character] = found[0].tobytes()
    assert len({*rows.values()}) == len(rows) > 20


def test_shipped_network_predicts_its_excerpt(shipped):
    path, indices, inputs = shipped
    network, arrays = lyapy.load(str(path)), read_arrays(str(path))
    run = choose_engine("numba").run_layer
    states = forward_chunk(network, inputs[:-1], np.zeros(network.state_size), run).states
    logits = states[:, :64] @ arrays["readout.weight"].T.astype(float) + arrays["readout.bias"]
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(logits)), indices[1:]]
    assert losses.mean() / np.log(2) == pytest.approx(1.98009093, abs=1e-6)


# the tail of its spectrum asks for more than one QR a step, and may be flagged as unresolved
@pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning")
def test_shipped_network_spectrum(shipped):
    path, _, inputs = shipped
    network = lyapy.load(str(path))
    assert network.state_size == 128
    inputs = inputs[:1200]
    leading = lyapunov_spectrum(network, inputs, k=16, transient=100)
    assert leading.resolved.all()
    assert np.all(np.isfinite(leading.standard_error))
    assert -0.05 < leading.largest < 0.05
    full = lyapunov_spectrum(network, inputs, transient=100)
    assert np.all(np.isfinite(full.exponents))
    np.testing.assert_allclose(leading.exponents[:4], full.exponents[:4], atol=0.01)
    # its gates exchange growth by rounding: not resolved to 1e-7, but known
    assert full.resolved[:32].all()
    assert full.rounding_error.max() < 1e-3
    assert full.sum_rule_residual < 1e-6
