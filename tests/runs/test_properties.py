"""Properties of the spectrum of any product of matrices, tried on random ones."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lyapy
from lyapy import spectrum_of_jacobians
from lyapy.runs.result import collect
from lyapy.spectra import measures

few = settings(max_examples=25, derandomize=True, deadline=None)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)
lengths = st.integers(1, 150)


def random_products(seed, D, steps):
    return np.random.default_rng(seed).normal(size=(steps, D, D)) / math.sqrt(D)


def graded_products(seed, D, steps):
    """Matrices whose frames forget their beginning: growths of about 0, −1, −2, …"""
    rng = np.random.default_rng(seed)
    return np.diag(np.exp(-np.arange(D))) + 0.05 * rng.normal(size=(steps, D, D)) / D


def orthogonal(seed, D):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(D, D)))[0]


def growth(J, **options):
    """Sum of the growth of each row, with rounding errors far below the tests'."""
    options = {"frame": "identity", "backend": "numpy", "tolerance": 1e-12} | options
    return spectrum_of_jacobians(J, **options).growth.sum(axis=1)[0]


@few
@given(seeds, sizes, lengths, st.floats(1e-3, 1e3))
def test_scaling_adds_its_logarithm(seed, D, steps, scale):
    J = random_products(seed, D, steps)
    wanted = growth(J) + steps * math.log(scale)
    np.testing.assert_allclose(growth(scale * J), wanted, rtol=1e-10, atol=1e-7)


@few
@given(seeds, sizes, lengths)
def test_orthogonal_coordinates_change_nothing(seed, D, steps):
    J, V = random_products(seed, D, steps), orthogonal(seed, D)
    turned = growth(V @ J @ V.T, frame=V.T)
    np.testing.assert_allclose(turned, growth(J, frame=np.eye(D)), atol=1e-7)


@few
@given(seeds, sizes, sizes, st.integers(1, 6))
def test_blocks_contribute_their_own_spectra(seed, first, second, steps):
    A, B = random_products(seed, first, steps), random_products(seed + 1, second, steps)
    J = np.zeros((steps, first + second, first + second))
    # for a few steps: rounding mixes the blocks, and the faster one takes over
    J[:, :first, :first], J[:, first:, first:] = A, B
    union = np.concatenate([growth(A), growth(B)])
    np.testing.assert_allclose(growth(J), union, atol=1e-7)


@few
@given(seeds, st.integers(1, 5), st.integers(0, 1000))
def test_the_first_frame_is_forgotten(seed, D, other):
    J = graded_products(seed, D, 120)
    spectra = [
        spectrum_of_jacobians(J, transient=60, tolerance=1e-12, backend="numpy", seed=s)
        for s in (0, 1 + other)
    ]
    np.testing.assert_allclose(spectra[0].exponents, spectra[1].exponents, atol=1e-9)


@few
@given(seeds, sizes, lengths)
def test_all_growth_is_that_of_the_volume(seed, D, steps):
    J = random_products(seed, D, steps)
    volume = np.linalg.slogdet(J)[1].sum()
    for backend in ("numpy", "numba"):
        assert growth(J, backend=backend).sum() == pytest.approx(volume, rel=1e-9, abs=1e-7)


spectra = arrays(float, st.integers(1, 8), elements=st.floats(-5, 5)).map(
    lambda values: np.sort(values)[::-1]
)


@settings(few, max_examples=200)
@given(spectra)
def test_the_kaplan_yorke_dimension_is_a_zero_of_the_sum(exponents):
    """It is the zero of the sum of exponents, drawn as a broken line over their number."""
    sums = np.concatenate([[0.0], np.cumsum(exponents)])
    found = measures.kaplan_yorke_dimension(exponents, len(exponents))
    if sums.min() >= 0.0:
        assert found == len(exponents)
    elif exponents[0] < 0.0:
        assert found == 0.0
    else:
        assert 0.0 < found < len(exponents)
        assert np.interp(found, np.arange(len(sums)), sums) == pytest.approx(0.0, abs=1e-12)
        assert exponents[math.floor(found)] < 0.0


@settings(few, max_examples=100)
@given(spectra)
def test_the_entropy_rate_sums_positive_exponents(exponents):
    found = measures.entropy_rate(exponents, len(exponents))
    assert found == pytest.approx(sum(x for x in exponents if x > 0.0), abs=1e-12)


def test_measures_of_known_spectra():
    lorenz = np.array([0.9056, 0.0, -14.5723])
    assert measures.kaplan_yorke_dimension(lorenz, 3) == pytest.approx(2.06215, abs=1e-5)
    assert measures.kaplan_yorke_dimension(np.array([1.0, -np.inf]), 2) == 1.0
    assert measures.entropy_rate(np.array([0.5, 0.25, -1.0]), 9) == 0.75
    # the exponents that are not known may be positive, or needed for the dimension
    assert math.isnan(measures.entropy_rate(np.array([0.5, 0.25]), 9))
    assert math.isnan(measures.kaplan_yorke_dimension(np.array([0.5, -0.25]), 9))


def test_a_finished_trajectory_does_not_keep_its_last_chunk(monkeypatch):
    kept = []

    def collected(results, *arguments):
        kept.extend(result.state.base for result in results)
        return collect(results, *arguments)

    monkeypatch.setattr("lyapy.runs.plan.collect", collected)
    network = lyapy.random_network("vanilla", 4, gain=1.5, seed=1)
    lyapy.lyapunov_spectrum(network, steps=100, trajectories=3)
    assert kept == [None, None, None]
