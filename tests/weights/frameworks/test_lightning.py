"""Checkpoints of Lightning, accelerate and OmegaConf: lyapy and PyTorch compute the same."""

from pathlib import Path

import numpy as np
import pytest

import lyapy
from lyapy import WeightsError
from lyapy.networks.forward import forward_chunk

GOLDEN = Path(__file__).parents[2] / "golden" / "lightning_files"
EXPECTED = dict(np.load(GOLDEN / "expected.npz"))
FILES = ["lightning.ckpt", "accelerate_model.safetensors", "accelerate_pytorch_model.bin"]


@pytest.mark.parametrize("name", [*FILES, "omegaconf.pt"])
def test_a_checkpoint_computes_the_outputs_of_its_framework(name):
    network = lyapy.load(GOLDEN / name)
    states = forward_chunk(network, EXPECTED["inputs"].astype(float), np.zeros(6)).states
    wanted = EXPECTED[name.partition("_")[0].partition(".")[0]]
    np.testing.assert_allclose(states[:, 3:], wanted, rtol=0, atol=1e-6)


def test_an_optimizer_alone_holds_no_network():
    with pytest.raises(WeightsError, match=r"holds only the state of an optimizer, 24 tensors"):
        lyapy.load(GOLDEN / "accelerate_optimizer.bin")
