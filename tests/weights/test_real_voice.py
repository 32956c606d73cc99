"""silero-vad, which detects speech: an LSTM behind convolutions, in safetensors."""

import zipfile

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum
from lyapy.networks.forward import forward_chunk
from tests.support.fetched import fetched
from tests.support.weights_files import read_arrays

pytestmark = pytest.mark.network
VERSION = "6.2.3"
RATE, CHUNK, CONTEXT = 16_000, 512, 64
FORMANTS = ((700.0, 1.0), (1200.0, 0.6), (2500.0, 0.3))
# of the chunks 0, 20, 40 ... by torch 2.13 in float64, as silero_vad/tinygrad_model.py says
BY_TORCH = [
    0.5836764598, 0.0437368775, 0.1795732155, 0.0492725963, 0.0882977269,
    0.0287391469, 0.0071382078, 0.0727307123, 0.0745891821, 0.0270332773,
]  # fmt: skip


def sound(seconds=6):
    """A vowel for half of each second, on faint noise."""
    time = np.arange(seconds * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(130 + 20 * np.sin(6 * np.pi * time)) / RATE
    vowel = np.zeros(len(time))
    for n in range(1, 30):
        loudness = sum(a / (1 + ((n * 130 - f) / 80) ** 2) for f, a in FORMANTS)
        vowel += loudness * np.cos(n * phase)
    noise = np.random.default_rng(0).normal(size=len(time))
    return 0.2 * (time % 1.0 < 0.5) * vowel / np.abs(vowel).max() + 0.003 * noise


def windows(x, size, stride):
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=-1)[..., ::stride, :]


def features(arrays, chunk):
    parts = (
        arrays["stft_conv.weight"][:, 0] @ windows(np.pad(chunk, (0, 64), "reflect"), 256, 128).T
    )
    x = np.hypot(parts[:129], parts[129:])
    for number, stride in enumerate((1, 2, 2, 1), 1):
        weight, bias = (arrays[f"conv{number}.{part}"] for part in ("weight", "bias"))
        seen = windows(np.pad(x, ((0, 0), (1, 1))), 3, stride)
        x = np.maximum(np.einsum("oik,itk->ot", weight, seen) + bias[:, None], 0.0)
    return x[:, 0]


@pytest.fixture(scope="module")
def silero(request, tmp_path_factory):
    name = f"silero_vad-{VERSION}-py3-none-any.whl"
    wheel = fetched(request.config, "silero-vad", VERSION, name)
    with zipfile.ZipFile(wheel) as archive:
        folder = tmp_path_factory.mktemp("silero")
        path = archive.extract("silero_vad/data/silero_vad_16k.safetensors", folder)
    arrays = {name: array.astype(float) for name, array in read_arrays(path).items()}
    padded = np.concatenate([np.zeros(CONTEXT), sound()])
    starts = range(0, len(padded) - CONTEXT - CHUNK + 1, CHUNK)
    heard = [features(arrays, padded[start : start + CONTEXT + CHUNK]) for start in starts]
    return lyapy.load(path), arrays, np.stack(heard)


def test_silero_computes_the_same_as_torch(silero):
    """With gates out of place it would not follow the voice."""
    network, arrays, heard = silero
    states = forward_chunk(network, heard, np.zeros(256)).states
    logits = np.maximum(states[:, :128], 0.0) @ arrays["final_conv.weight"][0, :, 0]
    speech = 1.0 / (1.0 + np.exp(-logits - arrays["final_conv.bias"]))
    np.testing.assert_allclose(speech[::20], BY_TORCH, rtol=0, atol=1e-9)


def test_silero_spectrum(silero):
    network, _, heard = silero
    spectrum = lyapunov_spectrum(network, heard)
    assert spectrum.exponents.shape == (256,)
    assert spectrum.resolved.all()
    assert spectrum.sum_rule_residual < 1e-10
    # it remembers over many chunks of 32 ms, and is stable
    assert -0.1 < spectrum.largest < 0.05
