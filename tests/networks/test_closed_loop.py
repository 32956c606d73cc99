"""Closed loops: the composed program and step against the open loop fed by hand."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lyapy
from lyapy import cells, lyapunov_spectrum
from lyapy.cells.activations import activation
from lyapy.cli import main
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from tests.conftest import DERIVED, difference_jacobian, mixed_stack, orbit_jacobians, qr_growth
from tests.networks.test_program import ReadMemory

KINDS = [
    *((kind,) for kind in DERIVED),
    ("lstm", "gru-reset-before", "vanilla"),
    ("state-space", "rate-rk4"),
    ("reservoir", "lstm-projected"),
    ("gru", "state-space"),
]


def closed(kinds, nonlinearity="identity"):
    network = mixed_stack(kinds)
    rng = np.random.default_rng(7)
    R = rng.normal(size=(network.input_size, network.cells[-1].output_size))
    bias = rng.normal(size=network.input_size)
    return lyapy.ClosedLoop(network, R, bias, nonlinearity), R


def output(network, state, x):
    for cell, own in zip(network.cells, network.split_state(state), strict=True):
        x = cell.outputs(own, cell.drive(x[None])[0])
    return x


def fed_by_hand(loop, R, state, steps):
    network, (_, c), kind = loop.open_loop, loop.cells[0].readout, loop.cells[0].kind
    columns, D, states = network.cells[-1].output_columns, network.state_size, []
    # the input, where the state holds it
    h, x = state[:D], state[D:]
    for _ in range(steps):
        if columns is not None:
            x = activation(R @ network.split_state(h)[-1][columns] + c, kind)[0]
        h = forward_chunk(network, x[None], h).states[0]
        if columns is None:
            x = activation(R @ output(network, h, x) + c, kind)[0]
        states.append(h if columns is not None else np.concatenate([h, x]))
    return np.array(states)


@pytest.mark.parametrize(
    ("kinds", "backend", "nonlinearity"),
    [
        *((kinds, "numpy", "identity") for kinds in KINDS),
        *((kinds, "numba", "identity") for kinds in KINDS[-4:-1]),
        *((KINDS[i], backend, "sigmoid") for i in (-2, -1) for backend in ("numpy", "numba")),
    ],
)
def test_a_loop_is_the_open_loop_fed_by_hand(kinds, backend, nonlinearity):
    loop, R = closed(kinds, nonlinearity)
    state = np.random.default_rng(8).normal(size=loop.state_size)
    run = choose_engine(backend).run_layer
    found = forward_chunk(loop, np.zeros((6, 0)), state, run).states
    np.testing.assert_allclose(found, fed_by_hand(loop, R, state, 6), rtol=1e-11, atol=1e-12)
    wanted = difference_jacobian(loop, state, np.zeros(0))
    np.testing.assert_allclose(lyapy.jacobian(loop, state), wanted, atol=1e-10)
    held = loop.open_loop.cells[-1].output_columns is None
    assert loop.state_size == loop.open_loop.state_size + 2 * held
    assert list(loop.state_layout()) == [*loop.open_loop.state_layout(), *[("input", 2)] * held]


@pytest.mark.parametrize("nonlinearity", ["identity", "tanh"])
def test_a_loop_has_the_growth_of_its_jacobians(backend, nonlinearity):
    loop, _ = closed(("lstm", "gru-reset-before", "vanilla"), nonlinearity)
    D = loop.state_size
    start = np.random.default_rng(9).normal(size=D)
    J = orbit_jacobians(loop, np.zeros((100, 0)), start)
    options = {"initial_state": start, "frame": "identity", "backend": backend}
    spectrum = lyapunov_spectrum(loop, steps=100, **options)
    np.testing.assert_allclose(spectrum.growth.sum(axis=1)[0], qr_growth(J, np.eye(D)), atol=1e-6)
    assert spectrum.sum_rule_residual < 1e-9


def test_spikes_that_are_fed_back(backend):
    """The surrogate's Jacobian of (v, x), x′ = R s(v′) + c, from that of the open loop."""
    loop, R = closed(("spiking-surrogate",))
    (cell,) = loop.open_loop.cells
    state = np.random.default_rng(8).normal(size=6)
    found = forward_chunk(loop, np.zeros((6, 0)), state, choose_engine(backend).run_layer).states
    np.testing.assert_allclose(found, fed_by_hand(loop, R, state, 6), rtol=1e-11, atol=1e-12)
    v = lyapy.jacobian(loop.open_loop, state[:4], state[4:])
    by_v = np.hstack([v, cell.W])
    slope = 1.0 / (1.0 + 2.0 * np.abs(found[0, :4] - 1.0)) ** 2
    J = np.vstack([by_v, R @ (slope[:, None] * by_v)])
    np.testing.assert_allclose(lyapy.jacobian(loop, state), J, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("direct", [True, False])
def test_loop_of_a_linear_state_space(direct, backend):
    """A linear map, so that its exponents are log|eig|; without D the input is no state."""
    network = lyapy.random_network("state-space", 3, 2, seed=4)
    (cell,) = network.cells
    arguments = {**cell.arguments, "D": 0.3 * cell.arguments["D"] if direct else np.zeros((3, 2))}
    network = lyapy.Network([cells.DiagonalStateSpace(**arguments)])
    R = 0.2 * np.random.default_rng(5).normal(size=(2, 3))
    loop = lyapy.ClosedLoop(network, R)
    found = lyapunov_spectrum(loop, steps=4000, initial_state=np.zeros(8), backend=backend)
    L, B, C, D = (np.asarray(arguments[name]) for name in ("eigenvalues", "B", "C", "D"))
    s = np.block([[np.diag(L.real), -np.diag(L.imag)], [np.diag(L.imag), np.diag(L.real)]])
    by_state = np.hstack([s, np.vstack([B.real, B.imag])])
    read = np.hstack([C.real, -C.imag])
    by_input = R @ (read @ by_state + np.hstack([np.zeros((3, 6)), D]))
    J = np.vstack([by_state, by_input])
    np.testing.assert_allclose(lyapy.jacobian(loop, np.zeros(8)), J, rtol=1e-12, atol=1e-14)
    known = np.sort(np.log(np.abs(np.linalg.eigvals(J))))[::-1]
    alive = 8 if direct else 6
    assert np.isneginf(found.exponents[alive:]).all()
    np.testing.assert_allclose(found.exponents[:alive], known[:alive], atol=5e-3)
    assert np.all(known[alive:] < -20.0)


@pytest.mark.parametrize(
    ("kinds", "lost"),
    [
        (("gru",), 0),
        (("spiking-surrogate",), 2),
        (("gru", "state-space"), 2),
        (("state-space", "spiking-surrogate"), 2),
        (("state-space", "state-space"), 0),
    ],
)
def test_inputs_that_follow_from_the_new_state(kinds, lost):
    """Each is a dead direction."""
    loop, _ = closed(kinds)
    state = np.random.default_rng(8).normal(size=loop.state_size)
    nullity = loop.state_size - np.linalg.matrix_rank(lyapy.jacobian(loop, state), tol=1e-12)
    assert loop.cells[0].dead_directions({}) == nullity == lost


class PassesInput(cells.DiagonalStateSpace):
    """A linear state space whose output includes its input, without a matrix."""

    program = """
    da' = r da + m db + P dx
    db' = i da + r db + Q dx
    dy = C da' + F db' + dx
    """


def test_an_input_that_is_passed_on_unchanged():
    (plain,) = lyapy.random_network("state-space", 3, 2, seed=4).cells
    arguments = plain.arguments | {"C": plain.arguments["C"][:2], "D": np.eye(2), "b": None}
    loop = lyapy.ClosedLoop(lyapy.Network([PassesInput(**arguments)]), np.eye(2))
    state = np.random.default_rng(8).normal(size=8)
    J = lyapy.jacobian(loop, state)
    np.testing.assert_allclose(J, difference_jacobian(loop, state, np.zeros(0)), atol=1e-10)
    assert np.linalg.matrix_rank(J) == 8
    assert loop.cells[0].dead_directions({}) == 0


def test_an_output_that_is_not_the_first_variable():
    below, above = mixed_stack(("gru", "lstm")).cells
    network = lyapy.Network([below, ReadMemory(above.W, above.weights.U, above.b)])
    R = np.random.default_rng(7).normal(size=(2, 3))
    loop = lyapy.ClosedLoop(network, R)
    state = np.random.default_rng(8).normal(size=10)
    found = forward_chunk(loop, np.zeros((6, 0)), state).states
    np.testing.assert_allclose(found, fed_by_hand(loop, R, state, 6), rtol=1e-11, atol=1e-12)


def test_origin_and_assumptions_of_a_loop():
    network = lyapy.random_network("gru", 4, 2, seed=1)
    named = lyapy.Network(network.cells, origin="a.pt", assumptions=["no biases"])
    loop = lyapy.ClosedLoop(named, np.ones((2, 4)))
    assert (loop.origin, loop.assumptions) == ("a.pt, closed loop", ("no biases",))
    assert lyapy.ClosedLoop(lyapy.Network(network.cells), np.ones((2, 4))).origin == "closed loop"


# a single step, a few that the state remembers, and more than a chunk
@pytest.mark.parametrize("steps", [1, 5, 1030])
@pytest.mark.parametrize("kinds", [("gru",), ("state-space",), ("lstm", "state-space")])
def test_warming_up_ends_where_the_open_loop_does(kinds, steps):
    loop, R = closed(kinds, "tanh")
    inputs = np.random.default_rng(9).normal(size=(steps, 2))
    state = np.zeros(loop.open_loop.state_size)
    states = forward_chunk(loop.open_loop, inputs, state).states
    wanted = states[-1]
    if loop.state_size > len(wanted):
        x = np.tanh(R @ output(loop.open_loop, wanted, inputs[-1]) + loop.cells[0].readout[1])
        wanted = np.concatenate([wanted, x])
    np.testing.assert_allclose(loop.warm_up(inputs), wanted[None], rtol=1e-11)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n: lyapy.ClosedLoop(n, np.ones((2, 5))), r"readout has shape \(2, 5\).*\(2, 4\)"),
        (lambda n: lyapy.ClosedLoop(n, np.ones((2, 4)), [1.0]), r"bias has shape \(1,\)"),
        (lambda n: lyapy.ClosedLoop(lyapy.random_network("gru", 3), np.ones((1, 3))), "no inputs"),
        (
            lambda n: lyapy.ClosedLoop(
                lyapy.Network([lyapy.Map(np.add, np.outer, state_size=2, inputs=2)]), np.eye(2)
            ),
            "layer 0, map, has no term of the deviation of its input",
        ),
    ],
)
def test_arguments_that_do_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build(lyapy.random_network("gru", 4, 2))
    with pytest.raises(TypeError, match="network is a GRU"):
        lyapy.ClosedLoop(lyapy.random_network("gru", 4, 2).cells[0], np.ones((2, 4)))


def test_digests_of_loops_differ():
    network = lyapy.random_network("gru", 4, 2)
    loops = [lyapy.ClosedLoop(network, R) for R in (np.ones((2, 4)), np.zeros((2, 4)))]
    loops += [lyapy.ClosedLoop(network, np.ones((2, 4)), None, kind) for kind in ("tanh", "relu")]
    assert len({network.digest(), *(loop.digest() for loop in loops)}) == 5
    W, U = network.cells[0].W, network.cells[0].weights.U
    resets = [lyapy.Network([cell(W, U)]) for cell in (cells.GRUResetBefore, cells.GRU)]
    assert len({lyapy.ClosedLoop(n, np.ones((2, 4))).digest() for n in resets}) == 2


RNG = np.random.default_rng(10)
GRU = {
    "rnn.weight_ih_l0": RNG.normal(size=(12, 2)),
    "rnn.weight_hh_l0": RNG.normal(size=(12, 4)),
    "head.weight": RNG.normal(size=(2, 4)),
    "head.bias": RNG.normal(size=2),
}
RUN = ["--backend", "numpy", "--steps", "60", "--transient", "40", "--quiet"]


def test_one_switch_closes_the_loop(tmp_path, monkeypatch, capsys):
    """Open and closed loop of the same file; the inputs warm the closed one up."""
    monkeypatch.chdir(tmp_path)
    np.savez("net.npz", **GRU)
    inputs = RNG.normal(size=(100, 2))
    np.save("x.npy", inputs)
    assert main(["spectrum", "net.npz", "--inputs", "x.npy", "-o", "open.h5", *RUN]) == 0
    assert main(["spectrum", "net.npz", "--closed-loop", "-o", "closed.h5", *RUN]) == 0
    warm = ["spectrum", "net.npz", "--inputs", "x.npy", "--closed-loop", "-o", "warm.h5", *RUN]
    assert main([*warm, "--readout", "head"]) == 0
    network = lyapy.load("net.npz")
    loop = lyapy.ClosedLoop(network, GRU["head.weight"], GRU["head.bias"])
    options = {"steps": 60, "transient": 40, "backend": "numpy"}
    start = loop.warm_up(inputs)
    wanted = forward_chunk(network, inputs, np.zeros(4)).states[-1:]
    np.testing.assert_allclose(start, wanted, rtol=1e-12)
    for name, wanted in (
        ("open", lyapunov_spectrum(network, inputs, **options)),
        ("closed", lyapunov_spectrum(loop, **options)),
        ("warm", lyapunov_spectrum(loop, initial_state=start, **options)),
    ):
        np.testing.assert_array_equal(lyapy.Spectrum.load(f"{name}.h5").growth, wanted.growth)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, ["--readout", "head"], "readout is 'head', for an open loop; add .*--closed-loop"),
        ({}, ["--closed-loop", "--readout", "tail"], "no read-out whose name begins with 'tail'"),
        ({"head.weight": np.ones((3, 4))}, ["--closed-loop"], "no read-out leads from the 4"),
        ({"tail.weight": np.ones((2, 4))}, ["--closed-loop"], "2 read-outs.*head.weight, tail"),
        ({"head.bias": np.ones(3)}, ["--closed-loop"], r"bias has shape \(3,\)"),
    ],
)
def test_no_read_out_or_several(tmp_path, monkeypatch, capsys, change, arguments, message):
    monkeypatch.chdir(tmp_path)
    np.savez("net.npz", **{**GRU, **change})
    assert main(["spectrum", "net.npz", "-o", "a.h5", *RUN, *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_reservoir_learns_the_spectrum_of_a_flow():
    """The example with a shorter series: its closed loop has Lorenz's exponents."""
    path = Path(__file__).parents[2] / "examples" / "lorenz_reservoir.py"
    example = SimpleNamespace(**runpy.run_path(str(path)))
    series = example.lorenz(4000, substeps=5)
    series = (series - series.mean(axis=0)) / series.std(axis=0)
    loop = example.train(series)
    found = lyapunov_spectrum(
        loop, steps=5000, transient=500, k=4, initial_state=loop.warm_up(series[-300:]), dt=0.02
    )
    error = np.abs(found.exponents[:3] - example.KNOWN)
    assert np.all(error < 4 * found.standard_error[:3] + [0.02, 0.02, 0.2])
    assert np.all(found.standard_error[:3] < [0.1, 0.1, 0.3])
    assert found.exponents[3] < -30.0


def test_a_network_trained_in_torch_has_the_spectrum_of_a_flow(tmp_path):
    """The GRU of examples/train_lorenz_gru.py: two exponents of the flow, the third as found."""
    weights = Path(__file__).parents[2] / "examples" / "lorenz_gru.safetensors"
    run = ["--steps", "10000", "--transient", "1000", "-k", "4", "--dt", "0.02", "--quiet"]
    target = str(tmp_path / "a.h5")
    assert main(["spectrum", str(weights), "--closed-loop", "-o", target, *run]) == 0
    found = lyapy.Spectrum.load(target)
    error = np.abs(found.exponents[:3] - [0.9056, 0.0, -15.48])
    assert np.all(error < 4 * found.standard_error[:3] + [0.02, 0.01, 0.1])
    assert np.all(found.standard_error[:3] < [0.05, 0.03, 0.1])
    assert found.exponents[3] < -30.0
