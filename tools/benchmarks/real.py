"""Trained networks for benchmarks, and the inputs that they are made for."""

import subprocess
import sys
import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path

from safetensors import safe_open

import lyapy
from tests.support.weights_files import read_arrays
from tests.weights import test_real as spelling
from tests.weights import test_real_voice as voice


def character_lstm():
    """Return the LSTM that ships with lyapy, and the text that it reads."""
    folder = files(lyapy) / "data"
    path = str(folder / "character_lstm.safetensors")
    with safe_open(path, "numpy") as file:
        vocabulary = file.metadata()["vocabulary"]
        embedding = file.get_tensor("embedding.weight").astype(float)
    text = (folder / "excerpt.txt").read_text(encoding="utf-8")[:2048]
    return lyapy.load(path), embedding[[vocabulary.index(c) for c in text]]


def silero():
    """Return the LSTM of silero-vad, which listens to a vowel and noise."""
    with tempfile.TemporaryDirectory() as folder:
        member = "silero_vad/data/silero_vad_16k.safetensors"
        path = _fetch("silero-vad", voice.VERSION, member, folder)
        arrays = {name: array.astype(float) for name, array in read_arrays(path).items()}
        return lyapy.load(path), voice.heard_by(arrays)


def g2p():
    """Return the encoder of g2p_en, a GRU, which spells the words of a sentence."""
    with tempfile.TemporaryDirectory() as folder:
        path = _fetch("g2p_en", spelling.VERSION, "g2p_en/checkpoint20.npz", folder)
        words = 4 * spelling.SENTENCE.split()
        return lyapy.load(path, prefix="enc"), spelling.embed(path, words)


def _fetch(package, version, member, folder):
    """Extract a file from a package's wheel; raise OSError if pip cannot get it."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder]
    command += ["--retries", "1", "--timeout", "20", f"{package}=={version}"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise OSError(f"pip cannot get {package} {version}")
    with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
        return archive.extract(member, folder)
