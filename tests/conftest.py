"""Fixtures of the numerics tests: every cell, both engines, routes that bypass the library."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import lyapy
from lyapy.cells import CELLS, Cell
from lyapy.cells.activations import tanh
from lyapy.errors import DeviceError
from lyapy.networks.forward import forward_chunk
from lyapy.runs.gpu.block import BatchBlock
from lyapy.tangent import engine as engines
from lyapy.tangent.gpu.device import find_devices
from tests.support import stand_in, stand_in_kernels

# the cells whose Jacobian is the derivative of their step, not a surrogate for it
DERIVED = [name for name, cell in CELLS.items() if not cell.surrogate]

# the cells whose random networks are one block, or units that keep their directions; those of a
# ParaLSTM are a block each, see test_other_cells.py
ONE_BLOCK = [name for name in CELLS if name != "para-lstm"]


@pytest.fixture(params=ONE_BLOCK)
def kind(request):
    return request.param


# one of each structure: one variable, an auxiliary one, two, three, units alone, and in pairs
@pytest.fixture(
    params=["vanilla", "gru-reset-before", "lstm", "slstm", "independent", "state-space"]
)
def structure(request):
    """A cell for tests of everything that does not depend on its equation."""
    return request.param


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    return request.param


COMPILED = pytest.mark.skipif(not stand_in_kernels.COMPILER, reason="no C++ compiler")
DEVICES = [pytest.param(name, marks=COMPILED) for name in ("stand-in", "stand-in, panels")]


@pytest.fixture(params=[*DEVICES, pytest.param("cupy", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """Device of backend="cupy": a stand-in array module, and a GPU where there is one.

    The stand-in has room in shared memory for whole frames, or for a few rows. Nothing may be
    repeated on the CPU, which would hide errors, unless a test is marked ``repeats``.
    """
    if request.param == "cupy":
        try:
            found = find_devices()[0]
        except (ModuleNotFoundError, DeviceError) as error:
            pytest.skip(str(error))
    else:
        found = stand_in.stand_in()
        if "panels" in request.param:
            found = found._replace(shared_bytes=9400)
    if request.node.get_closest_marker("repeats") is None:
        monkeypatch.setattr(BatchBlock, "_hand_over", refuse_to_hand_over)
    # one, whatever the machine has
    monkeypatch.setattr(engines, "find_devices", lambda: (found,))
    return found


def refuse_to_hand_over(self, chosen, *chunk, hand_over=BatchBlock._hand_over):
    """Refuse it but for blocks that no device follows."""
    assert self.on_host or not chosen.size, f"trajectories {chosen} are left to the CPU"
    hand_over(self, chosen, *chunk)


@pytest.fixture
def counts(device, monkeypatch):
    if device.name != stand_in.NAME:
        pytest.skip("a GPU does not count")
    monkeypatch.setattr(stand_in, "COUNTS", stand_in.Counts())
    return stand_in.COUNTS


@pytest.fixture
def closed_figures():
    """Close the figures of a test at its end."""
    from matplotlib import pyplot

    yield
    pyplot.close("all")


def difference_jacobian(network, state, x, step=1e-3):
    """Differentiate the forward pass alone, by central differences of eighth order."""
    columns = []
    for axis in np.eye(network.state_size):
        total = np.zeros(network.state_size)
        for distance, weight in enumerate((4 / 5, -1 / 5, 4 / 105, -1 / 280), 1):
            for sign in (1, -1):
                moved = state + sign * distance * step * axis
                total += sign * weight * forward_chunk(network, x[None], moved).states[0]
        columns.append(total / step)
    return np.stack(columns, axis=1)


def qr_growth(jacobians, frame):
    columns, growth = frame.T, np.zeros(len(frame))
    for J in jacobians:
        columns, upper = np.linalg.qr(J @ columns)
        growth += np.log(np.abs(np.diagonal(upper)))
    return growth


def log_moduli(matrix):
    return np.sort(np.log(np.abs(np.linalg.eigvals(matrix))))[::-1]


def orbit_jacobians(network, inputs, state):
    """Return the dense Jacobians (T, D, D) along the orbit of ``state``."""
    states = forward_chunk(network, inputs, state).states
    before = [state, *states[:-1]]
    return np.stack([lyapy.jacobian(network, h, x) for h, x in zip(before, inputs, strict=True)])


def mixed_stack(kinds, m=2, gain=1.3):
    cells = []
    for layer, kind in enumerate(kinds):
        size = cells[-1].output_size if cells else m
        part = lyapy.random_network(kind, 4 - layer, size, gain=gain, bias=0.5, seed=layer)
        cells += part.cells
    return lyapy.Network(cells)


class Rate(Cell):
    """x′ = (1 − δ) x + δ (J tanh x + W input), a cell with right-scaled weights."""

    name = "rate"
    program = "dh' = l dh + s J r dh"
    coefficients = ("l", "s", "r")

    class Weights(NamedTuple):
        J: Any
        step: float

    def __init__(self, J, step, W=None):
        n = len(J)
        self.weights = self.Weights(np.ascontiguousarray(J), step)
        self.W = np.zeros((n, 0)) if W is None else step * W
        self.b = np.zeros(n)
        self.variables = {"h": n}

    @staticmethod
    def step(weights, state, drive):
        value, slope = tanh(state)
        same, kept = np.ones_like(state), 1.0 - weights.step
        new = kept * state + weights.step * (value @ weights.J.T) + drive
        return (new,), (kept * same, weights.step * same, slope)

    def matrices(self):
        return {"J": self.weights.J}


class RateByParts(Rate):
    """The same through an auxiliary block, each factor in a separate assignment."""

    name = "rate-by-parts"
    program = """
    dy = J r dh
    dh' = s dy + l dh
    """

    def __init__(self, J, step, W=None):
        super().__init__(J, step, W)
        self.auxiliary = {"y": len(J)}
