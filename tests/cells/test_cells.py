"""Each cell by itself: its step, its Jacobian, its determinant, its errors."""

import inspect

import mpmath
import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy import cells
from lyapy.cells import CELLS
from lyapy.cells.activations import activation, clipped, kind_of
from lyapy.cells.base import Cell, determinant, log_abs_product
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.tangent.engine import choose_engine
from lyapy.weights.formats import Contents
from lyapy.weights.frameworks.layer import Hints
from lyapy.weights.load import network_from_contents
from tests.conftest import DERIVED, difference_jacobian
from tests.support.weights_files import GOLDEN, of_case

KINDS = ["rnn_tanh", "rnn_relu", "gru", "lstm", "lstm_proj"]
CASES = [f"{k}_{n}layer_{b}" for k in KINDS for n in (1, 2, 3) for b in ("bias", "nobias")]
CLOSED_FORM = [name for name, cell in CELLS.items() if cell.log_abs_det is not Cell.log_abs_det]


def named_coefficients(network, state, x):
    values = forward_chunk(network, x[None], state).coefficients[0]
    (placed,) = network.program.coefficients
    return network.cells[0], {name: values[c.entries] for name, c in placed.items()}


@pytest.mark.parametrize("kind", [*DERIVED, "relu", "identity"])
@pytest.mark.parametrize("m", [0, 3])
def test_jacobian_is_the_derivative_of_the_step(kind, m):
    options = {"gain": 1.5, "bias": 0.5, "seed": 3}
    if kind in ("relu", "identity"):
        kind, options["nonlinearity"] = "vanilla", kind
    network = lyapy.random_network(kind, 5, m, **options)
    # not near the kinks of piecewise linear cells
    rng = np.random.default_rng(5)
    for _ in range(3):
        state, x = rng.normal(size=network.state_size), rng.normal(size=m)
        found = lyapy.jacobian(network, state, x if m else None)
        np.testing.assert_allclose(found, difference_jacobian(network, state, x), atol=1e-11)


@pytest.mark.parametrize("case", CASES)
def test_torch_computes_the_same(case, backend):
    arrays, weights = (of_case(GOLDEN / "torch_cells.npz", c) for c in (case, f"{case}/weights"))
    nonlinearity = case[4:8] if case.startswith("rnn") else None
    network = network_from_contents(case, Contents(weights, {}), Hints(nonlinearity=nonlinearity))
    inputs, state = arrays["inputs"], arrays["initial_state"]
    states = forward_chunk(network, inputs, state, choose_engine(backend).run_layer).states
    np.testing.assert_allclose(states, arrays["states"], rtol=1e-13, atol=1e-15)
    jacobian = lyapy.jacobian(network, states[-2], inputs[-1])
    np.testing.assert_allclose(jacobian, arrays["jacobian"], rtol=1e-13, atol=1e-14)


SIZES = [1e-300, 1e-9, 1e-3, 0.3466, 18.9, 19.1, 36.8, 300.0, *range(1, 51)]
ARGUMENTS = np.concatenate([np.negative(SIZES), [0.0], SIZES])


def assert_exact(found, function):
    """Compare with a function in 320 digits, to some units of roundoff."""
    with mpmath.workdps(320):
        for value, x in zip(found, ARGUMENTS, strict=True):
            exact = function(mpmath.mpf(float(x)))
            assert abs(mpmath.mpf(float(value)) - exact) <= 1e-15 * abs(exact)


def test_tanh_is_accurate_in_saturation(backend):
    n = len(ARGUMENTS)
    network = lyapy.Network([lyapy.Vanilla(None, np.zeros((n, n)), ARGUMENTS)])
    run = choose_engine(backend).run_layer
    value, slope = forward_chunk(network, np.zeros((1, 0)), np.zeros(n), run)
    assert_exact(value[0], mpmath.tanh)
    assert_exact(slope[0], lambda x: 1 / mpmath.cosh(x) ** 2)


def test_logistic_is_accurate_in_saturation(backend):
    n = len(ARGUMENTS)
    biases = np.concatenate([np.zeros(n), ARGUMENTS, np.zeros(2 * n)])
    network = lyapy.Network([lyapy.LSTM(None, np.zeros((4 * n, n)), biases)])
    state = np.concatenate([np.zeros(n), np.ones(n)])
    run = choose_engine(backend).run_layer
    _, (coefficients,) = forward_chunk(network, np.zeros((1, 0)), state, run)
    named, exp = network.program.coefficients[0], mpmath.exp
    assert_exact(coefficients[named["f"].entries], lambda x: 1 / (1 + exp(-x)))
    assert_exact(coefficients[named["p"].entries], lambda x: 1 / (1 + exp(-x)) / (1 + exp(x)))


FAR = np.array([-700.0, -300, -40, -20, -3, -1.5, -1, -0.1, -1e-9, 1e-9, 0.1, 1, 3, 20, 40, 300])
SMOOTH = {
    "softplus": (lambda x: mpmath.log1p(mpmath.exp(x)), lambda x: 1 / (1 + mpmath.exp(-x))),
    "elu": (lambda x: x if x > 0 else mpmath.expm1(x), lambda x: 1 if x > 0 else mpmath.exp(x)),
    "silu": (
        lambda x: x / (1 + mpmath.exp(-x)),
        lambda x: (1 + mpmath.exp(-x) * (1 + x)) / (1 + mpmath.exp(-x)) ** 2,
    ),
    "sin": (mpmath.sin, mpmath.cos),
}


def digits(function):
    with mpmath.workdps(400):
        return np.array([float(function(mpmath.mpf(float(x)))) for x in FAR])


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_activations_are_exact_to_rounding(name, backend):
    network = lyapy.Network([lyapy.Vanilla(None, np.zeros((16, 16)), FAR, nonlinearity=name)])
    run = choose_engine(backend).run_layer
    chunk = forward_chunk(network, np.zeros((1, 0)), np.zeros(16), run)
    value, slope = (digits(function) for function in SMOOTH[name])
    np.testing.assert_allclose(np.ravel(chunk.states), value, rtol=2e-15)
    np.testing.assert_allclose(np.ravel(chunk.coefficients[0]), slope, rtol=2e-15)


@pytest.mark.parametrize(
    ("name", "kink", "value", "before", "after"),
    [
        ("relu", 0.0, 0.0, 0.0, 1.0),
        ("hard-sigmoid", -3.0, 0.0, 0.0, 1 / 6),
        ("hard-sigmoid", 3.0, 1.0, 1 / 6, 0.0),
        ("hard-sigmoid-keras2", -2.5, 0.0, 0.0, 0.2),
        ("hard-sigmoid-keras2", 2.5, 1.0, 0.2, 0.0),
    ],
)
def test_slopes_at_kinks_are_zero(name, kink, value, before, after):
    """As frameworks define them: zero at the kink itself."""
    values, slopes = activation(kink + np.array([-1e-9, 0.0, 1e-9]), kind_of(name))
    np.testing.assert_allclose(values, value, atol=1.1e-9)
    np.testing.assert_array_equal(slopes, [before, 0.0, after])


@pytest.mark.parametrize("limit", [-0.5, 0.5])
def test_a_clip_keeps_its_limits(limit):
    wanted = activation(np.array(limit), 0)
    assert clipped(np.array(limit), 0, 0.5) == wanted
    assert clipped(np.array(1.001 * limit), 0, 0.5) == (wanted[0], 0.0)


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_log_abs_det_is_that_of_the_jacobian(name):
    network = lyapy.random_network(name, 7, 2, gain=1.5, bias=0.5, seed=6)
    rng = np.random.default_rng(7)
    for _ in range(3):
        state, x = rng.normal(size=network.state_size), rng.normal(size=2)
        cell, named = named_coefficients(network, state, x)
        _, wanted = np.linalg.slogdet(lyapy.jacobian(network, state, x))
        assert cell.log_abs_det(named) == pytest.approx(wanted, rel=1e-12)


def test_generic_networks_have_no_dead_direction(kind):
    network = lyapy.random_network(kind, 6, 2, bias=0.5, seed=8)
    state, x = np.random.default_rng(9).normal(size=(2, network.state_size))
    cell, named = named_coefficients(network, state, x[:2])
    assert np.max(cell.dead_directions(named)) == 0
    assert np.linalg.matrix_rank(lyapy.jacobian(network, state, x[:2])) == network.state_size


def test_trajectories_side_by_side_are_as_if_alone(kind):
    """Their states, coefficients, outputs, determinants and dead directions."""
    network = lyapy.random_network(kind, 5, 2, gain=1.5, bias=0.5, seed=10)
    (cell,), D = network.cells, network.state_size
    rng = np.random.default_rng(11)
    inputs, start = rng.normal(size=(4, 3, 2)), rng.normal(size=(3, D))
    (block,) = diagonal_blocks(network, whole=True)
    together = forward_chunk(network, inputs, start)
    read = cell.outputs(together.states, cell.drive(inputs))
    dead, logs = (f(together.coefficients) for f in (block.dead_directions, block.log_abs_det))
    assert dead.shape == (4, 3)
    for i in range(3):
        alone = forward_chunk(network, inputs[:, i], start[i])
        np.testing.assert_allclose(together.states[:, i], alone.states, rtol=1e-12)
        np.testing.assert_allclose(together.coefficients[:, i], alone.coefficients, rtol=1e-12)
        wanted = cell.outputs(alone.states, cell.drive(inputs[:, i]))
        np.testing.assert_allclose(read[:, i], wanted, rtol=1e-12)
        for t, values in enumerate(alone.coefficients):
            assert block.dead_directions(values) == dead[t, i]
            if logs is not None:
                assert block.log_abs_det(values) == pytest.approx(logs[t, i], rel=1e-12)


def dead(network, state):
    cell, named = named_coefficients(network, state, np.zeros(network.input_size))
    rank = np.linalg.matrix_rank(lyapy.jacobian(network, state, np.zeros(network.input_size)))
    return int(cell.dead_directions(named)), network.state_size - rank


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["vanilla", "independent"])
def test_dead_directions_of_relu_units(kind, seed):
    network = lyapy.random_network(kind, 8, 1, nonlinearity="relu", seed=seed)
    found, nullity = dead(network, np.random.default_rng(seed).normal(size=8))
    assert found == nullity > 0


RANDOM = np.random.default_rng(1).normal(size=(4, 4))
GATES = np.random.default_rng(2).normal(size=(12, 3))
# where i g + f c = 0 in one unit, its tanh c′ is zero
GATES[6] = 0.0


@pytest.mark.parametrize(
    ("cell", "state", "number"),
    [
        (lyapy.Vanilla(None, np.diag([1.0, 2.0, 0.0, 0.0]) @ RANDOM), np.ones(4), 2),
        (lyapy.Vanilla(None, np.zeros((4, 4)), [1.0, -1.0, -1.0, -1.0]), np.ones(4), 4),
        (cells.DiagonalStateSpace([0.0, 0.5j, 0.0, 1.0], None, np.ones((1, 4))), np.ones(8), 4),
        (lyapy.LSTM(None, np.zeros((12, 3)), np.ones(12)), np.ones(6), 3),
        (lyapy.LSTM(None, GATES), np.array([1.0, 1.0, 1.0, 0.0, 1.0, 1.0]), 1),
    ],
)
def test_dead_directions_are_those_of_the_jacobian(cell, state, number):
    assert dead(lyapy.Network([cell]), state) == (number, number)


@pytest.mark.parametrize("size", [1, 999, 1000, 1001, 3007])
def test_logarithm_of_a_long_product(size):
    x = np.random.default_rng(12).normal(size=(2, size)) * np.logspace(-300, 300, size)
    np.testing.assert_allclose(log_abs_product(x), np.log(np.abs(x)).sum(axis=1), rtol=1e-12)
    x[1, -1] = 0.0
    assert log_abs_product(x)[1] == -np.inf


def test_a_determinant_knows_its_nullity_and_condition():
    U = np.random.default_rng(13).normal(size=(6, 6))
    found = determinant(U)
    assert found.log_abs == pytest.approx(np.linalg.slogdet(U)[1], rel=1e-13)
    assert found.nullity == 0
    # an estimate from below, which is exact for two rows
    assert 0.5 * np.linalg.cond(U, 1) < found.condition <= np.linalg.cond(U, 1)
    small = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert determinant(small).condition == pytest.approx(np.linalg.cond(small, 1), rel=1e-13)
    U[4:] = U[:2]
    found = determinant(U)
    assert (found.log_abs, found.nullity) == (-np.inf, 2)
    assert found.condition > 1e15
    assert determinant(np.zeros((3, 3))) == (-np.inf, 3, np.inf)
    # the last digit decides
    assert determinant(np.array([[0.1, 0.1], [0.1, 0.1]])).nullity == 1
    almost = determinant(np.array([[1.0, 1.0], [1.0, np.nextafter(1.0, 2.0)]]))
    assert (almost.nullity, np.isnan(almost.log_abs)) == (0, True)
    assert determinant(np.array([[0.0, 1.0], [1e-30, 0.0]])).nullity == 0
    integers = np.random.default_rng(14).integers(-3, 4, (9, 4)).astype(float)
    assert determinant(integers @ integers.T).nullity == 5
    # far from 1 in size, but not in condition
    assert determinant(1e-40 * np.eye(3))[1:] == (0, 1.0)
    assert determinant(np.diag([1.0, 1e-15]))[1:] == (0, pytest.approx(1e15))


def matrix(*shape):
    return np.ones(shape)


@pytest.mark.parametrize(
    ("cell", "arguments", "message"),
    [
        (lyapy.Vanilla, (None, matrix(3, 2)), r"U has shape \(3, 2\); it must be \(3, 3\)"),
        (lyapy.Vanilla, (matrix(2, 1), matrix(3, 3)), r"W has shape \(2, 1\).*\(3, any\)"),
        (lyapy.Vanilla, (matrix(3), matrix(3, 3)), r"W has shape \(3,\)"),
        (lyapy.Vanilla, (None, matrix(3, 3), matrix(4)), r"b has shape \(4,\).*\(3,\)"),
        (lyapy.Vanilla, (None, matrix(3, 3), matrix(3, 1)), r"b has shape \(3, 1\)"),
        (lyapy.Vanilla, (None, matrix(3, 3) * np.nan), "U holds 9 values that are NaN"),
        (lyapy.Vanilla, (None, matrix(1, 1), [np.inf]), "b holds 1 values.*infinite"),
        (lyapy.Vanilla, (None, matrix(2, 2), None, "sine"), "nonlinearity is 'sine'; .* tanh, rel"),
        (lyapy.GRU, (None, matrix(4, 2)), r"U has 4 rows; .* multiple of 3 \(gates r, z, n\)"),
        (lyapy.GRU, (None, matrix(6, 3)), r"U has shape \(6, 3\); it must be \(6, 2\)"),
        (lyapy.GRU, (None, matrix(6, 2), None, matrix(2)), r"c has shape \(2,\).*\(6,\)"),
        (lyapy.GRUResetBefore, (matrix(2, 6), matrix(6, 2)), r"W has shape \(2, 6\)"),
        (lyapy.LSTM, (None, matrix(6, 2)), "U has 6 rows; .*multiple of 4"),
        (lyapy.LSTM, (None, matrix(8, 3)), r"U has shape \(8, 3\); it must be \(8, 2\)"),
        (lyapy.LSTM, (matrix(8, 1), matrix(8, 2), matrix(2)), r"b has shape \(2,\).*\(8,\)"),
        (lyapy.ProjectedLSTM, (None, matrix(8, 1), matrix(1, 3)), r"P has shape .* \(1, 2\)"),
        (lyapy.ProjectedLSTM, (None, matrix(8, 2), matrix(1, 2)), r"P has shape .* \(2, 2\)"),
        (cells.Rate, (None, matrix(2, 2), None, 0.0), "dt is 0.0; it must be positive"),
        (cells.Rate, (None, matrix(2, 2), None, [0.1]), r"dt has shape \(1,\)"),
        (cells.Reservoir, (None, matrix(2, 2), None, 1.5), "leak is 1.5; it must lie above 0"),
        (cells.Reservoir, (None, matrix(2, 2), None, 0.0), "leak is 0.0; it must lie above 0"),
        (cells.Reservoir, (None, matrix(2, 2), None, -0.5), "leak is -0.5; it must lie above 0"),
        (cells.Reservoir, (None, csr_array((2, 3))), r"U has shape \(2, 3\).*\(2, 2\)"),
        (cells.Reservoir, (None, csr_array([[np.nan]])), "U holds 1 values that are NaN"),
        (cells.Antisymmetric, (None, matrix(2, 2), None, 0.1, np.nan), "U or gamma holds"),
        (cells.PLRNN, (None, [0.5], [[0.0, 1.0]]), r"W has shape \(1, 2\)"),
        (cells.MinimalGated, (None, matrix(3, 2)), r"U has 3 rows; .* of 2 \(gates f, g\)"),
        (cells.FastGRNN, (None, matrix(2, 2), None, np.nan), "zeta or nu holds 1 values"),
        (cells.DiagonalStateSpace, ([0.5j], None, matrix(1, 2)), r"C has shape \(1, 2\)"),
        (lyapy.Network, ([],), "cells is empty"),
        (
            lyapy.Network,
            ([lyapy.LSTM(None, matrix(8, 2)), lyapy.GRU(None, matrix(3, 1))],),
            "layer 1 reads 0 inputs, but layer 0 has 2 outputs",
        ),
    ],
)
def test_constructors_name_the_argument(cell, arguments, message):
    names = inspect.signature(cell).parameters
    with pytest.raises(ValueError, match=message):
        cell(**dict(zip(names, arguments, strict=False)))


def test_only_a_surrogate_is_not_compared_with_the_derivative():
    assert [name for name in CELLS if name not in DERIVED] == ["spiking-surrogate"]


def test_weights_are_copied_into_float64():
    U = np.eye(2, dtype=np.float32)
    network = lyapy.Network([lyapy.Vanilla(None, U)])
    before = network.digest()
    assert network.cells[0].weights.U.dtype == np.float64
    assert before != lyapy.Network([lyapy.Vanilla(None, 2 * U)]).digest()
    assert before == lyapy.Network([lyapy.Vanilla(None, np.eye(2))]).digest()


def test_drive_does_not_depend_on_how_time_is_cut(kind):
    (cell,) = lyapy.random_network(kind, 37, 53, bias=0.5, seed=1).cells
    x = np.random.default_rng(2).normal(size=(150, 53))
    whole = cell.drive(x)
    np.testing.assert_allclose(whole, x @ cell.W.T + cell.b, rtol=1e-12, atol=1e-12)
    for length in (1, 2, 3, 5, 17, 63, 64, 65, 149):
        np.testing.assert_array_equal(cell.drive(x[:length]), whole[:length])
