"""Maps given as functions, and the largest exponent without Jacobians."""

import math

import numpy as np
import pytest

import lyapy
from lyapy import largest_exponent, lyapunov_spectrum
from lyapy.cells.own_map import GivenJacobian
from lyapy.spectra.uncertainty import half_width, uncertainty
from tests.support.made_networks import henon


def test_two_functions_give_the_spectrum_of_henons_map(backend):
    network, options = henon()
    options["steps"] = 20_000
    spectrum = lyapunov_spectrum(network, backend=backend, **options)
    assert np.all(np.abs(spectrum.exponents - [0.41922, -1.62319]) < 4 * spectrum.standard_error)
    assert np.all(spectrum.standard_error < 0.01)
    assert spectrum.exponents.sum() == pytest.approx(math.log(0.3), abs=1e-10)
    assert spectrum.kaplan_yorke_dimension == pytest.approx(1.2583, abs=0.01)
    assert spectrum.sum_rule_residual < 1e-10
    found = largest_exponent(network, **options)
    assert found.value == pytest.approx(spectrum.largest, abs=1e-4)


@pytest.mark.parametrize("cell", [*henon()[0].cells, GivenJacobian(2)])
def test_determinants_of_given_jacobians_are_exact(cell):
    J = np.random.default_rng(2).normal(size=(5, 3, 2, 2))
    found = cell.log_abs_det({"J": J.reshape(5, 3, 4)})
    np.testing.assert_allclose(found, np.log(np.abs(np.linalg.det(J))), rtol=1e-12)
    assert GivenJacobian(3).input_size == 9


def test_a_driven_map_reads_its_inputs():
    driven = lyapy.Map(lambda h, x: x * h, lambda h, x: np.diag(x), state_size=2, inputs=2)
    inputs = np.exp(np.random.default_rng(1).normal(size=(200, 2)))
    network = lyapy.Network([driven])
    options = {"initial_state": [1e-3, 1e-3], "frame": "identity"}
    spectrum = lyapunov_spectrum(network, inputs, **options)
    wanted = np.sort(np.log(inputs).mean(axis=0))[::-1]
    np.testing.assert_allclose(spectrum.exponents, wanted, atol=1e-12)


def test_digests_of_maps_differ():
    one = henon()[0].digest()
    other = lyapy.Map(lambda h, x: h, lambda h, x: np.eye(2), state_size=2)
    assert one == henon()[0].digest() != lyapy.Network([other]).digest()


@pytest.mark.parametrize("kind", ["vanilla", "gru", "lstm"])
def test_nearby_trajectories_agree_with_the_spectrum(kind):
    network = lyapy.random_network(kind, 10, 2, gain=2.0, bias=0.3, layers=2, seed=3)
    inputs = np.random.default_rng(4).normal(size=(1500, 2))
    spectrum = lyapunov_spectrum(network, inputs, transient=500, k=3)
    found = largest_exponent(network, inputs, transient=500)
    allowed = 3 * math.hypot(found.standard_error, spectrum.standard_error[0]) + 1e-5
    assert abs(found.value - spectrum.largest) < allowed


def test_nearby_trajectories_count_every_step_after_the_transient():
    doubling = lyapy.Network([lyapy.Map(lambda h, x: 2.0 * h, lambda h, x: [[2.0]], 1)])
    found = largest_exponent(doubling, steps=64, transient=3, initial_state=[0.0])
    assert found.value == pytest.approx(math.log(2.0), abs=1e-7)


@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("transient", [0, 3])
def test_nearby_trajectories_are_counted_row_by_row(B, shared, transient):
    """A map that multiplies by its input, so that all growth is known."""
    multiply = lyapy.Network([lyapy.Map(lambda h, x: x * h, lambda h, x: [[x[0]]], 1, inputs=1)])
    scales = np.exp(np.random.default_rng(5).normal(size=(B, 64 * 6 + 5 + transient, 1)))
    inputs = scales[0] if shared else scales
    options = {"trajectories": B} if shared else {}
    # there is none by default
    options |= {"transient": transient} if transient else {}
    found = largest_exponent(multiply, inputs, initial_state=np.zeros((B, 1)), dt=0.5, **options)
    growth = np.log(np.broadcast_to(scales[:1] if shared else scales, scales.shape))[:, transient:]
    ends = np.array([64, 128, 192, 256, 320, 384, 389])
    rows = np.add.reduceat(growth, [0, *ends[:-1]], axis=1)
    errors = uncertainty(rows, ends, shared_inputs=shared)
    assert found.value == pytest.approx(2 * growth.mean())
    assert found.standard_error == pytest.approx(2 * errors.standard_error[0])
    assert found.half_width == pytest.approx(2 * half_width(errors, 0.95)[0])


def test_nearby_trajectories_are_set_back_to_their_distance():
    seen = []

    def step(h, x):
        seen.append(h.copy())
        return np.array([3.0, 0.5]) * h

    network = lyapy.Network([lyapy.Map(step, lambda h, x: np.diag([3.0, 0.5]), 2)])
    found = largest_exponent(network, steps=200, distance=1e-3, initial_state=np.zeros(2))
    apart = np.diff(np.reshape(seen, (-1, 2, 2)), axis=1)[:, 0]
    np.testing.assert_allclose(np.linalg.norm(apart, axis=1), 1e-3, rtol=1e-12)
    # whose direction is kept, and becomes that of the first axis
    np.testing.assert_allclose(np.abs(apart[-1]), [1e-3, 0.0], atol=1e-12)
    assert (apart[:, 0] > 0.0).all() or (apart[:, 0] < 0.0).all()
    assert found.value == pytest.approx(math.log(3.0), abs=0.05)


def test_an_autonomous_network_shares_no_inputs():
    """Its trajectories count as samples: these two, from one state, hardly differ."""
    logistic = lyapy.Map(lambda h, x: 4 * h * (1 - h), lambda h, x: [[4 - 8 * h[0]]], 1)
    found = largest_exponent(lyapy.Network([logistic]), steps=512, initial_state=[[0.3], [0.3]])
    assert found.value == pytest.approx(math.log(2.0), abs=0.1)
    assert found.standard_error < 1e-3


def test_bad_arguments_are_refused():
    network = lyapy.random_network("vanilla", 3)
    with pytest.raises(ValueError, match=r"seed is -1; it must be"):
        largest_exponent(network, steps=3, seed=-1)
    for distance in (1.0, 0, -1e-7, math.nan):
        with pytest.raises(ValueError, match=r"distance is .*; it must be a small positive"):
            largest_exponent(network, steps=3, distance=distance)
    wrong = lyapy.Map(lambda h, x: h[:1], lambda h, x: np.eye(2), state_size=2)
    with pytest.raises(ValueError, match=r"step returned shape \(1,\) .* needs \(2,\) and"):
        lyapunov_spectrum(lyapy.Network([wrong]), steps=3)
    relu = lyapy.Network([lyapy.Vanilla(None, np.eye(2), [-50.0, -50.0], "relu")])
    with pytest.raises(FloatingPointError, match="became the same in step 0; give a larger"):
        largest_exponent(relu, steps=3)


@pytest.mark.parametrize("size", [1e7, 1e9])
def test_large_states_are_separated_in_proportion(size):
    """The bias moves the state far out; a distance of 1e-7 would drown in the rounding there."""
    U = np.random.default_rng(0).normal(size=(5, 5))
    U *= 0.9 / np.abs(np.linalg.eigvals(U)).max()
    network = lyapy.Network([lyapy.Vanilla(None, U, np.full(5, size), "identity")])
    found = largest_exponent(network, steps=2000, transient=200)
    assert found.value == pytest.approx(np.log(0.9), abs=1e-7)


@pytest.mark.parametrize("nonlinearity", ["identity", "relu"])
def test_weights_that_overflow_end_in_the_documented_error(nonlinearity, backend):
    U = 1e200 * np.random.default_rng(0).normal(size=(4, 4))
    network = lyapy.Network([lyapy.Vanilla(None, U, nonlinearity=nonlinearity)])
    with pytest.raises(FloatingPointError, match="diverges"):
        largest_exponent(network, steps=100)
    with pytest.raises(FloatingPointError, match="diverges"):
        lyapunov_spectrum(network, steps=100, backend=backend)
