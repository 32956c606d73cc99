"""Write ``xlstm_layers.npz``: sLSTM layers of the package xlstm, and what they compute.

Run ``python -m tools.golden.make_xlstm_layers`` where torch and xlstm are installed; the tests
only read the file. ``CASE/weights/NAME`` is the layer's state_dict, ``CASE/inputs`` what its cell
reads (the convolved sequence and the sequence, where it has a convolution), and ``CASE/outputs``
the states y that the cell returns.
"""

import numpy as np
import torch
from xlstm.blocks.slstm.layer import sLSTMLayer, sLSTMLayerConfig

from . import GOLDEN

UNITS, HEADS, STEPS = 6, 2, 20


def record(kernel_size):
    config = sLSTMLayerConfig(
        embedding_dim=UNITS, num_heads=HEADS, conv1d_kernel_size=kernel_size, backend="vanilla",
        recurrent_weight_init="standard", dtype="float32",
    )  # fmt: skip
    layer = sLSTMLayer(config).double()
    layer.reset_parameters()
    for parameter in layer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    found = []
    layer.slstm_cell.register_forward_hook(lambda cell, given, result: found.append(result[0]))
    x = torch.randn(1, STEPS, UNITS).double()
    layer(x)
    inputs = torch.cat([layer.conv_act_fn(layer.conv1d(x)), x], dim=-1) if kernel_size else x
    # (batch, heads, time, d)
    outputs = found[0][0].transpose(0, 1).reshape(STEPS, UNITS)
    weights = {f"weights/layer.{n}": a for n, a in layer.state_dict().items()}
    arrays = {**weights, "inputs": inputs[0], "outputs": outputs}
    return {name: array.detach().numpy() for name, array in arrays.items()}


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(20261201)
    cases = {"plain": 0, "convolved": 4}
    golden = {f"{c}/{n}": a for c, size in cases.items() for n, a in record(size).items()}
    np.savez_compressed(GOLDEN / "xlstm_layers.npz", **golden)


if __name__ == "__main__":
    main()
