"""Properties of every spectrum, tested on random networks of each kind."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lyapy

few = settings(max_examples=12, derandomize=True, deadline=None)
seeds = st.integers(0, 10_000)
GATES = {"vanilla": 1, "gru": 3, "lstm": 4}
kinds = pytest.mark.parametrize("kind", GATES)


def network_of(kind, U, W, b):
    """The cell of a kind, its gates stacked in U (gates n, n), W (gates n, m), b (gates n,)."""
    cell = {"vanilla": lyapy.Vanilla, "gru": lyapy.GRU, "lstm": lyapy.LSTM}[kind]
    return lyapy.Network([cell(W, U, b)])


def weights(kind, n, seed, gain=0.9):
    """Weights U (gates, n, n) and W (gates, n, 2), and biases (gates, n)."""
    rng, gates = np.random.default_rng(seed), GATES[kind]
    U = gain / math.sqrt(n) * rng.normal(size=(gates, n, n))
    return U, 0.5 * rng.normal(size=(gates, n, 2)), 0.5 * rng.normal(size=(gates, n))


def stacked(kind, U, W, b):
    return network_of(kind, np.concatenate(U), np.concatenate(W), np.concatenate(b))


def drive(seed, steps):
    return np.random.default_rng([seed, 1]).normal(size=(steps, 2))


def growth(network, inputs, **options):
    """Sum of the growth of each row, of frames whose beginning is known."""
    options = {"frame": "identity", "tolerance": 1e-11} | options
    return lyapy.lyapunov_spectrum(network, inputs, **options).growth.sum(axis=1)[0]


def state_rows(kind, n, order):
    """Rows of the state when the units come in another order: an LSTM's is (h, c)."""
    return np.concatenate([order + n * block for block in range(2 if kind == "lstm" else 1)])


@kinds
@few
@given(seed=seeds, n=st.integers(2, 7))
def test_the_order_of_the_units_changes_nothing(kind, seed, n):
    """Renumbered units are orthogonal coordinates in which the network has the same form."""
    U, W, b = weights(kind, n, seed)
    order = np.random.default_rng([seed, 2]).permutation(n)
    inputs = drive(seed, 120)
    turned = stacked(kind, U[:, order][:, :, order], W[:, order], b[:, order])
    rows = state_rows(kind, n, order)
    # the frame whose rows are the same vectors in the other coordinates
    frame = np.eye(len(rows))[:, rows]
    wanted = growth(stacked(kind, U, W, b), inputs)
    np.testing.assert_allclose(growth(turned, inputs, frame=frame), wanted, atol=1e-6)


@kinds
@few
@given(seed=seeds, first=st.integers(1, 4), second=st.integers(1, 4))
def test_networks_side_by_side_have_the_union_of_their_spectra(kind, seed, first, second):
    n, inputs = first + second, drive(seed, 120)
    one, other = weights(kind, first, seed), weights(kind, second, seed + 1)
    U = np.zeros((GATES[kind], n, n))
    U[:, :first, :first], U[:, first:, first:] = one[0], other[0]
    W, b = (np.concatenate(pair, axis=1) for pair in zip(one[1:], other[1:], strict=True))
    layers = [stacked(kind, *own) for own in (one, other)]
    union = np.sort(np.concatenate([growth(layer, inputs) for layer in layers]))
    found = np.sort(growth(stacked(kind, U, W, b), inputs))
    np.testing.assert_allclose(found, union, atol=1e-6)


@kinds
@few
@given(seed=seeds)
def test_the_first_frame_is_forgotten(kind, seed):
    """Of a network whose exponents lie apart."""
    n = 4
    U, W, b = weights(kind, n, seed, gain=0.02)
    apart = np.linspace(2.0, -4.0, n)
    if kind == "vanilla":
        U[0] += np.diag(np.exp(0.4 * apart - 1.0))
    else:
        # the gate that keeps the state, of a GRU z and of an LSTM f, is never driven
        b[1], W[1] = apart, 0.0
    network, inputs = stacked(kind, U, W, b), drive(seed, 500)
    sums = []
    for frame in ("identity", "random"):
        options = {"transient": 300, "frame": frame, "k": n}
        sums.append(growth(network, inputs, **options)[:n])
    np.testing.assert_allclose(sums[1], sums[0], atol=1e-6)


@kinds
@few
@given(seed=seeds, data=st.data())
def test_fewer_rows_are_the_first_rows(kind, seed, data):
    """Also where all rows are followed from both ends."""
    n = data.draw(st.integers(2, 6))
    network, inputs = stacked(kind, *weights(kind, n, seed, gain=1.5)), drive(seed, 150)
    k = data.draw(st.integers(1, network.state_size))
    part = growth(network, inputs, frame=np.eye(network.state_size)[:k])
    np.testing.assert_allclose(part, growth(network, inputs)[:k], atol=1e-6)
    assert len(part) == k


@kinds
@few
@given(seed=seeds, period=st.integers(2, 5), shift=st.integers(1, 4))
def test_shifting_a_periodic_drive_changes_nothing(kind, seed, period, shift):
    """Nor does the sum of the exponents, which forgets the frame at once."""
    network = stacked(kind, *weights(kind, 3, seed, gain=0.3))
    cycle, sums = drive(seed, period), []
    for turned in (cycle, np.roll(cycle, -shift, axis=0)):
        found = growth(network, np.tile(turned, (150, 1)), transient=90 * period)
        sums.append(found.sum() / (60 * period))
    assert sums[0] == pytest.approx(sums[1], abs=1e-9)
