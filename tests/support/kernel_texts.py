"""The texts of all kernels: those of each cell, and the engine's own."""

import numpy as np

import lyapy
from lyapy.cells import CELLS
from lyapy.networks.forward import forward_chunk
from lyapy.runs.gpu.batch import Batch
from lyapy.tangent.gpu.counting import Counting
from lyapy.tangent.gpu.fused_forward import FusedForward
from lyapy.tangent.gpu.fused_step import FusedStep
from lyapy.tangent.gpu.precision import PRECISIONS
from lyapy.tangent.gpu.shared_qr import SharedQR
from lyapy.tangent.gpu.whole_interval import WholeInterval
from tests.support import stand_in


def moved(network, device):
    """Return the network on the device, as a batch moves it."""
    batch = object.__new__(Batch)
    batch.device, batch.precision = device, PRECISIONS["float64"]
    return batch._moved_network(network)


def kernel_texts(precision, n=5):
    """Return the names by text: the kernel's, and that of a cell of n units that it belongs to."""
    found, kind = {}, ""

    def noted(text, name):
        found.setdefault(text, f"{name} {kind}".strip())
        return lambda grid, block, arguments, shared=0: None

    device, arithmetic = stand_in.stand_in()._replace(compile_kernel=noted), PRECISIONS[precision]
    SharedQR(device, arithmetic, n)
    Counting(device, n, 18.0, arithmetic.roundoff)
    for kind in CELLS:
        network = lyapy.random_network(kind, n, 3, seed=1)
        state = device.to_device(np.zeros((2, network.state_size), precision))
        inputs = device.to_device(np.zeros((2, 2, 3), precision))
        with np.errstate(all="ignore"):
            run = FusedForward(device, arithmetic, n)
            forward_chunk(moved(network, device), inputs, state, run)
        for vectors in (1, n):
            FusedStep(network.program, vectors, device, arithmetic)
        WholeInterval(network.program, device, arithmetic)
    return found
