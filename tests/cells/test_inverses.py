"""The linear programs of J⁻ᵀ, against the dense Jacobian."""

import numpy as np
import pytest

import lyapy
from lyapy.cells import LSTMVariant
from lyapy.networks.apply import tangent_step
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk

RNG = np.random.default_rng(7)
W, U, b = RNG.normal(size=(20, 2)), RNG.normal(size=(20, 5)), RNG.normal(size=20)
CELLS = {
    "tanh": lyapy.Vanilla(W[:5], U[:5], b[:5]),
    "relu": lyapy.Vanilla(W[:5], 0.1 * U[:5], b[:5] + 9.0, nonlinearity="relu"),
    "lstm": lyapy.LSTM(W, U, b),
    "peepholes": LSTMVariant(W, U, b, peepholes=RNG.normal(size=(3, 5))),
    "coupled": LSTMVariant(W, U, b, coupled=True, gate="hard-sigmoid", clip=2.0),
}


@pytest.mark.parametrize("name", CELLS)
def test_the_program_of_the_inverse_inverts(name):
    network = lyapy.Network([CELLS[name]])
    (block,) = diagonal_blocks(network, whole=False, tolerance=1e-8)
    chunk = forward_chunk(network, 0.3 * RNG.normal(size=(20, 2)), np.zeros(network.state_size))
    J = np.array([tangent_step(block.program, c, np.eye(network.state_size)).T
                  for c in chunk.coefficients])  # fmt: skip
    found = np.array([tangent_step(block.inverse_program, c, np.eye(network.state_size)).T
                      for c in block.inverse_coefficients(chunk.coefficients)])  # fmt: skip
    # a clipped gate has no inverse: NaN or infinite coefficients
    known = np.isfinite(found).all(axis=(1, 2))
    assert known.sum() >= 5
    J, found = J[known], found[known]
    product = np.swapaxes(found, 1, 2) @ J
    sizes = np.linalg.norm(J, axis=(1, 2)) * np.linalg.norm(found, axis=(1, 2))
    errors = np.abs(product - np.eye(network.state_size)).max(axis=(1, 2))
    assert np.all(errors <= 1e-13 * sizes)


@pytest.mark.parametrize("name", ["tanh", "lstm"])
def test_inverses_are_given_within_the_tolerance(name):
    network = lyapy.Network([CELLS[name]])
    weight = U[:5] if name == "tanh" else U[15:]
    rounding = 2.0**-53 * np.linalg.cond(weight, 1)
    for tolerance, given in ((0.999 * rounding, False), (1.001 * rounding, True), (0.0, False)):
        (block,) = diagonal_blocks(network, whole=False, tolerance=tolerance)
        assert (block.inverse is not None) == given
    (block,) = diagonal_blocks(network, whole=False)
    assert block.inverse is None
    # the only block is the whole; a stack as a whole has no inverse
    (block,) = diagonal_blocks(network, whole=True, tolerance=1.0)
    assert block.inverse is not None
    kind = "vanilla" if name == "tanh" else name
    stack = lyapy.random_network(kind, 5, layers=2, seed=1)
    (block,) = diagonal_blocks(stack, whole=True, tolerance=1.0)
    assert block.inverse is None
    assert lyapy.Vanilla(None, np.ones((2, 2))).inverse() is None
    assert lyapy.LSTM(None, np.ones((8, 2))).inverse() is None
