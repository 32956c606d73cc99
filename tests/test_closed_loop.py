"""Closed loops: the composed program and step against the open loop fed by hand."""

import numpy as np
import pytest
from conftest import difference_jacobian, mixed_stack, orbit_jacobians, qr_growth

import lyapy
from lyapy import cells, lyapunov_spectrum
from lyapy.engines import choose_engine
from lyapy.forward import forward_chunk

KINDS = [
    ("vanilla",),
    ("gru",),
    ("lstm",),
    ("cornn",),
    ("lstm", "gru-reset-before", "vanilla"),
    ("state-space", "rate-rk4"),
    ("reservoir", "lstm-projected"),
]


def closed(kinds):
    network = mixed_stack(kinds)
    rng = np.random.default_rng(7)
    R = rng.normal(size=(network.input_size, network.cells[-1].output_size))
    return lyapy.ClosedLoop(network, R, rng.normal(size=network.input_size)), R


def fed_by_hand(loop, R, state, steps):
    """Drive the open loop with its own read-out, step by step."""
    network, c = loop.open_loop, loop.cells[0].readout[1]
    columns = network.cells[-1].output_columns
    states = []
    for _ in range(steps):
        last = network.split_state(state)[-1]
        x = R @ last[columns] + c
        state = forward_chunk(network, x[None], state).states[0]
        states.append(state)
    return np.array(states)


@pytest.mark.parametrize(
    ("kinds", "backend"), [*((k, "numpy") for k in KINDS), *((k, "numba") for k in KINDS[-3:])]
)
def test_states_and_jacobian(kinds, backend):
    loop, R = closed(kinds)
    state = np.random.default_rng(8).normal(size=loop.state_size)
    run = choose_engine(backend).run_layer
    found = forward_chunk(loop, np.zeros((6, 0)), state, run).states
    np.testing.assert_allclose(found, fed_by_hand(loop, R, state, 6), rtol=1e-11, atol=1e-12)
    wanted = difference_jacobian(loop, state, np.zeros(0))
    np.testing.assert_allclose(lyapy.jacobian(loop, state), wanted, atol=1e-10)
    assert list(loop.blocks()) == list(loop.open_loop.blocks())


def test_spectrum(backend):
    loop, _ = closed(("lstm", "gru-reset-before", "vanilla"))
    D = loop.state_size
    start = np.random.default_rng(9).normal(size=D)
    J = orbit_jacobians(loop, np.zeros((100, 0)), start)
    spectrum = lyapunov_spectrum(
        loop, steps=100, initial_state=start, frame="identity", backend=backend
    )
    np.testing.assert_allclose(spectrum.growth.sum(axis=1)[0], qr_growth(J, np.eye(D)), atol=1e-6)
    assert spectrum.sum_rule_residual < 1e-9


def test_a_map_does_not_tell_how_its_input_moves_it():
    step = lyapy.Map(lambda h, x: h + x, lambda h, x: np.eye(2), state_size=2, inputs=2)
    with pytest.raises(ValueError, match="layer 0, map, has no term of the deviation of its input"):
        lyapy.ClosedLoop(lyapy.Network([step]), np.eye(2))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n: lyapy.ClosedLoop(n, np.ones((2, 5))), r"readout has shape \(2, 5\).*\(2, 4\)"),
        (lambda n: lyapy.ClosedLoop(n, np.ones((2, 4)), [1.0]), r"bias has shape \(1,\)"),
        (lambda n: lyapy.ClosedLoop(lyapy.random_network("gru", 3), np.ones((1, 3))), "no inputs"),
        (
            lambda n: lyapy.ClosedLoop(lyapy.random_network("state-space", 4, 2), np.ones((2, 4))),
            "the output of the last layer, state-space, is no block of its state",
        ),
    ],
)
def test_what_does_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build(lyapy.random_network("gru", 4, 2))
    with pytest.raises(TypeError, match="network is a GRU"):
        lyapy.ClosedLoop(lyapy.random_network("gru", 4, 2).cells[0], np.ones((2, 4)))


def test_the_digest_tells_loops_apart():
    network = lyapy.random_network("gru", 4, 2)
    loops = [lyapy.ClosedLoop(network, R) for R in (np.ones((2, 4)), np.zeros((2, 4)))]
    assert len({network.digest(), *(loop.digest() for loop in loops)}) == 3
    before = cells.GRUResetBefore(network.cells[0].W, network.cells[0].weights.U)
    after = cells.GRU(network.cells[0].W, network.cells[0].weights.U)
    digests = {
        lyapy.ClosedLoop(lyapy.Network([c]), np.ones((2, 4))).digest() for c in (before, after)
    }
    assert len(digests) == 2
