"""The texts of all kernels: those of each cell, and the engine's own."""

import numpy as np

import lyapy
from lyapy.cells import CELLS
from lyapy.networks.forward import forward_chunk
from lyapy.runs.gpu.batch import moved_network
from lyapy.tangent.gpu.device import PRECISIONS
from lyapy.tangent.gpu.fused_forward import FusedForward
from lyapy.tangent.gpu.orthonormalize import Orthonormalizer
from lyapy.tangent.gpu.tangent import BatchStep
from lyapy.tangent.gpu.whole_tile import WholeTangent
from lyapy.tangent.interval import make_control
from tests.support import stand_in


def kernel_texts(precision, n=5):
    """Return for each text its kernel's name, with the cell it belongs to, and if it is exact."""
    found, kind = {}, ""

    def noted(text, name, exact=False):
        found.setdefault(text, (f"{name} {kind}".strip(), exact))
        return lambda grid, block, arguments, shared=0: None

    arithmetic = PRECISIONS[precision]
    device = stand_in.stand_in()._replace(compile_kernel=noted, precision=arithmetic)
    control = make_control("auto", arithmetic.tolerance, 64, arithmetic.roundoff)
    for room in (96 * 1024, 8300):
        small = device._replace(shared_bytes=room)
        Orthonormalizer(n, 64, small, control)
    for kind in CELLS:
        network = lyapy.random_network(kind, n, 3, seed=1)
        state = device.to_device(np.zeros((2, network.state_size), precision))
        inputs = device.to_device(np.zeros((2, 2, 3), precision))
        with np.errstate(all="ignore"):
            run = FusedForward(device)
            forward_chunk(moved_network(network, device), inputs, state, run)
        for vectors in (1, n):
            BatchStep(network.program, vectors, device)
        frames = np.zeros((2, n, network.state_size))
        WholeTangent(network.program, frames, np.ones(2), device, control)
    return found
