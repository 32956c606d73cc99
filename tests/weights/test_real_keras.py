"""Trained Keras networks out of packages: textgenrnn in cuDNN's layout, chars2vec of Keras 2.2."""

import json
import tarfile

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError, lyapunov_spectrum
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from lyapy.weights.frameworks import keras
from tests.conftest import orbit_jacobians
from tests.support.fetched import fetched
from tests.support.weights_files import read_arrays

pytestmark = pytest.mark.network
# generated text, from the package's README
TEXT = (
    "[Spoiler] Anyone else find this post and their person that was a little more than I really "
    "like the Star Wars in the fire or health and posting a personal house of the 2016 Letter for "
    "the game in a report of my backyard."
)
BITS_PER_CHARACTER = 1.27573
# the first outputs of rnn_2 after "I really like the Star Wars", by tf_keras 2.21
BY_KERAS = [-0.0045154421, 0.3268813193, 0.5193791986, -0.0003790432, -0.0096138557]
CHARACTERS = "!\"#$%&'()*+,-./0123456789:;<=>?@_abcdefghijklmnopqrstuvwxyz"
# the first numbers of words' vectors in eng_50, by tf_keras 2.21
VECTORS = {
    "natural": [0.3731604815, -0.3052676618, -0.6009518504, -0.2179717720],
    "naturael": [0.2453527153, -0.3634477854, -0.5307941437, -0.2200746387],
    "understanding": [-0.6870625019, -0.7447343469, -0.9884858131, -0.6424034238],
}


@pytest.fixture(scope="module")
def package(request, tmp_path_factory):

    def fetch(name, version, *members):
        archive = fetched(request.config, name, version, f"{name}-{version}.tar.gz")
        folder = tmp_path_factory.mktemp(name)
        with tarfile.open(archive) as opened:
            for member in members:
                content = opened.extractfile(f"{name}-{version}/{name}/{member}").read()
                path = folder / member
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return [folder / member for member in members]

    return fetch


@pytest.fixture(scope="module")
def textgenrnn(package):
    files = "textgenrnn_weights.hdf5", "textgenrnn_vocab.json"
    path, vocabulary = package("textgenrnn", "2.0.0", *files)
    indices = json.loads(vocabulary.read_text())
    characters = np.array([indices["<s>"], *(indices[c] for c in TEXT)])
    arrays = {name: a.astype(float) for name, a in read_arrays(path).items()}
    return lyapy.load(path, prefix=["rnn_1", "rnn_2"]), arrays, characters


def losses(network, arrays, characters, ends):
    """Nats that a character costs after those before it, for some of the characters."""
    table = arrays["embedding/embedding/embeddings:0"]
    run = choose_engine("numba").run_layer
    found = []
    for end in ends:
        # the package gives 40 characters, filled up with index 0, each time from the zero state
        window = np.zeros(40, int)
        window[-min(end, 40) :] = characters[max(end - 40, 0) : end]
        x = table[window]
        states = forward_chunk(network, x, np.zeros(512), run).states
        seen = np.concatenate([x, states[:, :128], states[:, 256:384]], axis=1)
        weight = np.exp(seen @ arrays["attention/attention/attention_W:0"])
        logits = (weight * seen).sum(0) / weight.sum() @ arrays["output/output/kernel:0"]
        logits += arrays["output/output/bias:0"]
        found.append(np.logaddexp.reduce(logits) - logits[characters[end]])
    return np.array(found)


def test_textgenrnn_predicts_text(textgenrnn):
    """The package states no loss; this is that of the text that its README says it wrote."""
    found = losses(*textgenrnn, range(1, len(TEXT) + 1))
    assert found.mean() / np.log(2) == pytest.approx(BITS_PER_CHARACTER, abs=1e-4)


def test_textgenrnn_read_naively_does_not(textgenrnn, monkeypatch):
    """As if cuDNN's matrices were Keras's: over 70 bits per character."""
    monkeypatch.setattr(keras, "_by_gate", lambda stacked, gates, change: stacked)
    naive = lyapy.load(textgenrnn[0].origin, prefix=["rnn_1", "rnn_2"])
    some = range(1, len(TEXT) + 1, 4)
    assert losses(naive, *textgenrnn[1:], some).mean() / np.log(2) > 50.0
    assert losses(*textgenrnn, some).mean() / np.log(2) < 2.0


def test_textgenrnn_computes_the_same_as_keras(textgenrnn):
    network, arrays, characters = textgenrnn
    start = TEXT.index("I really") + 1
    some = characters[start : start + len("I really like the Star Wars")]
    x = arrays["embedding/embedding/embeddings:0"][some]
    state = forward_chunk(network, x, np.zeros(512)).states[-1]
    np.testing.assert_allclose(state[256:261], BY_KERAS, rtol=0, atol=1e-6)


def test_textgenrnn_spectrum(textgenrnn):
    network, arrays, characters = textgenrnn
    inputs = arrays["embedding/embedding/embeddings:0"][characters[:60]]
    spectrum = lyapunov_spectrum(network, inputs)
    assert len(spectrum.exponents) == 512
    assert np.isfinite(spectrum.exponents).all() and spectrum.rounding_error.max() < 1e-5
    assert spectrum.sum_rule_residual < 1e-10
    assert -0.1 < spectrum.largest < 0.1


def one_hot(word):
    return np.eye(len(CHARACTERS))[[CHARACTERS.index(c) for c in word]]


@pytest.fixture(scope="module")
def chars2vec(package):
    (path,) = package("chars2vec", "0.1.7", "trained_models/eng_50/weights.h5")
    return path


@pytest.mark.parametrize("word", VECTORS)
def test_chars2vec_computes_the_same_as_keras(chars2vec, word):
    layers = ["lstm_1", "lstm_2"]
    network = lyapy.load(chars2vec, prefix=layers, gate_nonlinearity="hard-sigmoid-keras2")
    state = forward_chunk(network, one_hot(word), np.zeros(200)).states[-1]
    np.testing.assert_allclose(state[100:104], VECTORS[word], rtol=0, atol=1e-6)


def volume_growth(jacobians, frame):
    """Log of the volume that the rows of a frame come to span, by Gram determinants."""
    total = 0.0
    for J in jacobians:
        frame = frame @ J.T
        gram = np.linalg.cholesky(frame @ frame.T)
        total += np.log(np.diagonal(gram)).sum()
        frame = np.linalg.svd(frame, full_matrices=False)[2]
    return total


def test_chars2vec_sum_rule(chars2vec):
    """Until a gate is saturated the Jacobians are regular, and the sum rule holds for all."""
    network = lyapy.load(chars2vec, prefix="lstm_1", gate_nonlinearity="hard-sigmoid-keras2")
    inputs = one_hot("naturalnatural")[:10]
    spectrum = lyapunov_spectrum(network, inputs)
    assert np.isfinite(spectrum.exponents).all() and spectrum.rounding_error.max() < 1e-5
    assert spectrum.sum_rule_residual < 1e-10


def test_chars2vec_spectrum(chars2vec):
    """A flat gate kills a direction; as many exponents are -inf as one step kills at most."""
    network = lyapy.load(chars2vec, prefix="lstm_1", gate_nonlinearity="hard-sigmoid-keras2")
    inputs = np.concatenate([one_hot(word) for word in VECTORS] * 4)
    spectrum = lyapunov_spectrum(network, inputs, frame="identity")
    jacobians = orbit_jacobians(network, inputs, np.zeros(100))
    dead = max(100 - np.linalg.matrix_rank(J) for J in jacobians)
    assert dead > 0
    alive = spectrum.exponents[np.isfinite(spectrum.exponents)]
    assert len(alive) == 100 - dead
    assert np.isneginf(spectrum.exponents[len(alive) :]).all() and spectrum.resolved.all()
    volume = volume_growth(jacobians, np.eye(100)[: len(alive)])
    assert alive.sum() == pytest.approx(volume / len(inputs), abs=1e-7)


def test_chars2vec_leaves_its_activation_open(chars2vec):
    with pytest.raises(WeightsError, match=r"Keras 2\.2\.0 keeps .*hard-sigmoid-keras2"):
        lyapy.load(chars2vec, prefix="lstm_1")
