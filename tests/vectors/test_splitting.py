"""Splitting angles by two frames agree with the covariant vectors; programs transposed."""

import warnings

import numpy as np
import pytest

import lyapy
from lyapy.networks.apply import tangent_step
from lyapy.networks.forward import forward_chunk
from lyapy.networks.transposed import transposed
from lyapy.vectors.images import images_of
from tests.support.made_networks import henon


@pytest.mark.parametrize("layers", [1, 2])
def test_programs_are_transposed(kind, layers):
    network = lyapy.random_network(kind, 6, 3, layers=layers, seed=1)
    rng = np.random.default_rng(0)
    state, x = rng.normal(size=network.state_size), rng.normal(size=(3, 3))
    coefficients = forward_chunk(network, x, state).coefficients
    identity = np.eye(network.state_size)
    J, back = (
        tangent_step(program, coefficients[1], identity)
        for program in (network.program, transposed(network.program))
    )
    np.testing.assert_allclose(back, J.T, atol=1e-13)
    by_engine = images_of(transposed(network.program), len(identity))(coefficients[1:2], identity)
    np.testing.assert_allclose(by_engine, J.T, atol=1e-13)


def test_given_jacobians_are_transposed():
    J = np.random.default_rng(0).normal(size=(5, 5))
    program = lyapy.Network([lyapy.Map(lambda h, x: h, lambda h, x: J, 5)]).program
    np.testing.assert_array_equal(tangent_step(transposed(program), J.ravel(), np.eye(5)), J)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("vanilla", {"gain": 2.0}), ("gru", {"layers": 2, "gain": 2.0}), ("lstm", {"gain": 2.0})],
)
def test_both_algorithms_agree(kind, options):
    network = lyapy.random_network(kind, 8, 2, seed=2, **options)
    inputs = np.random.default_rng(0).normal(size=(4500, 2))
    D = network.state_size
    at, j = range(2500, 2700, 20), [1, 3, D // 2]
    vectors = lyapy.covariant_vectors(network, inputs, transient=2400, at=at)
    with warnings.catch_warnings():
        # an angle between close exponents takes longer
        warnings.simplefilter("ignore", RuntimeWarning)
        angles = lyapy.splitting_angles(network, inputs, transient=2400, at=at, j=j)
    assert angles.shape == (10, 3)
    wanted = np.stack([vectors.splitting_angle(each) for each in j], axis=1)
    known = np.isfinite(wanted + angles)
    assert np.count_nonzero(known.any(axis=0)) >= 2
    np.testing.assert_allclose(angles[known], wanted[known], atol=1e-7)


def test_angles_of_henons_map_agree():
    network, options = henon()
    options |= {"steps": 1000, "backward_transient": 100}
    angles = lyapy.splitting_angles(network, j=1, **options)
    vectors = lyapy.covariant_vectors(network, **options)
    np.testing.assert_allclose(angles[:, 0], vectors.angle(0, 1), atol=1e-7)


def test_angles_that_have_not_converged_are_missing():
    network = lyapy.random_network("vanilla", 16, gain=2.0, seed=1)
    with pytest.warns(RuntimeWarning, match="angles have not converged and are NaN"):
        angles = lyapy.splitting_angles(network, steps=600, transient=300, j=[8])
    assert np.isnan(angles[-1, 0]) and np.isfinite(angles[0, 0])


def test_impossible_splittings_are_refused():
    network = lyapy.random_network("vanilla", 4)
    with pytest.raises(ValueError, match="j is 4; it must be a whole number from 1 to 3"):
        lyapy.splitting_angles(network, steps=90, j=4)
    products = lyapy.Map(lambda h, x: h, products=lambda h, x, Q: Q, state_size=2)
    with pytest.raises(ValueError, match="known by its products Q Jᵀ alone"):
        lyapy.splitting_angles(lyapy.Network([products]), steps=90, j=1)
