"""The spectrum of a torch module in memory, and the check that it is the trained one."""

import numpy as np
import torch

import lyapy


def spectrum_of(module, inputs, **options):
    """Return the spectrum of ``torch.nn.RNN``, ``GRU`` or ``LSTM`` (batch first) and its check.

    ``inputs`` (B, T, m) are a tensor. The second number is the largest difference between the
    last outputs of torch and of lyapy, which starts at zero, too.
    """
    network = lyapy.load(module)
    spectrum = lyapy.lyapunov_spectrum(network, inputs, **options)
    with torch.no_grad():
        outputs, _ = module(inputs)
    layer = network.cells[-1]
    last = network.split_state(spectrum.final_state)[-1][:, : layer.output_size]
    return spectrum, float(np.abs(last - outputs[:, -1].cpu().numpy()).max())
