"""Fixed points and cycles against exact values, certificates, slow points, errors."""

import mpmath
import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy import cells, fixed_points
from lyapy.cells import PLRNN, Rate, Reservoir
from lyapy.cli import main
from lyapy.orbits.certificate import _rounding
from lyapy.orbits.newton import Residual
from lyapy.orbits.plots import plot_fixed_points

FLIP_FLOP = lyapy.Network([lyapy.Vanilla(None, np.kron(np.eye(3), np.full((4, 4), 0.5)))])


def plrnn(first):
    A, W = [first, 0.96461297], [[0.0, -0.64375], [0.52505308, 0.0]]
    return lyapy.Network([PLRNN(None, A, W, [0.37298253, -0.97931491])])


def test_fixed_point_of_a_plrnn():
    found = fixed_points(plrnn(-0.0222311))
    assert found.labels == ("certified",)
    np.testing.assert_allclose(found.states, [[0.364871045305, -22.260648713948]], rtol=1e-11)
    np.testing.assert_allclose(found.exponents, [[-0.03602832545, -3.806263069549]], rtol=1e-10)
    assert found.starts.sum() == 104 and found.lost == 0


def test_two_cycles_around_an_unstable_point():
    network = plrnn(0.8377689)
    (point,) = fixed_points(network).states
    np.testing.assert_allclose(point, [1.87242, 0.107523], atol=1e-5)
    np.testing.assert_allclose(fixed_points(network).exponents, [[0.068193634697] * 2], rtol=1e-10)
    found = fixed_points(network, period=16, starts=50)
    assert found.labels == ("certified",) * 2
    assert str(found).startswith("2 cycles of period 16, from 54 starts; ")
    wanted = [[-0.041002798751] * 2, [0.029773106509, -0.089939417321]]
    np.testing.assert_allclose(found.exponents, wanted, atol=1e-10)
    assert np.abs(found.cycles[0] - [1.459645, 0.176197]).max(axis=1).min() < 1e-6
    # the fixed point repeats after 16 steps too
    assert found.lost == 54 - found.starts.sum() > 0


def test_all_fixed_points_of_a_small_plrnn():
    """By the regions: each sign pattern has a linear system, and its solution lies there or not."""
    rng = np.random.default_rng(288)
    n = 6
    A, W, h = rng.uniform(-0.5, 0.9, n), 1.5 * rng.normal(size=(n, n)), rng.normal(size=n)
    np.fill_diagonal(W, 0.0)
    exact = []
    for pattern in np.ndindex(*[2] * n):
        z = np.linalg.solve(np.eye(n) - np.diag(A) - W * pattern, h)
        if np.array_equal(z > 0, pattern):
            exact.append(z)
    found = fixed_points(lyapy.Network([PLRNN(None, A, W, h)]), starts=1)
    found = found.states[np.array(found.labels) == "certified"]
    assert len(found) == len(exact) > 3
    gaps = np.linalg.norm(found[:, None] - np.array(exact), axis=2)
    assert gaps.min(axis=1).max() < 1e-12 and len(set(gaps.argmin(axis=1))) == len(exact)


def test_a_flip_flop_has_27_fixed_points():
    found = fixed_points(FLIP_FLOP, starts=500)
    assert np.bincount(found.unstable).tolist() == [8, 12, 6, 1]
    assert set(found.labels) == {"certified"} and found.radius.max() < 1e-13
    np.testing.assert_allclose(np.abs(found.states[:8]), 0.9575040240772687, rtol=1e-14)
    np.testing.assert_allclose(found.exponents[:8, 0], -1.7935285065, rtol=1e-10)
    np.testing.assert_allclose(found.exponents[-1, :3], np.log(2.0), rtol=1e-14)


@pytest.mark.parametrize("kind", ["vanilla", "gru", "lstm", "cornn", "minimal-gated"])
def test_a_run_that_ends_in_a_stable_point_has_its_exponents(kind):
    network = lyapy.random_network(kind, 5, 2, gain=0.6, bias=0.4, seed=2)
    x = np.array([0.3, -0.2])
    found = fixed_points(network, x, starts=20)
    stable = np.flatnonzero(found.unstable == 0)
    run = lyapy.lyapunov_spectrum(
        network, np.tile(x, (4000, 1)), transient=3000, initial_state=found.states[stable[0]]
    )
    wanted = found.exponents[stable[0]]
    np.testing.assert_allclose(run.exponents.sum(), wanted.sum(), atol=1e-10)
    np.testing.assert_allclose(run.exponents, wanted, atol=0.02)


def test_two_layers_and_a_closed_loop_are_numerical():
    network = lyapy.random_network("gru", 4, 2, gain=0.5, bias=0.3, layers=2, seed=1)
    for each, x in ((network, [0.1, 0.2]), (lyapy.ClosedLoop(network, np.ones((2, 4))), None)):
        found = fixed_points(each, x, starts=10)
        assert "numerical" in found.labels and "certified" not in found.labels
        assert found.speed[0] < 1e-14


SMALL = 0.4 * np.random.default_rng(4).normal(size=(5, 5))
WEIGHTS = {
    "tanh": lyapy.Vanilla(None, SMALL, np.ones(5)),
    "relu": lyapy.Vanilla(None, SMALL, np.ones(5), nonlinearity="relu"),
    "reservoir": Reservoir(None, SMALL, np.ones(5), leak=0.3),
    "sparse": Reservoir(None, csr_array(SMALL), np.ones(5), leak=0.3),
    "rate": Rate(None, SMALL, np.ones(5), nonlinearity="silu"),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_curvature_bounds_differences_of_jacobians(name):
    cell, rng = WEIGHTS[name], np.random.default_rng(5)
    network = lyapy.Network([cell])
    drive = cell.drive(np.zeros((1, 0)))[0]
    compared = 0
    for _ in range(200):
        state, step = rng.normal(size=(2, 5))
        step *= 10.0 ** rng.uniform(-4, 0)
        bound = cell.curvature(state, drive, np.linalg.norm(step))
        change = lyapy.jacobian(network, state + step) - lyapy.jacobian(network, state)
        if np.isfinite(bound):
            compared += 1
            assert np.linalg.norm(change, 2) <= bound * np.linalg.norm(step) * (1 + 1e-9) + 1e-14
    assert compared > 50
    assert fixed_points(network, starts=10).labels[0] == "certified"


def test_a_fixed_point_on_a_kink_is_not_certified():
    network = lyapy.Network([lyapy.Vanilla(None, [[0.5]], [0.0], nonlinearity="relu")])
    assert fixed_points(network, starts=5).labels == ("numerical",)


def test_the_rounding_of_a_certificate_bounds_that_of_its_numbers():
    rng = np.random.default_rng(0)
    U, h, b = rng.normal(size=(12, 12)), rng.normal(size=12), rng.normal(size=12)
    residual = Residual(lyapy.Network([lyapy.Vanilla(None, U, b)]), np.zeros(0))
    F, jacobians = residual.jacobians(h[None])
    of_F, of_DF = _rounding(residual, h[None], jacobians)
    with mpmath.workdps(40):
        sums = mpmath.matrix(U.tolist()) * mpmath.matrix(h.tolist()) + mpmath.matrix(b.tolist())
        value = [mpmath.tanh(each) for each in sums]
        exact = [v - mpmath.mpf(x) for v, x in zip(value, h, strict=True)]
        error = mpmath.norm([f - mpmath.mpf(x) for f, x in zip(exact, F[0], strict=True)])
        slopes = [1 - v**2 for v in value]
        of_J = mpmath.norm([
            slopes[i] * mpmath.mpf(U[i, j]) - mpmath.mpf(jacobians[0, i, j])
            for i, j in np.ndindex(12, 12)
        ])  # fmt: skip
    assert of_F / 500 < error < of_F
    assert of_DF / 500 < of_J < of_DF


def test_the_certified_radius_holds_the_exact_point():
    """Of h = tanh 2h, whose positive solution is known to 16 digits."""
    found = fixed_points(lyapy.Network([lyapy.Vanilla(None, [[2.0]])]))
    h = found.states[found.states[:, 0] > 0.5][0, 0]
    assert abs(h - 0.957504024077268740) <= found.radius[0] < 1e-14


def test_past_a_saddle_node_a_slow_point_remains():
    """Of h′ = tanh(2h + b) beyond the fold, where h = tanh(2h + b) and 2 (1 − h²) = 1."""
    h = np.sqrt(0.5)
    fold = np.arctanh(h) - 2 * h
    network = lyapy.Network([lyapy.Vanilla(None, [[2.0]], [fold - 1e-3])])
    found = fixed_points(network, starts=[[0.6], [0.7], [0.8], [-1.0]])
    assert found.labels == ("certified", "slow")
    assert found.states[1, 0] == pytest.approx(h, abs=1e-2)
    assert found.speed[1] == pytest.approx(5e-4, rel=1e-2)
    assert found.crossing[1] > 1000 and "crossing" in str(found)
    assert str(found).startswith("1 fixed point and 1 slow point, from 4 starts; 0 led to none")
    # no fixed point is near: here the speed is no minimum below a tenth of the cloud
    assert "slow" not in fixed_points(network, starts=[[0.6], [-1.0]], slow=1e4).labels


def test_the_residual_of_a_cycle_has_its_derivative():
    residual = Residual(FLIP_FLOP, np.zeros(0))
    states = np.random.default_rng(6).normal(size=(3, 12))
    derivative = residual.derivative(residual.jacobians(states)[1])
    for column in range(0, 36, 5):
        step = np.zeros(36)
        step[column] = 1e-6
        ends = [residual.jacobians(states + s * step.reshape(3, 12))[0].ravel() for s in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, derivative[:, column], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": [1.0]}, r"x has shape \(1,\); it must be \(0,\)"),
        ({"starts": np.zeros((3, 2))}, r"starts has shape \(3, 2\); it must be \(S, 12\)"),
        ({"starts": 0}, "starts is 0"),
        ({"period": 0}, "period is 0"),
        ({"slow": 0.0}, "slow is 0.0; it must be positive"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        fixed_points(FLIP_FLOP, **options)


def test_networks_without_a_derivative_or_an_input_are_refused():
    with pytest.raises(ValueError, match="spiking units"):
        fixed_points(lyapy.random_network("spiking-surrogate", 3))
    with pytest.raises(ValueError, match="reads 2 inputs; give a constant one"):
        fixed_points(lyapy.random_network("gru", 3, 2))
    with pytest.raises(TypeError, match=r"must be a lyapy\.Network"):
        fixed_points(cells.CELLS["gru"])


def test_a_search_may_find_nothing():
    network = lyapy.Network([lyapy.Vanilla(None, np.eye(2), [1.0, 1.0], nonlinearity="identity")])
    found = fixed_points(network, starts=3, slow=1e9)
    assert len(found) == 0 and found.lost == 3 and repr(found) == "FixedPoints(none, period=1)"
    with pytest.raises(ValueError, match="points is empty"):
        plot_fixed_points(found)


def test_the_command_line_writes_points_and_a_plot(tmp_path, capsys):
    weights, out = tmp_path / "net.npz", tmp_path / "points.npz"
    np.savez(weights, W=np.ones((3, 2)), U=SMALL[:3, :3], b=np.ones(3))
    command = ["fixed-points", str(weights), "--cell", "reservoir"]
    assert main([*command, "--input", "0.5", "-o", str(out), "--plot", f"{out}.png"]) == 0
    assert "certified" in capsys.readouterr().out
    with np.load(out) as arrays:
        network = lyapy.load(weights, cell="reservoir")
        wanted = fixed_points(network, [0.5, 0.5])
        np.testing.assert_array_equal(arrays["cycles"], wanted.cycles)
        assert arrays["labels"].tolist() == list(wanted.labels)
        # no option of a newer NumPy among them
        assert arrays.keys() == vars(wanted).keys()
    assert (tmp_path / "points.npz.png").stat().st_size > 10_000
    assert main(command) == 2
    assert "--input is missing; give the 2 numbers" in capsys.readouterr().err
