"""Trained Keras networks out of packages: textgenrnn in cuDNN's layout, chars2vec of Keras 2.2."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError, lyapunov_spectrum
from lyapy.engines import choose_engine
from lyapy.formats import read_arrays
from lyapy.forward import forward_chunk

pytestmark = pytest.mark.network
TEXT = (
    "The best thing about the internet is that you can find almost anything you want to know, "
    "and the worst thing is that you can not be sure that any of it is true. I was walking my "
    "dog this morning and I found a small box of old photos under the bridge. What should I do "
    "with them? My friend says that the new game will be released next year."
)


@pytest.fixture(scope="module")
def package(request, tmp_path_factory):
    """Return a function that unpacks files of a package, whose archive is kept in the cache."""

    def fetch(name, version, *members):
        archive = f"{name}-{version}.tar.gz"
        kept = Path(request.config.cache.mkdir(name))
        if not (kept / archive).exists():
            with tempfile.TemporaryDirectory(dir=kept) as fresh:
                command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", fresh]
                command += ["--retries", "1", "--timeout", "20", f"{name}=={version}"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.skip(f"pip cannot get {name} {version}: {done.stderr.strip()[-200:]}")
                os.replace(Path(fresh) / archive, kept / archive)
        folder = tmp_path_factory.mktemp(name)
        with tarfile.open(kept / archive) as opened:
            for member in members:
                opened.extract(f"{name}-{version}/{name}/{member}", folder, filter="data")
        return [folder / f"{name}-{version}" / name / member for member in members]

    return fetch


@pytest.fixture(scope="module")
def textgenrnn(package):
    """Path of the weights, the network and the inputs of the text."""
    path, vocabulary = package(
        "textgenrnn", "2.0.0", "textgenrnn_weights.hdf5", "textgenrnn_vocab.json"
    )
    indices = json.loads(vocabulary.read_text())
    characters = np.array([indices["<s>"], *(indices[c] for c in TEXT)])
    arrays = {name: a.astype(float) for name, a in read_arrays(path).items()}
    return lyapy.load(path, prefix=["rnn_1", "rnn_2"]), arrays, characters


def test_textgenrnn_predicts_text(textgenrnn):
    """With cuDNN's layout read naively the loss is 74.8 bits per character."""
    network, arrays, characters = textgenrnn
    embedded = arrays["embedding/embedding/embeddings:0"][characters]
    losses = []
    for end in range(1, len(characters)):
        # the network reads at most 40 characters, each time from the zero state
        x = embedded[max(end - 40, 0) : end]
        states = forward_chunk(network, x, np.zeros(512), choose_engine("numba").run_layer).states
        seen = np.concatenate([x, states[:, :128], states[:, 256:384]], axis=1)
        weight = np.exp(seen @ arrays["attention/attention/attention_W:0"])
        logits = (weight * seen).sum(0) / weight.sum() @ arrays["output/output/kernel:0"]
        logits += arrays["output/output/bias:0"]
        losses.append(np.logaddexp.reduce(logits) - logits[characters[end]])
    assert np.mean(losses) / np.log(2) == pytest.approx(LOSS, abs=1e-3)


@pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning")
def test_textgenrnn_spectrum(textgenrnn):
    network, arrays, characters = textgenrnn
    inputs = arrays["embedding/embedding/embeddings:0"][characters]
    spectrum = lyapunov_spectrum(network, inputs)
    assert spectrum.state_size == 512
    assert spectrum.sum_rule_residual < 1e-8 or not spectrum.resolved.all()
    assert spectrum.largest < 0.1


WORDS = ("Natural", "Language", "Understanding", "Naturael", "Longuage", "Updderctundjing")


def test_chars2vec_knows_similar_words(package):
    (path,) = package("chars2vec", "0.1.7", "trained_models/eng_50/weights.h5")
    with pytest.raises(WeightsError, match=r"Keras 2\.2\.0 keeps activations"):
        lyapy.load(path, prefix="lstm_1")
