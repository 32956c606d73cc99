"""Checks of every run: each passes sound runs, and fails where it must."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

import lyapy
from lyapy.cells import Reservoir
from lyapy.networks.blocks import diagonal_blocks
from lyapy.networks.forward import forward_chunk
from lyapy.tangent import engine as engines
from lyapy.tangent.norm_bounds import SAMPLED, NormBounds, frame_error, log_norm_bound
from lyapy.tangent.reference import ArrayTangent
from tests.conftest import mixed_stack, orbit_jacobians
from tests.support.made_spectra import made


def driven(network, steps=60):
    rng = np.random.default_rng(1)
    return rng.normal(size=(steps, network.input_size)), rng.normal(size=network.state_size)


def singular_values(network, inputs, state):
    return np.linalg.svd(orbit_jacobians(network, inputs, state), compute_uv=False)


def assert_bounds(network, inputs, state):
    """The bounds hold at every step, and are within a factor of the truth that is not idle."""
    chunk = forward_chunk(network, inputs, state)
    (block,) = diagonal_blocks(network, whole=len(network.cells) > 1, tolerance=1e-8)
    logs = np.log(singular_values(network, inputs, state))
    upper = log_norm_bound(block.program, chunk.coefficients)
    assert np.all(upper >= logs[:, 0] - 1e-12)
    assert np.all(upper <= logs[:, 0] + 4.0)
    if block.inverse is not None:
        inverse = block.inverse_coefficients(chunk.coefficients)
        lower = -log_norm_bound(block.inverse_program, inverse)
        assert np.all(lower <= logs[:, -1] + 1e-12)
        assert np.all(lower >= logs[:, -1] - 14.0)


@pytest.mark.parametrize("gain", [0.5, 3.0])
def test_norms_are_bounded(kind, gain):
    network = lyapy.random_network(kind, 6, 2, gain=gain, bias=0.5, seed=3)
    assert_bounds(network, *driven(network))


def test_norms_of_a_whole_stack_are_bounded():
    network = mixed_stack(["vanilla", "lstm", "gru-reset-before"])
    assert_bounds(network, *driven(network))


def test_a_sparse_network_keeps_within_its_bounds(backend):
    U = 2.0 * scipy.sparse.random_array((40, 40), density=0.1, rng=1)
    network = lyapy.Network([Reservoir(np.ones((40, 2)), U)])
    inputs, _ = driven(network, 300)
    spectrum = lyapy.lyapunov_spectrum(network, inputs, k=5, backend=backend)
    assert spectrum.norm_excess.max() < 0.0


def test_jacobians_beyond_the_range_of_squares_are_bounded():
    network = lyapy.Network([lyapy.Map(lambda h, x: h, lambda h, x: [[1.0]], 1)])
    (block,) = diagonal_blocks(network, whole=False)
    J = np.array([[1e-200], [0.0], [1e200], [-3.0]])
    upper = log_norm_bound(block.program, J)
    np.testing.assert_allclose(upper[3], np.log(3.0))
    assert upper[2] == np.inf
    assert np.all(upper[:2] >= -460.0) and np.all(upper[:2] <= -345.0)


@pytest.mark.parametrize(
    ("kind", "two_ended"), [("vanilla", True), ("gru", False), ("lstm", True), ("lstm", False)]
)
def test_a_sound_run_passes(kind, backend, two_ended):
    network = lyapy.random_network(kind, 12, 2, gain=2.0, bias=0.5, seed=5)
    inputs, _ = driven(network, 300)
    options = {"transient": 100, "backend": backend, "two_ended": two_ended}
    spectrum = lyapy.lyapunov_spectrum(network, inputs, **options)
    assert np.all(spectrum.norm_excess < 0.0)
    assert np.all(np.isfinite(spectrum.norm_excess))
    assert 0.0 < spectrum.frame_error.max() < 1e-4
    assert spectrum.status.code != "failed check"


def test_growth_may_reach_its_bounds(backend):
    """A scaled orthogonal map grows all vectors as its norm says, no more."""
    U = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    J = np.broadcast_to(0.5 * U, (200, 6, 6))
    network = lyapy.Network([lyapy.Vanilla(None, 0.5 * U, nonlinearity="identity")])
    spectrum = lyapy.lyapunov_spectrum(network, steps=200, backend=backend)
    assert spectrum.norm_excess.max() == pytest.approx(-np.log(6) / 64, abs=1e-9)
    one = lyapy.spectrum_of_jacobians(J[:, :1, :1], backend=backend)
    assert one.norm_excess.max() == pytest.approx(0.0, abs=1e-15)
    assert one.status.code != "failed check"


def test_dead_directions_pass(backend):
    network = lyapy.random_network("vanilla", 6, 2, nonlinearity="relu", bias=0.3, seed=2)
    inputs, _ = driven(network, 300)
    spectrum = lyapy.lyapunov_spectrum(network, inputs, backend=backend)
    assert np.isneginf(spectrum.exponents).any()
    assert spectrum.norm_excess.max() < 0.0
    assert spectrum.status.code != "failed check"


def faulty(monkeypatch, fault):
    """Make the reference engine go wrong: ``fault(growth, carry)`` returns its growth."""

    class Faulty(ArrayTangent):
        def advance(self, coefficients, ends, alive, carry, control):
            growth = super().advance(coefficients, ends, alive, carry, control)
            return fault(growth, carry)

    engine = engines.choose_engine("numpy")._replace(tangent=Faulty)
    monkeypatch.setattr("lyapy.tangent.engine.choose_engine", lambda *a: engine)
    network = lyapy.random_network("gru", 5, 2, gain=1.5, bias=0.5, seed=5)
    inputs, _ = driven(network, 700)
    return lyapy.lyapunov_spectrum(network, inputs, transient=100)


def test_growth_above_the_norm_is_found(monkeypatch):
    status = faulty(monkeypatch, lambda growth, carry: growth + 64 * 5.0).status
    assert status.code == "failed check"
    assert "growth exceeds its bounds by the norms" in status.advice


def test_growth_below_the_norm_of_the_inverse_is_found():
    network = lyapy.random_network("lstm", 4, 2, seed=5)
    inputs, state = driven(network, 128)
    (block,) = diagonal_blocks(network, whole=False, tolerance=1e-8)
    chunk = forward_chunk(network, inputs, state)
    ends = np.array([64, 128])
    growth = np.log(singular_values(network, inputs, state)).reshape(2, 64, -1).sum(axis=1)
    bounds = NormBounds(block)
    assert bounds.excess(chunk.coefficients, ends, growth) < 0.0
    fallen = growth - 64 * np.array([[0.0], [30.0]])
    # one tile in so many is looked at, from number 0 on
    assert bounds.excess(chunk.coefficients, ends, fallen, SAMPLED - 1) > 10.0
    assert bounds.excess(chunk.coefficients, ends, fallen, 0) < 0.0
    assert bounds.excess(chunk.coefficients, ends, fallen, 1) == -np.inf
    # dead directions are no growth, and a cell without an inverse has no lower bound
    fallen[1] = -np.inf
    assert bounds.excess(chunk.coefficients, ends, fallen, SAMPLED - 1) < 0.0
    (alone,) = diagonal_blocks(network, whole=False)
    assert NormBounds(alone).excess(chunk.coefficients, ends, growth - 64 * 30.0) < 0.0


def test_a_frame_that_is_not_orthonormal_is_found(monkeypatch):
    def shear(growth, carry):
        carry.state.frame[1] += 0.02 * carry.state.frame[0]
        return growth

    spectrum = faulty(monkeypatch, shear)
    assert spectrum.frame_error.max() == pytest.approx(0.02, rel=0.1)
    assert spectrum.status.code == "failed check"
    assert "not orthonormal by 0.02" in spectrum.status.advice
    final = spectrum.final_frame[0]
    np.testing.assert_allclose(final @ final.T, np.eye(5), atol=1e-14)


def test_a_sum_that_is_not_the_determinants_is_found(monkeypatch):
    status = faulty(monkeypatch, lambda growth, carry: growth + 64 * 1e-6).status
    assert status.code == "failed check"
    assert "the sum of the exponents is not the mean log|det J|" in status.advice


def test_a_failed_check_comes_before_all_else():
    spectrum = replace(made([0.5, -1.0], unresolved=[1]), norm_excess=np.array([[-1.0], [2e-7]]))
    assert spectrum.status.code == "failed check"
    assert "an upper bound" in spectrum.status.advice
    slight = replace(spectrum, norm_excess=np.full((2, 1), 0.5e-7))
    assert slight.status.code == "unresolved tail"


def test_the_error_of_a_frame():
    assert frame_error(np.eye(3)[:2]) == 0.0
    assert frame_error(np.zeros((0, 3))) == 0.0
    assert frame_error(np.array([[1.0, 0.0], [0.25, 0.5]])) == 0.6875


def test_rows_that_are_not_resolved_do_not_spoil_the_frame():
    """A fixed interval that is too long leaves rows of noise, which `resolved` shows already."""
    network = lyapy.random_network("vanilla", 24, 3, gain=1.5, bias=0.5, seed=1)
    inputs, _ = driven(network, 1000)
    with pytest.warns(RuntimeWarning, match="interval=10 is too long"):
        spectrum = lyapy.lyapunov_spectrum(network, inputs, transient=100, interval=10)
    assert not spectrum.resolved.all()
    assert spectrum.status.code != "failed check"


def test_a_state_that_is_infinite_in_between_is_found(backend):
    """The map sends infinity back to zero: the last state of the chunk is finite again."""
    step = lambda h, x: [np.inf if x[0] else 0.5 / (1.0 + h[0])]  # noqa: E731
    network = lyapy.Network([lyapy.Map(step, lambda h, x: [[0.5]], 1, inputs=1)])
    inputs = np.zeros((100, 1))
    inputs[71] = 1.0
    with pytest.raises(FloatingPointError, match="0: the state is not finite after step 71:"):
        lyapy.lyapunov_spectrum(network, inputs, transient=10, backend=backend)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_jacobian_that_is_not_finite_is_found(backend, value):
    jacobian = lambda h, x: np.eye(2) + (value if x[0] else 0.0)  # noqa: E731
    faulty = lyapy.Map(lambda h, x: h, jacobian, 2, inputs=1)
    inputs = np.zeros((3, 200, 1))
    inputs[2, 150] = 1.0

    with pytest.raises(FloatingPointError, match=r"trajectory 2: the Jacobian .* in step 150:"):
        lyapy.lyapunov_spectrum(lyapy.Network([faulty]), inputs, transient=10, backend=backend)


def test_the_step_in_which_one_jacobian_is_too_large(backend):
    J = np.broadcast_to(np.eye(2), (300, 2, 2)).copy()
    # so large that no vector but those along the axes has a finite image
    J[217] = np.finfo(float).max * np.array([[1.0, 1.0], [1.0, -1.0]])
    with pytest.raises(FloatingPointError, match="overflow in step 217: one Jacobian exceeds"):
        lyapy.spectrum_of_jacobians(J, transient=10, backend=backend)


# vectors overflow at 10^308.3, and in the compiled engine their squares at 10^154.1
@pytest.mark.parametrize(
    ("interval", "backend", "step"), [(400, "numpy", 708), (400, "numba", 708), (200, "numba", 554)]
)
def test_the_step_in_which_a_long_interval_overflows(interval, backend, step):
    """Growth of log 10 a step begins with the second interval."""
    J = np.broadcast_to(np.eye(3), (1200, 3, 3)).copy()
    J[400:] *= 10.0
    with pytest.raises(FloatingPointError, match=f"overflow in step {step}; use a shorter"):
        lyapy.spectrum_of_jacobians(J, interval=interval, backend=backend)
