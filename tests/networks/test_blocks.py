"""Diagonal blocks: their places and cells, and which are joined weakly."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy import cells
from lyapy.networks.apply import tangent_step
from lyapy.networks.blocks import WEAK, diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.networks.structure import component_labels, restrict
from tests.support.made_networks import masked, modular_mask

SIZES = (4, 3, 1, 2, 1)


def vanilla(U, W=None, **options):
    return lyapy.Network([lyapy.Vanilla(W, U, **options)])


def random_steps(network, *shape):
    """Return the coefficients (*shape, C) of steps from random states, and their Jacobians."""
    rng = np.random.default_rng(4)
    states = rng.normal(size=(*shape, network.state_size))
    x = rng.normal(size=(*shape, network.input_size))
    coefficients = np.zeros((*shape, 0))
    J = np.zeros((*shape, network.state_size, network.state_size))
    for at in np.ndindex(shape):
        found = forward_chunk(network, x[at][None], states[at]).coefficients[0]
        if not coefficients.size:
            coefficients = np.zeros((*shape, len(found)))
        coefficients[at], J[at] = found, lyapy.jacobian(network, states[at], x[at])
    return coefficients, J


@pytest.mark.parametrize("kind", ["vanilla", "lstm"])
def test_a_module_is_the_cell_of_its_units(kind):
    mask = modular_mask(SIZES, 3)
    network = masked(kind, mask, 3)
    (layer,) = network.cells
    n = len(mask)
    several = [b for b in diagonal_blocks(network, whole=False) if not b.decoupled]
    assert sorted(len(block.columns) for block in several) == sorted(
        size * len(layer.variables) for size in SIZES if size > 1 or kind == "lstm"
    )
    for block in several:
        (cell,) = block.cells
        units = block.columns[block.columns < n]
        rows = (np.arange(len(layer.W) // n)[:, None] * n + units).ravel()
        np.testing.assert_array_equal(cell.weights.U, layer.weights.U[np.ix_(rows, units)])
        np.testing.assert_array_equal(cell.W, layer.W[rows])
        assert cell.program == layer.program and not block.weak


def test_a_single_weight_joins_no_units():
    U = np.zeros((3, 3))
    U[2, 0] = 1.0
    assert len(set(component_labels(vanilla(U).program, {})[:3])) == 3


def test_signs_of_sparse_weights_stay_in_their_block():
    U = np.zeros((6, 6))
    U[[0, 2, 4], [2, 4, 0]], U[[1, 3, 5], [3, 5, 1]] = [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0]
    network = lyapy.Network([cells.Reservoir(None, csr_array(U), leak=0.5)])
    coefficients, J = random_steps(network, 4)
    labels = component_labels(network.program, {})
    for first in (0, 1):
        nodes = np.flatnonzero(labels == labels[first])
        program, entries = restrict(network.program, nodes, labels)
        moved = tangent_step(program, coefficients[:, entries], np.eye(3))
        np.testing.assert_array_equal(np.swapaxes(moved, 1, 2), J[:, first::2, first::2])


def test_columns_that_stand_alone_have_a_determinant():
    """Of triangular weights: for any steps, side by side or one after another."""
    network = vanilla(np.tril(np.random.default_rng(2).normal(size=(5, 5))), np.ones((5, 2)))
    (block,) = diagonal_blocks(network, whole=False)
    assert block.decoupled and block.single and not block.cells and not block.has_log_abs_det
    for shape in ((3,), (3, 2)):
        coefficients, J = random_steps(network, *shape)
        found = block.log_abs_det(block.select(coefficients))
        np.testing.assert_allclose(found, np.linalg.slogdet(J)[1], rtol=1e-12)
        dead = block.dead_directions(block.select(coefficients))
        np.testing.assert_array_equal(dead, np.zeros(shape))
    # units that keep their directions are a block, too, and have pairs that turn
    pairs = lyapy.random_network("state-space", 3, 2)
    assert [block.single for block in diagonal_blocks(pairs, whole=False)] == [False]


@pytest.mark.parametrize("gates", [1, 4])
def test_a_block_whose_zeros_leave_it_singular(gates):
    """Of units that read one unit only; in the LSTM just the output gate reads h: c is apart."""
    U = np.zeros((gates, 4, 4))
    U[-1, :3, 0], U[-1, 0, :3], U[-1, 3, 3] = 1.0, 2.0, 0.5
    cell = lyapy.LSTM(None, U.reshape(16, 4)) if gates == 4 else lyapy.Vanilla(None, U[0])
    network = lyapy.Network([cell])
    star, rest = diagonal_blocks(network, whole=False)
    assert star.columns.tolist() == [0, 1, 2]
    assert rest.columns.tolist() == list(range(3, network.state_size))
    coefficients, J = random_steps(network, 2)
    found = tangent_step(star.program, star.select(coefficients[0]), np.eye(3)).T
    np.testing.assert_allclose(found, J[0, :3, :3])
    assert np.linalg.matrix_rank(found) == 2
    assert star.dead_directions(star.select(coefficients)).tolist() == [1, 1]
    assert rest.dead_directions(rest.select(coefficients)).tolist() == [0, 0]


@pytest.mark.parametrize(("back", "weak"), [(1.01 * WEAK, False), (0.99 * WEAK, True)])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("n", [2, 3])
def test_blocks_joined_by_small_weights_are_weak(back, weak, apart, n):
    """A chain that leads back, alone or after a module that is joined well."""
    U = np.eye(n) + np.eye(n, k=-1)
    U[0, -1] = back
    if apart:
        U = np.block([[np.full((2, 2), 0.3), np.zeros((2, n))], [np.ones((n, 2)), U]])
    blocks = diagonal_blocks(vanilla(U), whole=False)
    assert [block.weak for block in blocks] == [False] * apart + [weak]
    # units joined by weights below their share are one component, or as many as units
    (whole,) = diagonal_blocks(vanilla(U), whole=True)
    counts = [len(np.unique(component_labels(whole.program, {}, least))) for least in (0.0, WEAK)]
    assert counts == [1 + apart, (n if weak else 1) + apart]


def test_weights_of_any_value_but_zero_join():
    U = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.5]])
    network = vanilla(U, nonlinearity="identity")
    blocks = diagonal_blocks(network, whole=False)
    assert [block.columns.tolist() for block in blocks] == [[0, 1], [2]]
    restricted = blocks[0].program
    coefficients, J = random_steps(network, 1)
    found = tangent_step(restricted, blocks[0].select(coefficients[0]), np.eye(2)).T
    np.testing.assert_array_equal(found, J[0, :2, :2])


def test_a_constant_coefficient_of_zero_joins_nothing():
    """Oscillators that nothing pulls back: their places do not act on their speeds."""
    U = np.random.default_rng(6).normal(size=(3, 3))
    for gamma, sizes in ((0.5, [6]), (0.0, [3, 3])):
        cell = cells.CoRNN(None, np.zeros((3, 3)), U, dt=0.1, gamma=gamma, epsilon=0.2)
        blocks = diagonal_blocks(lyapy.Network([cell]), whole=False)
        assert [len(block.columns) for block in blocks] == sizes


def test_structure_is_found_once_and_again_where_weights_change():
    network = lyapy.random_network("vanilla", 4, seed=1)
    before, again = (diagonal_blocks(network, whole=False, tolerance=1e-8) for _ in range(2))
    assert before[0] is again[0]
    network.cells[0].weights.U[:2, 2:] = 0.0
    after = diagonal_blocks(network, whole=False, tolerance=1e-8)
    assert [block.columns.tolist() for block in after] == [[0, 1], [2, 3]]


@pytest.mark.parametrize("copied", [deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_network_is_copied_after_a_run_as_before(copied):
    network = lyapy.random_network("vanilla", 4, seed=1)
    fresh = len(pickle.dumps(network))
    before = lyapy.lyapunov_spectrum(network, steps=70)
    after = lyapy.lyapunov_spectrum(copied(network), steps=70)
    np.testing.assert_array_equal(after.exponents, before.exponents)
    # the weights and the program, but no tables of the engine
    assert len(pickle.dumps(network)) < fresh + 2000


@pytest.mark.parametrize("frame", ["random", np.eye(4)])
def test_a_run_reads_the_weights_that_the_network_has_now(frame):
    network, other = (lyapy.random_network("vanilla", 4, seed=seed) for seed in (1, 2))
    options = {"steps": 20, "frame": frame, "initial_state": np.ones(4), "interval": 1}
    lyapy.lyapunov_spectrum(network, **options)
    network.cells[0].weights.U[...] = other.cells[0].weights.U
    network.cells[0].b[...] = other.cells[0].b
    found, wanted = (lyapy.lyapunov_spectrum(n, **options) for n in (network, other))
    np.testing.assert_allclose(found.exponents, wanted.exponents, rtol=1e-12)
