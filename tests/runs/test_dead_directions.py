"""−∞ only where it is proven: exact zeros are dead, underflows are bounded."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy import cells
from lyapy.networks.forward import forward_chunk
from lyapy.runs import schedule


def vanilla(U, W=None, **options):
    return lyapy.Network([lyapy.Vanilla(W, U, **options)])


def spectrum(network, x=None, **options):
    return lyapy.lyapunov_spectrum(network, x, **options)


def test_nearly_singular_weights_are_not_dead(backend):
    options = {"steps": 300, "backend": backend}
    found = spectrum(vanilla(np.diag([1.0, 1e-16]), nonlinearity="identity"), **options)
    np.testing.assert_allclose(found.exponents, [0.0, np.log(1e-16)], atol=1e-10)
    # irreducible: each step swaps both
    swap = vanilla(np.array([[0.0, 1.0], [1e-16, 0.0]]), nonlinearity="identity")
    found = spectrum(swap, **options)
    np.testing.assert_allclose(found.exponents, np.log(1e-16) / 2, atol=1e-10)
    ones = vanilla(np.ones((3, 3)), nonlinearity="identity")
    found = spectrum(ones, transient=10, **options)
    np.testing.assert_allclose(found.exponents, [np.log(3.0), -np.inf, -np.inf])


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("spike", [360.0, 380.0, 410.0, 1e5])
def test_one_input_far_into_saturation(n, spike, backend):
    """Its slope underflows; the exponents are finite, as log-slopes add up to."""
    rng = np.random.default_rng(1)
    U, W = rng.normal(size=(n, n)), np.ones((n, 1))
    x = 0.1 * rng.normal(size=(2000, 1))
    x[700] = spike
    with pytest.warns(RuntimeWarning, match="upper bound|rounding error"):
        found = spectrum(vanilla(U, W), x, backend=backend)
    assert np.isfinite(found.exponents).all()
    assert found.status.code != "converged"
    h = forward_chunk(vanilla(U, W), x, np.zeros(n)).states
    a = x @ W.T + np.concatenate([np.zeros((1, n)), h[:-1]]) @ U.T
    # log 1/cosh², and the sum rule
    logs = -2.0 * (np.abs(a) + np.log1p(np.exp(-2.0 * np.abs(a))) - np.log(2.0))
    exact = logs.sum(axis=1).mean() + np.linalg.slogdet(U)[1]
    assert not found.resolved.all()
    # a bound is one from above
    error = np.where(found.bounded, 0.0, found.rounding_error).sum()
    assert found.exponents.sum() >= exact - error - 1e-6
    if spike < 400.0:
        # the last bound is the mean of all hidden growth
        total = n * found.exponents[-1] if found.bounded.all() else found.exponents.sum()
        assert total < exact + error + 0.5 * n


def test_a_gate_that_is_almost_closed_is_not_dead(backend):
    b = np.repeat([0.0, -720.0, 0.0], 2)
    network = lyapy.Network([lyapy.GRU(None, np.zeros((6, 2)), b)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = spectrum(network, steps=200, backend=backend)
    # a bound where the compiled exponential underflows
    assert np.all(found.bounded | (np.abs(found.exponents + 720.0) < 1e-6))
    assert np.all((found.exponents >= -720.0 - 1e-6) & (found.exponents <= -700.0))


def lstm_that_begins_at_zero():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 2))
    x[0] = 0.0
    return lyapy.Network([lyapy.LSTM(rng.normal(size=(16, 2)), rng.normal(size=(16, 4)))]), x


@pytest.mark.parametrize("k", [8, 6])
def test_dead_in_the_transient_only(k, backend):
    """The first step has no output gate's slope; it counts only where it is counted."""
    network, x = lstm_that_begins_at_zero()
    h = forward_chunk(network, x[:1], np.zeros(8)).states[-1]
    found = spectrum(network, x, transient=100, k=k, backend=backend)
    wanted = spectrum(network, x[1:], transient=99, k=k, initial_state=h, backend=backend)
    np.testing.assert_allclose(found.exponents, wanted.exponents, atol=1e-6)
    counted = spectrum(network, x, k=k, backend=backend)
    assert np.isneginf(counted.exponents).sum() == k - 4


def test_dead_in_the_transient_in_any_chunks(monkeypatch):
    network, x = lstm_that_begins_at_zero()
    x[130] = 0.0
    whole = spectrum(network, x, transient=192)
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    np.testing.assert_array_equal(spectrum(network, x, transient=192).growth, whole.growth)


def test_the_module_that_dies_is_the_dead_one(backend):
    """Two relu modules; a unit of the first, faster one is off in one step."""
    rng = np.random.default_rng(0)
    first, second = 1.5 * np.abs(rng.normal(size=(2, 2))), 0.1 * np.abs(rng.normal(size=(2, 2)))
    U = np.zeros((4, 4))
    U[:2, :2], U[2:, 2:] = first / 3.0, second
    W, b = np.eye(4)[:, :1], np.full(4, 0.5)
    x = np.zeros((300, 1))
    x[150] = -1e3
    found = spectrum(vanilla(U, W, b=b, nonlinearity="relu"), x, backend=backend)
    eigenvalues = np.log(np.abs(np.linalg.eigvals(second)))
    alone = spectrum(vanilla(U[:2, :2], W[:2], b=b[:2], nonlinearity="relu"), x, backend=backend)
    assert np.isneginf(found.exponents).tolist() == [False, False, False, True]
    np.testing.assert_allclose(found.exponents[0], alone.exponents[0], atol=1e-8)
    np.testing.assert_allclose(found.exponents[1:3], np.sort(eigenvalues)[::-1], atol=0.05)


SPIKE = 0.1 * np.random.default_rng(1).normal(size=(500, 1))
SPIKE[300] = -800.0
RELATED = np.random.default_rng(2).normal(size=(12, 3))


def closed(value, rows):
    """Return biases of three units that close the gate of these rows."""
    b = np.zeros((rows, 3))
    b[1] = value
    return b.ravel()


UNDERFLOWING = {
    "tanh": cells.Independent(np.ones((3, 1)), [0.5, 0.7, 0.0], nonlinearity="tanh"),
    "silu": lyapy.Vanilla(np.ones((3, 1)), RELATED[:3], nonlinearity="silu"),
    "sin": lyapy.Vanilla(np.ones((3, 1)), RELATED[:3], nonlinearity="sin"),
    "elu": cells.Independent(np.ones((3, 1)), [0.5, 0.7, 0.0], nonlinearity="elu"),
    "reservoir": cells.Reservoir(np.ones((3, 1)), csr_array(np.diag([0.5, 0.7, 0.2]))),
    "gru-variant": cells.GRUVariant(np.zeros((9, 1)), RELATED[:9], closed(-800.0, 3)),
    "mixed": cells.GRUVariant(
        np.zeros((9, 1)), RELATED[:9], closed(-800.0, 3), nonlinearity="relu"
    ),
    "lstm-variant": cells.LSTMVariant(np.zeros((12, 1)), RELATED, closed(-800.0, 4)),
    "lstm-projected": cells.ProjectedLSTM(
        np.zeros((12, 1)), RELATED[:, :2], RELATED[:2], closed(-800.0, 4)
    ),
}


@pytest.mark.parametrize("kind", UNDERFLOWING)
def test_slopes_that_underflow_are_never_dead(kind, backend):
    """Units that read nothing are, also among others that underflow."""
    cell = UNDERFLOWING[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        start = np.full(cell.state_size, 0.1)
        found = spectrum(lyapy.Network([cell]), SPIKE, initial_state=start, backend=backend)
    unread = int(np.sum(cell.weights.u == 0.0)) if kind in ("tanh", "elu") else 0
    assert np.isneginf(found.exponents).sum() == unread
    if kind != "sin" and "gru-variant" not in kind:
        assert found.bounded.any() and found.status.code != "converged"


def test_a_loop_that_saturates_is_not_dead(backend):
    layer = vanilla(RELATED[:3], np.ones((3, 1)))
    loop = lyapy.ClosedLoop(layer, np.array([[400.0, 300.0, -200.0]]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = spectrum(loop, steps=100, initial_state=np.ones(3), backend=backend)
    assert found.bounded.all()


@pytest.mark.parametrize(
    ("cell", "dead"),
    [
        (cells.GRUVariant(None, RELATED[:9], np.repeat([0.0, -800.0, -100.0], 3),
                          gate="hard-sigmoid", nonlinearity="relu"), 3),
        (cells.PLRNN(None, np.zeros(3), RELATED[:3], [1.0, 1.0, -90.0]), 1),
        (cells.Rate(None, RELATED[:3], [1.0, -90.0, 1.0], dt=1.0, nonlinearity="relu"), 1),
    ],
)  # fmt: skip
def test_zeros_of_slopes_that_are_exact_kill(cell, dead, backend):
    """Rows of zeros of closed gates, columns of zeros of units that are off."""
    network = lyapy.Network([cell])
    found = spectrum(network, steps=200, initial_state=np.full(3, 0.1), backend=backend)
    assert np.isneginf(found.exponents).sum() >= dead
    J = lyapy.jacobian(network, found.final_state[0])
    assert np.linalg.matrix_rank(J) <= 3 - dead


@pytest.mark.parametrize("scale", [1e-170, 1e-300])
def test_weights_whose_squares_underflow_are_not_dead(scale, backend):
    """Relu units that are on: nothing is dead, and log of the scale is exact."""
    U = scale * np.abs(RELATED[:3])
    found = spectrum(vanilla(U, b=np.ones(3), nonlinearity="relu"), steps=100, backend=backend)
    exact = np.sort(np.log(np.abs(np.linalg.eigvals(U / scale))))[::-1] + np.log(scale)
    assert np.all(found.bounded | (np.abs(found.exponents - exact) < 0.1))
    assert np.isfinite(found.exponents).all()
