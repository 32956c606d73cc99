"""Reducible layers: zeros of the weights that make the Jacobian block triangular."""

import warnings

import mpmath
import numpy as np
import pytest
from scipy.sparse import csr_array

import lyapy
from lyapy.errors import Interrupted
from lyapy.networks.apply import tangent_step
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.networks.structure import generic_rank, vanishing
from lyapy.runs import schedule
from lyapy.spectra.text import spectrum_table
from tests.support.made_checkpoints import interrupt_after
from tests.support.made_networks import masked, modular_mask
from tests.support.precise import precise_growth, precise_jacobians

ENGINES = ("numba", "numpy")
SIZES = (4, 3, 1, 1, 2, 1)


def reference(J):
    """Return the growth of precise Jacobians (T, D, D), each irreducible block by itself."""
    reach = np.any([j != 0 for j in J], axis=0) | np.eye(len(J[0]), dtype=bool)
    for _ in range(len(reach)):
        reach = reach @ reach
    both = reach & reach.T
    groups = {tuple(np.flatnonzero(row)) for row in both}
    growth = [precise_growth([j[np.ix_(group, group)] for j in J]) for group in groups]
    return np.sort(np.concatenate(growth))[::-1], len(groups)


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("kind", ["vanilla", "gru", "gru-reset-before", "lstm"])
def test_each_block_of_a_reducible_layer_is_exact(kind, backend):
    seed = 2
    network = masked(kind, modular_mask(SIZES, seed), seed)
    x = np.random.default_rng(seed).normal(size=(40, 2))
    found = lyapy.lyapunov_spectrum(network, x, frame="identity", backend=backend)
    with mpmath.workdps(50):
        ((J,),) = [precise_jacobians(network, x, backend)]
        wanted, groups = reference(J)
    assert groups > 3
    np.testing.assert_allclose(40 * found.exponents, wanted, atol=1e-6)
    assert found.resolved.all()
    part = lyapy.lyapunov_spectrum(network, x, k=3, frame="identity", backend=backend)
    assert part.growth.shape[2] > 3
    living = part.order[:1]
    np.testing.assert_allclose(part.exponents[:1], part.growth[0, :, living].sum() / 40)


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_exponents_of_a_chain_are_means_of_its_slopes(backend, permuted, sparse):
    n = 12
    rng = np.random.default_rng(0)
    U, W = 0.5 * np.eye(n) + np.eye(n, k=-1), rng.normal(size=(n, 2))
    order = rng.permutation(n) if permuted else np.arange(n)
    U, W, x = U[np.ix_(order, order)], W[order], rng.normal(size=(3000, 2))
    cell = lyapy.cells.Reservoir(W, csr_array(U), leak=1.0) if sparse else lyapy.Vanilla(W, U)
    h = forward_chunk(lyapy.Network([cell]), x, np.zeros(n)).states
    exact = np.sort(np.log(0.5 * (1.0 - h**2)).mean(axis=0))[::-1]
    found = lyapy.lyapunov_spectrum(lyapy.Network([cell]), x, backend=backend)
    np.testing.assert_allclose(found.exponents, exact, atol=1e-12)
    assert found.resolved.all()
    assert found.settings["blocks"] == 1


def test_a_matrix_of_rows_that_underflow_is_exact():
    """Upper triangular with large couplings: the exponents are the diagonal's."""
    U = np.array([[0.9, 1e8, 0.0], [0.0, 0.5, 1e8], [0.0, 0.0, 0.3]])
    network = lyapy.Network([lyapy.Vanilla(None, U, nonlinearity="identity")])
    found = lyapy.lyapunov_spectrum(network, steps=500)
    np.testing.assert_allclose(found.exponents, np.log([0.9, 0.5, 0.3]), atol=1e-12)
    tiny = lyapy.Network([lyapy.Vanilla(None, np.diag([1.0, 1e-16]), nonlinearity="identity")])
    found = lyapy.lyapunov_spectrum(tiny, steps=500)
    np.testing.assert_allclose(found.exponents, [0.0, np.log(1e-16)], atol=1e-12)


@pytest.mark.parametrize(
    "kind", ["vanilla", "gru", "gru-reset-before", "lstm", "rate", "antisymmetric", "stack"]
)
def test_blocks_are_cut_out_of_the_jacobian(kind):
    """Their programs and stages give its diagonal blocks; the rest is triangular."""
    rng = np.random.default_rng(3)
    mask = modular_mask(SIZES, 3)
    if kind in ("rate", "antisymmetric"):
        (cell,) = lyapy.random_network(kind, len(mask), 2, seed=1).cells
        if kind == "antisymmetric":
            mask = mask & mask.T
        changed = cell.arguments | {"U": cell.arguments["U"] * mask}
        network = lyapy.Network([type(cell)(**changed)])
    else:
        network = masked("lstm" if kind == "stack" else kind, mask, 3)
    if kind == "stack":
        (above,) = network.cells
        wide = type(above)(rng.normal(size=(len(above.W), len(mask))), above.weights.U, above.b)
        network = lyapy.Network([*masked("gru", mask, 3).cells, wide])
    state, x = rng.normal(size=network.state_size), rng.normal(size=2)
    J = lyapy.jacobian(network, state, x)
    coefficients = forward_chunk(network, x[None], state).coefficients[0]
    blocks = diagonal_blocks(network, whole=False)
    assert len(blocks) > 2
    seen = np.concatenate([block.columns for block in blocks])
    assert sorted(seen) == list(range(network.state_size))
    for block in blocks:
        program, own = block.program, block.select(coefficients)
        wanted = J[np.ix_(block.columns, block.columns)]
        if block.decoupled:
            wanted = np.diag(np.diagonal(wanted))
        for stages in filter(None, ((program,), program.stages)):
            product = np.eye(program.state_size)
            for stage in stages:
                product = tangent_step(stage, own, product)
            np.testing.assert_allclose(product.T, wanted, atol=1e-14)


def test_a_reducible_closed_loop_agrees_with_its_network():
    """Modules that hold their inputs: as many dead directions as inputs, and none more."""
    rng = np.random.default_rng(5)
    mask = np.kron(np.eye(2), np.ones((3, 3)))
    W = np.kron(np.eye(2), rng.normal(size=(3, 1)))
    layer = lyapy.Network([lyapy.Vanilla(W, 1.4 * rng.normal(size=(6, 6)) * mask)])
    R = np.kron(np.eye(2), rng.normal(size=(1, 3)))
    loop = lyapy.ClosedLoop(layer, R)
    start = rng.normal(size=6)
    found = lyapy.lyapunov_spectrum(loop, steps=300, initial_state=start, frame="identity")
    assert found.settings["blocks"] == 2
    whole = layer.cells[0].weights.U + W @ R
    alone = lyapy.Network([lyapy.Vanilla(None, whole)])
    same = lyapy.lyapunov_spectrum(alone, steps=300, initial_state=start, frame="identity")
    np.testing.assert_allclose(found.exponents, same.exponents, atol=1e-6)


@pytest.mark.parametrize("through", [False, True])
def test_rank_that_the_zeros_allow(through):
    """A loop's input that is a function of the new state adds no rank, one read directly does."""
    rng = np.random.default_rng(5)
    values = 0.5 * np.exp(1j * np.arange(1, 4))
    B = rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2))
    C = rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3))
    D = rng.normal(size=(4, 2)) if through else None
    cell = lyapy.cells.DiagonalStateSpace(values, B, C, D)
    loop = lyapy.ClosedLoop(lyapy.Network([cell]), rng.normal(size=(2, 4)))
    (block,) = diagonal_blocks(loop, whole=False)
    J = lyapy.jacobian(loop, rng.normal(size=8))
    assert generic_rank(block.program) == np.linalg.matrix_rank(J) == 6 + 2 * through


@pytest.mark.parametrize("kind", ["vanilla", "gru", "lstm"])
def test_a_run_of_many_blocks_continues_bit_for_bit(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    network = masked(kind, modular_mask(SIZES, 1), 1)
    x = np.random.default_rng(1).normal(size=(300, 2))
    path, options = tmp_path / "run.h5", {"k": 6, "record": ("growth", "frames")}
    whole = lyapy.lyapunov_spectrum(network, x, k=6)
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        with pytest.raises(Interrupted):
            lyapy.lyapunov_spectrum(network, x, checkpoint=path, **options)
    found = lyapy.lyapunov_spectrum(network, x, checkpoint=path, **options)
    np.testing.assert_array_equal(found.growth, whole.growth)
    np.testing.assert_array_equal(found.final_frame, whole.final_frame)
    assert found.settings["blocks"] == found.intervals.shape[1] > 2
    assert "diagonal blocks of the Jacobian" in spectrum_table(found)
    # each vector stands in the columns of its block
    np.testing.assert_allclose(np.linalg.norm(found.final_frame[0], axis=1), 1.0, atol=1e-7)


def test_a_stack_has_the_blocks_of_its_reducible_layers():
    mask = modular_mask(SIZES, 4)
    below, above = (masked(kind, mask, 2).cells[0] for kind in ("vanilla", "gru"))
    above = type(above)(np.ones((len(above.W), len(mask))), above.weights.U, above.b)
    x = np.random.default_rng(1).normal(size=(100, 2))
    stack = lyapy.Network([below, above])
    found = lyapy.lyapunov_spectrum(stack, x, frame="identity")
    y = forward_chunk(lyapy.Network([below]), x, np.zeros(len(mask))).states
    layers = [
        lyapy.lyapunov_spectrum(lyapy.Network([cell]), inputs, frame="identity")
        for cell, inputs in ((below, x), (above, y))
    ]
    wanted = np.sort(np.concatenate([layer.exponents for layer in layers]))[::-1]
    np.testing.assert_allclose(found.exponents, wanted, atol=1e-10)
    assert found.settings["blocks"] == sum(layer.settings["blocks"] for layer in layers)


def test_weak_couplings_are_weak_in_their_row():
    """A small row is none, as rounding in it is small, too; next to a unit's own 1 it is one."""
    U = np.random.default_rng(1).normal(size=(4, 4))
    rows = np.logspace(-12, 12, 4)[:, None] * U
    for weights in (rows, csr_array(rows)):
        network = lyapy.Network([lyapy.cells.Reservoir(None, weights, leak=1.0)])
        (block,) = diagonal_blocks(network, whole=False)
        assert not block.weak
        leaky = lyapy.Network([lyapy.cells.Reservoir(None, weights, leak=0.5)])
        (block,) = diagonal_blocks(leaky, whole=False)
        assert block.weak
    U[0, 1:] *= 1e-8
    (block,) = diagonal_blocks(lyapy.Network([lyapy.Vanilla(None, U)]), whole=False)
    assert block.weak


def test_zero_rows_and_columns_of_a_program():
    """As those of the Jacobian, through auxiliary variables and given matrices."""
    rng = np.random.default_rng(4)
    kinds = {"gate": "hard-sigmoid", "nonlinearity": "relu"}
    for kind in ("gru-variant", "gru-reset-before-variant", "lstm-variant", "shallow-plrnn"):
        options = kinds if "variant" in kind else {}
        network = lyapy.random_network(kind, 5, 0, gain=6.0, bias=4.0, seed=3, **options)
        states = rng.normal(size=(40, network.state_size))
        values = [forward_chunk(network, np.zeros((1, 0)), h).coefficients[0] for h in states]
        J = np.stack([lyapy.jacobian(network, h) for h in states])
        empty = [np.sum(~J.any(axis=axis), axis=-1) for axis in (1, 2)]
        found = vanishing(network.program, np.stack(values))
        np.testing.assert_array_equal(found, np.maximum(*empty))
        assert found.any() or kind == "shallow-plrnn"
    given = lyapy.Map(lambda h, x: h, lambda h, x: np.diag([0.0, 1.0, 0.0]), 3)
    values = forward_chunk(lyapy.Network([given]), np.zeros((1, 0)), np.ones(3)).coefficients
    assert vanishing(lyapy.Network([given]).program, values).tolist() == [2]


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("coupling", [1e-9, 1e-13, 1e-16])
def test_a_chain_that_is_almost_reducible_is_right_or_marked(coupling, backend):
    """The last unit feeds the first one so weakly that rounding couples them as much."""
    n, rng = 5, np.random.default_rng(1)
    U, W = 0.5 * np.eye(n) + np.eye(n, k=-1), rng.normal(size=(n, 2))
    U[0, -1] = coupling
    x = rng.normal(size=(250, 2))
    network = lyapy.Network([lyapy.Vanilla(W, U)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = lyapy.lyapunov_spectrum(network, x, frame="identity", backend=backend)
    with mpmath.workdps(250):
        exact = precise_growth(precise_jacobians(network, x, backend)[0])
    error = np.abs(found.growth[0].sum(axis=0) - exact) / len(x)
    assert np.all(error <= np.maximum(1e-7, 3.0 * found.numerical_error[0]))
