"""Tests for a real GPU only: large sizes, exact cases, memory that runs out."""

import numpy as np
import pytest

import lyapy
from lyapy.errors import DeviceError
from lyapy.tangent.gpu.device import find_devices

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def card():
    try:
        return find_devices()[0]
    except (ModuleNotFoundError, DeviceError) as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("kind", "n", "trajectories"), [("vanilla", 1024, 4), ("lstm", 512, 8), ("gru", 32, 1024)]
)
def test_large_sizes_do_not_depend_on_the_interval(kind, n, trajectories):
    network = lyapy.random_network(kind, n, 4, bias=0.1, seed=1)
    inputs = np.random.default_rng(0).normal(size=(trajectories, 128, 4))
    found = lyapy.lyapunov_spectrum(network, inputs, backend="cupy", transient=64)
    fine = lyapy.lyapunov_spectrum(network, inputs, backend="cupy", transient=64, interval=1)
    np.testing.assert_allclose(found.exponents, fine.exponents, atol=1e-8)
    assert np.isnan(found.sum_rule_residual) or found.sum_rule_residual < 1e-9


def test_blocks_of_two_sizes_agree_with_the_cpu():
    """Each layer is followed in shared memory, by the same kernel with more and with less of it."""
    large = lyapy.random_network("gru", 128, 4, bias=0.1, seed=1)
    small = lyapy.random_network("gru", 88, 128, bias=0.1, seed=2)
    network = lyapy.Network([*large.cells, *small.cells])
    inputs = np.random.default_rng(0).normal(size=(3, 128, 4))
    found, wanted = (
        lyapy.lyapunov_spectrum(network, inputs, backend=backend) for backend in ("cupy", "numba")
    )
    np.testing.assert_allclose(found.per_trajectory, wanted.per_trajectory, atol=1e-6)


def test_a_linear_map_of_known_exponents():
    moduli = np.linspace(0.5, 1.5, 256)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(256, 256)))[0]
    U = turn @ np.diag(moduli) @ turn.T
    network = lyapy.Network([lyapy.Vanilla(None, U, nonlinearity="identity")])
    options = {"initial_state": np.zeros(256), "frame": turn.T[::-1].copy()}
    found = lyapy.lyapunov_spectrum(network, steps=200, backend="cupy", **options)
    np.testing.assert_allclose(found.exponents, np.log(moduli[::-1]), atol=1e-9)


def test_several_cards_give_the_bits_of_one(monkeypatch):
    """Batches of the same size come to the same, whichever card computes them."""
    cards = find_devices()
    if len(cards) < 2:
        pytest.skip("one GPU only")
    network = lyapy.random_network("gru", 64, 4, seed=1)
    inputs = np.random.default_rng(0).normal(size=(8, 128, 4))
    options = {"backend": "cupy", "threads": 2}
    several = lyapy.lyapunov_spectrum(network, inputs, **options)
    monkeypatch.setattr("lyapy.tangent.engine.find_devices", lambda: cards[:1])
    one = lyapy.lyapunov_spectrum(network, inputs, **options)
    np.testing.assert_array_equal(several.growth, one.growth)


def test_a_batch_is_halved_where_memory_runs_out(card, caplog):
    cupy = pytest.importorskip("cupy")
    network = lyapy.random_network("vanilla", 512, seed=1)
    taken = cupy.empty(card.free_bytes() - 3 * 10**8, dtype=np.uint8)
    with caplog.at_level("INFO"):
        found = lyapy.lyapunov_spectrum(network, steps=64, trajectories=64, backend="cupy")
    del taken
    assert "memory of the GPU ran out: 32 trajectories at a time" in caplog.text
    assert found.resolved.all()
