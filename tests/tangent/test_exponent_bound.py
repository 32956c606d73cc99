"""The upper bound of the largest exponent: a thousand networks, exact cases, errors."""

import math

import numpy as np
import pytest

import lyapy
from lyapy import Network, exponent_bound
from lyapy.cells import CELLS, DiagonalStateSpace, Independent, MinGRU, Reservoir
from lyapy.cells.activations import NONLINEARITIES, activation, kind_of
from lyapy.cells.boxes import Box, activated
from lyapy.cells.images import image
from lyapy.networks.apply import tangent_step
from lyapy.networks.forward import forward_chunk

BOUNDED = (
    "vanilla", "reservoir", "rate", "lipschitz", "antisymmetric", "plrnn", "shallow-plrnn",
    "independent", "state-space", "min-gru", "min-lstm", "para-gru",
)  # fmt: skip
CASES = 84
NO_BOUND = sorted(set(CELLS) - set(BOUNDED))


def random_case(kind, case):
    """Return a network of one or two layers and the ends of a box of inputs."""
    rng = np.random.default_rng([case, len(kind)])
    layers = int(rng.integers(1, 3))
    units, gain = int(rng.integers(1, 6)), float(rng.uniform(0.05, 1.5))
    network = lyapy.random_network(
        kind, units, 2, layers=layers, gain=gain, bias=float(rng.uniform(0, 1)), seed=case
    )
    ends = np.sort(rng.normal(size=(2, 2)) * rng.choice([0.3, 3.0]), axis=0)
    return network, ends, rng


def growth_of_product(J):
    """Return log‖J_T … J_1‖ / T for transposed J, by halves."""
    steps = len(J)
    logs = np.zeros(steps)
    while len(J) > 1:
        J = J[0::2] @ J[1::2]
        sizes = np.linalg.norm(J, axis=(1, 2))
        J, logs = J / sizes[:, None, None], logs[0::2] + logs[1::2] + np.log(sizes)
    return float(logs[0] + np.log(np.linalg.norm(J[0], 2))) / steps


@pytest.mark.parametrize("kind", BOUNDED)
def test_never_below_a_computed_exponent(kind):
    """84 networks of 12 kinds: 1008. The norm of a product exceeds its rate by log T / T or so."""
    negative = 0
    for case in range(CASES):
        network, (low, high), rng = random_case(kind, case)
        corners = rng.integers(0, 2, (1224, 2)) * (high - low) + low
        inputs = np.where(rng.random((1224, 1)) < 0.5, corners, rng.uniform(low, high, (1224, 2)))
        bound = exponent_bound(network, (low, high))
        negative += bound < 0.0
        chunk = forward_chunk(network, inputs, np.zeros(network.state_size))
        if not np.abs(chunk.states).max() < 1e6:
            assert bound > 0.0
            continue
        identity = np.eye(network.state_size)
        J = tangent_step(network.program, chunk.coefficients[200:], identity)
        assert growth_of_product(J) <= bound + 12.0 / len(J), (case, bound)
    assert negative or kind == "antisymmetric"


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_values_and_slopes_lie_in_their_boxes(name):
    rng, kind = np.random.default_rng(3), kind_of(name)
    ends = np.sort(rng.normal(size=(2, 500)) * rng.choice([0.1, 3.0, 300.0], 500), axis=0)
    x = np.concatenate([rng.uniform(*ends, (60, 500)), ends])
    for values, box in zip(activation(x, kind), activated(Box(*ends), kind), strict=True):
        assert np.all(values >= box.low) and np.all(values <= box.high)


def test_products_lie_in_their_boxes():
    rng = np.random.default_rng(4)
    low, high = np.sort(rng.normal(size=(2, 5)), axis=0)
    M, x = rng.normal(size=(3, 5)), rng.uniform(low, high, (500, 5))
    box = image(M, Box(low, high))
    assert np.all(x @ M.T >= box.low) and np.all(x @ M.T <= box.high)
    everything = image(
        np.array([[1.0, 0.0], [0.0, 2.0]]), Box(np.array([-np.inf, 1.0]), np.ones(2))
    )
    assert everything.low.tolist() == pytest.approx([-np.inf, 2.0])
    assert everything.high[0] == np.inf


def test_exact_where_the_jacobian_is_constant():
    values = np.array([0.9, 0.5 + 0.6j, -0.3j])
    network = Network([DiagonalStateSpace(values, None, np.ones((1, 3)))])
    assert exponent_bound(network) == pytest.approx(math.log(0.9), rel=1e-9)
    U = np.array([[0.5, 3.0], [0.0, 0.4]])
    network = Network([lyapy.Vanilla(None, U, nonlinearity="identity")])
    # the weights make the norm of a triangular matrix as small as its radius, up to 1e-8 or so
    assert math.log(0.5) <= exponent_bound(network) < math.log(0.52)


def test_diagonal_cells_have_the_largest_slope_of_a_unit():
    network = Network([Independent(np.eye(2), [0.5, -0.8], nonlinearity="tanh")])
    assert exponent_bound(network, (-1.0, 1.0)) == pytest.approx(math.log(0.8), rel=1e-9)
    network = Network([MinGRU(np.array([[2.0], [1.0]]))])
    wanted = -math.log1p(math.exp(-2.0))
    assert exponent_bound(network, (-1.0, 1.0)) == pytest.approx(wanted, rel=1e-9)


def test_a_leaky_reservoir_by_its_norm():
    U = 0.9 * np.linalg.qr(np.random.default_rng(5).normal(size=(30, 30)))[0]
    network = Network([Reservoir(np.ones((30, 1)), U, leak=0.3)])
    bound = exponent_bound(network, (-1.0, 1.0))
    assert math.log(0.7) < bound <= math.log(0.7 + 0.3 * 0.9) + 1e-9


def test_inputs_that_saturate_lower_it():
    network = Network([lyapy.Vanilla([[1.0]], [[0.5]])])
    far = exponent_bound(network, (2.0, 3.0))
    h = math.tanh(2.0)
    for _ in range(50):
        h = math.tanh(2.0 + 0.5 * h)
    # the slowest state is the fixed point at the lower end
    assert far == pytest.approx(math.log(0.5 * (1 - math.tanh(2.0 + 0.5 * h) ** 2)), abs=1e-5)


@pytest.mark.parametrize("kind", NO_BOUND)
def test_other_cells_have_no_bound(kind):
    network = lyapy.random_network(kind, 2, 1)
    with pytest.raises(ValueError, match=f"{kind} cells have no bound"):
        exponent_bound(network, (-1.0, 1.0))


NETWORK = lyapy.random_network("vanilla", 2, 2)


@pytest.mark.parametrize(
    ("network", "inputs", "message"),
    [
        (None, None, "network is a NoneType"),
        (NETWORK, None, "inputs is None, but the network reads 2"),
        (NETWORK, 1.0, r"inputs is 1.0; it must be \(low, high\)"),
        (NETWORK, (np.zeros(3), 1.0), r"shapes \(3,\) and \(\)"),
        (NETWORK, (0.0, np.inf), "low or high is not finite"),
        (NETWORK, (1.0, 0.0), "low is above high"),
        (NETWORK, ("a", 0.0), "low has dtype"),
    ],
)
def test_errors_name_the_argument(network, inputs, message):
    with pytest.raises((ValueError, TypeError), match=message):
        exponent_bound(network, inputs)
