"""Sparse recurrent weights: the same numbers, fewer multiplications."""

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

import lyapy
from lyapy import cells
from lyapy.cells.sparse import as_weight, product
from lyapy.networks.blocks import diagonal_blocks
from lyapy.tangent.compiled.plan import SPARSE, make_plan
from lyapy.tangent.compiled.simd.tiles import PANEL


@pytest.mark.parametrize("k", [1, 5, 20, 40])
def test_a_sparse_weight_is_a_dense_one_with_zeros(k, backend):
    rng = np.random.default_rng(12)
    U = rng.normal(size=(40, 40)) * (rng.random((40, 40)) < 0.2)
    # rows without any number, among them the last
    U[[3, 39]] = 0.0
    W, inputs = rng.normal(size=(40, 2)), rng.normal(size=(150, 2))
    dense, sparse = (
        lyapy.lyapunov_spectrum(
            lyapy.Network([cells.Reservoir(W, u, leak=0.4)]),
            inputs, k=k, frame="identity", backend=backend,
        )
        for u in (U, csr_array(U))
    )  # fmt: skip
    np.testing.assert_allclose(sparse.growth, dense.growth, atol=1e-8)
    np.testing.assert_allclose(sparse.final_state, dense.final_state, atol=1e-13)


def test_a_sparse_weight_need_not_be_square():
    rng = np.random.default_rng(13)
    matrix = rng.normal(size=(5, 3)) * (rng.random((5, 3)) < 0.6)
    x = rng.normal(size=(2, 4, 3))
    found = product(x, as_weight(csr_array(matrix), "U", (5, 3)))
    np.testing.assert_allclose(found, x @ matrix.T, rtol=1e-13, atol=1e-15)


def test_sparse_weights_may_have_factors_on_both_sides(backend):
    """As `dh' = l dh + f U s dh`, with two sparse products into the same columns."""

    class TwoSided(cells.Reservoir):
        program = "dh' = l dh + s U dh + l U s dh"

    rng = np.random.default_rng(13)
    U = rng.normal(size=(20, 20)) * (rng.random((20, 20)) < 0.3)
    inputs = np.zeros((80, 0))
    spectra = [
        lyapy.lyapunov_spectrum(
            lyapy.Network([TwoSided(None, u, rng.normal(size=20) * 0 + 0.3, leak=0.4)]),
            steps=len(inputs), frame="identity", backend=backend,
        )
        for u in (U, csr_array(U))
    ]  # fmt: skip
    np.testing.assert_allclose(spectra[0].growth, spectra[1].growth, atol=1e-8)


def large_reservoir(density):
    rng = np.random.default_rng(15)
    U = random_array((5000, 5000), density=density, rng=rng, data_sampler=rng.normal)
    return lyapy.Network([cells.Reservoir(rng.normal(size=(5000, 2)), 0.1 * U, leak=0.5)])


@pytest.mark.parametrize("density", [0.0025, 0.005, 0.01, 0.02])
def test_a_large_reservoir_multiplies_only_its_numbers(density):
    """One for each vector and number that is not zero, and as many in the forward pass."""
    network = large_reservoir(density)
    # of the sparsest a few units read no others, or are not read
    block, *rest = diagonal_blocks(network, whole=False)
    left_out = 5000 - len(block.columns)
    assert left_out <= 3 and len(rest) == bool(left_out)
    plan = make_plan(block.program, True)
    assert plan.instructions["op"].tolist() == [SPARSE]
    assert 0 <= round(density * 5000**2) - len(plan.sparse_values) <= 40 * left_out
    assert len(network.cells[0].weights.U.values) == round(density * 5000**2)
    # no dense matrix, but room for the vectors that are multiplied together
    assert plan.weights.size == 0
    assert plan.merged_size == PANEL * len(block.columns)


def test_a_large_reservoir_has_finite_exponents():
    network, rng = large_reservoir(0.01), np.random.default_rng(16)
    found = lyapy.lyapunov_spectrum(network, rng.normal(size=(20, 2)), k=20)
    assert np.isfinite(found.exponents).all()
