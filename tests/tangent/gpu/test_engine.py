"""The GPU engine agrees with the CPU, and waits seldom."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

import lyapy
from lyapy import cells, lyapunov_spectrum
from lyapy.cells import CELLS, Cell
from lyapy.cells.sparse import as_weight
from lyapy.spectra.text import spectrum_table
from tests.conftest import Rate, RateByParts, mixed_stack, qr_growth
from tests.support import stand_in
from tests.support.made_networks import masked, modular_mask

pytestmark = pytest.mark.usefixtures("device")


def drive(*shape, seed=2):
    return np.random.default_rng(seed).normal(size=shape)


def totals(spectrum):
    return spectrum.growth.sum(axis=1)


def both(network, inputs, **options):
    return (lyapunov_spectrum(network, inputs, backend=b, **options) for b in ("cupy", "numpy"))


def test_it_agrees_with_the_cpu(kind):
    # not chaotic, and not too graded either
    network = lyapy.random_network(kind, 6, 3, gain=0.8, bias=0.3, layers=2, seed=1)
    inputs = drive(2, 100, 3)
    gpu, cpu = both(network, inputs, transient=20, frame="identity")
    assert gpu.settings["backend"] == "cupy"
    # two layers, two trajectories, three tiles, of units that do not read one another
    assert gpu.settings["repeated_tiles"] == (2 * 2 * 3 if CELLS[kind].decoupled else 0)
    sure = gpu.resolved & cpu.resolved
    assert sure.all()
    np.testing.assert_allclose(gpu.per_trajectory, cpu.per_trajectory, atol=1e-9)
    np.testing.assert_allclose(totals(gpu), totals(cpu), atol=1e-7)
    np.testing.assert_allclose(gpu.final_state, cpu.final_state, atol=1e-12)
    np.testing.assert_array_equal(gpu.growth_steps, cpu.growth_steps)
    assert gpu.largest_spread.max() <= np.log(1e-8 / 2.0**-53)
    closed_form = CELLS[kind].log_abs_det is not Cell.log_abs_det
    compared = gpu.determinants[:, 0, 2].tolist()
    assert compared == ([80.0] * 2 if closed_form else [64.0, 0.0])
    assert gpu.sum_rule_residual < 1e-9 or not closed_form


@pytest.mark.parametrize(
    ("network", "k"),
    [
        (lyapy.random_network("gru", 24, 2, gain=1.5, seed=3), 24),
        (lyapy.random_network("lstm", 12, 2, gain=1.5, seed=3), 9),
        (mixed_stack(("lstm", "gru-reset-before", "vanilla")), 5),
        (lyapy.Network([Rate(drive(7, 7) / 3, 0.2, drive(7, 2))]), 7),
        (lyapy.Network([RateByParts(drive(7, 7) / 3, 0.2, drive(7, 2))]), 2),
    ],
)
def test_sizes_and_programs_agree_with_the_cpu(network, k):
    gpu, cpu = both(network, drive(2, 100, 2), k=k)
    np.testing.assert_allclose(gpu.per_trajectory, cpu.per_trajectory, atol=1e-9)


@pytest.mark.parametrize(("D", "k"), [(1, 1), (9, 4), (40, 33)])
def test_given_jacobians_agree_with_a_plain_qr(D, k):
    jacobians = drive(2, 70, D, D) / np.sqrt(D)
    found = lyapy.spectrum_of_jacobians(jacobians, k=k, frame="identity", backend="cupy")
    for b in range(2):
        wanted = qr_growth(jacobians[b], np.eye(D)[:k])
        np.testing.assert_allclose(totals(found)[b], wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["vanilla", "gru"])
def test_a_reducible_layer_agrees_with_the_cpu(kind):
    network = masked(kind, modular_mask((3, 1, 2, 1), 2), 2)
    gpu, cpu = both(network, drive(2, 100, 2))
    assert gpu.settings["blocks"] == 3
    np.testing.assert_allclose(gpu.per_trajectory, cpu.per_trajectory, atol=1e-9)


@pytest.mark.parametrize(
    "kinds", [("gru",), ("state-space", "rate-rk4"), ("lstm", "vanilla"), ("gru", "state-space")]
)
def test_closed_loops_agree_with_the_cpu(kinds):
    network = mixed_stack(kinds)
    readout = drive(network.input_size, network.cells[-1].output_size) / 3.0
    loop = lyapy.ClosedLoop(network, readout)
    gpu, cpu = both(loop, None, steps=80, trajectories=2)
    np.testing.assert_allclose(gpu.per_trajectory, cpu.per_trajectory, atol=1e-9)


class TwoSided(cells.Reservoir):
    """Two sparse products into one block, one of them with a factor before it."""

    name = "two-sided"
    program = "dh' = l dh + s U dh + l U s dh"


@pytest.mark.parametrize("kind", [cells.Reservoir, TwoSided])
def test_sparse_weights_agree_with_the_cpu(kind):
    rng = np.random.default_rng(12)
    U = csr_array(rng.normal(size=(20, 20)) * (rng.random((20, 20)) < 0.2))
    network = lyapy.Network([kind(drive(20, 2), U, leak=0.4)])
    gpu, cpu = both(network, drive(2, 70, 2), k=6)
    np.testing.assert_allclose(gpu.per_trajectory, cpu.per_trajectory, atol=1e-9)


def test_sparse_weights_stay_sparse(counts):
    """Neither the device nor the host ever holds a matrix with all its zeros."""
    n, rng = 2500, np.random.default_rng(12)
    U = random_array((n, n), density=0.002, rng=rng, data_sampler=rng.normal)
    network = lyapy.Network([cells.Reservoir(drive(n, 2), 0.3 * U, leak=0.4)])
    tracemalloc.start()
    try:
        found = lyapunov_spectrum(network, drive(2, 12, 2), k=3, backend="cupy")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.resolved.all()
    assert stand_in.DeviceSparse.__matmul__ in counts.functions
    assert counts.largest < n * n / 10
    assert peak < 8 * n * n


def test_a_run_until_a_standard_error_ends_as_on_the_cpu():
    network = lyapy.random_network("vanilla", 5, gain=1.5, seed=1)
    options = {"until": 0.05, "max_steps": 2000, "trajectories": 3, "transient": 64}
    gpu, cpu = both(network, None, **options)
    assert gpu.steps == cpu.steps
    np.testing.assert_allclose(gpu.exponents, cpu.exponents, atol=0.1)


def test_how_often_the_host_waits_and_launches(counts, device):
    """However many trajectories there are.

    It waits once for each interval of large frames, and a few times for each chunk. The forward
    pass of a chunk is one launch, and so are its tiles of small frames; of larger ones a step is
    four, and a QR as many as there are panels, and four products where two are joined.
    """
    network = lyapy.random_network("gru", 32, 3, gain=0.8, seed=1)
    whole = device.shared_bytes > 50_000
    for B in (2, 5):
        launches, waits = counts.launches, counts.waits
        gpu = lyapunov_spectrum(network, drive(B, 640, 3), k=8, backend="cupy")
        assert counts.functions >= {"whole_tile" if whole else "panel", "pass"}
        tiles, chunks, tried = 10, 2, int(gpu.intervals.max() + gpu.rejections.max())
        assert tried < 40
        assert counts.waits - waits <= (0 if whole else tried) + 4 * chunks + 6
        steps = 0 if whole else 4 * 640 + 1.5 * tried * (4 * 5 - 4)
        assert counts.launches - launches <= steps + 6 * tiles + 20 * chunks + 60


def test_trajectories_are_computed_with_others_and_alone():
    network, inputs = lyapy.random_network("gru", 8, 3, seed=1), drive(5, 130, 3)
    together = lyapunov_spectrum(network, inputs, backend="cupy")
    pairs = lyapunov_spectrum(network, inputs, backend="cupy", threads=2)
    np.testing.assert_allclose(together.growth, pairs.growth, atol=1e-8)
    assert together.settings["threads"] == 5


def test_a_fixed_interval_that_is_too_long():
    network = lyapy.random_network("gru", 6, 3, gain=2.0, bias=0.3, seed=1)
    spectra = []
    for backend in ("cupy", "numpy"):
        with pytest.warns(RuntimeWarning, match=r"interval=9 is too long.*of 6 exponents"):
            found = lyapunov_spectrum(network, drive(300, 3), interval=9, backend=backend)
        spectra.append(found)
    gpu, cpu = spectra
    np.testing.assert_array_equal(gpu.resolved, cpu.resolved)
    np.testing.assert_allclose(gpu.exponents[cpu.resolved], cpu.exponents[cpu.resolved], atol=1e-6)


@pytest.mark.parametrize("interval", [2, 3])
def test_growth_after_a_vector_of_rounding_is_bounded_in_fixed_intervals(interval):
    """As on the CPU: such a vector points anywhere, which decides on those after it."""
    jacobians = np.zeros((2, 60, 5, 5)) + np.diag(np.exp([0.0, -2.0, -45.0, -1.0, -46.0]))
    with pytest.warns(RuntimeWarning, match="is too long"):
        gpu, cpu = (
            lyapy.spectrum_of_jacobians(
                jacobians, k=4, frame="identity", interval=interval, backend=backend
            )
            for backend in ("cupy", "numpy")
        )
    assert gpu.bounded.tolist() == cpu.bounded.tolist() == [False, False, True, True]
    np.testing.assert_allclose(gpu.numerical_error, cpu.numerical_error, rtol=1e-9)
    np.testing.assert_allclose(gpu.exponents, cpu.exponents, rtol=1e-12)


@pytest.mark.repeats
@pytest.mark.filterwarnings("ignore:interval=2 is too long:RuntimeWarning")
def test_a_single_step_left_of_a_fixed_interval_is_left_to_the_cpu():
    """It spreads too far, and is graded there; no interval could shorten it."""
    jacobians = np.zeros((1, 63, 3, 3)) + np.diag(np.exp([0.0, -8.0, -8.5]))
    jacobians[:, -1] = np.diag(np.exp([0.0, -30.0, -1.0]))
    gpu, cpu = (
        lyapy.spectrum_of_jacobians(jacobians, k=2, frame="identity", interval=2, backend=backend)
        for backend in ("cupy", "numpy")
    )
    assert gpu.settings["repeated_tiles"] > 0
    np.testing.assert_allclose(gpu.exponents, cpu.exponents, rtol=1e-12)
    np.testing.assert_allclose(gpu.numerical_error, cpu.numerical_error, rtol=1e-9)


@pytest.mark.repeats
@pytest.mark.filterwarnings("ignore:the Jacobians are too graded:RuntimeWarning")
@pytest.mark.parametrize(("kind", "gain"), [("vanilla", 20.0), ("lstm", 8.0)])
def test_saturated_units_are_left_to_the_cpu(kind, gain, caplog):
    network = lyapy.random_network(kind, 8, 2, gain=gain, bias=2.0, seed=2)
    with caplog.at_level("INFO"):
        gpu, numpy = (
            lyapunov_spectrum(network, drive(2, 100, 2), frame="identity", backend=b)
            for b in ("cupy", "numpy")
        )
    assert "tiles of a trajectory were left to the CPU" in caplog.text
    repeated = gpu.settings["repeated_tiles"]
    assert repeated > 0
    assert f"{repeated} tiles of trajectories" in spectrum_table(gpu)
    sure = gpu.resolved & numpy.resolved
    assert sure.mean() > 0.5
    np.testing.assert_allclose(gpu.exponents[sure], numpy.exponents[sure], atol=1e-6)


@pytest.mark.repeats
def test_dead_directions_are_those_of_the_cpu():
    """Some in all trajectories, by a weight, and others in some, by their inputs."""
    U = drive(6, 6)
    U[5] = U[4]
    for nonlinearity in ("tanh", "relu", "softplus", "elu", "silu", "sin"):
        network = lyapy.Network([lyapy.Vanilla(drive(6, 2), 0.5 * U, drive(6), nonlinearity)])
        gpu, cpu = both(network, drive(3, 200, 2), frame="identity")
        dead = np.isneginf(cpu.per_trajectory)
        assert dead.any()
        np.testing.assert_array_equal(np.isneginf(gpu.per_trajectory), dead)
        np.testing.assert_allclose(gpu.per_trajectory[~dead], cpu.per_trajectory[~dead], atol=1e-8)


def test_runs_that_cards_cannot_do_are_refused():
    network = lyapy.Network([lyapy.Map(lambda h, x: h, lambda h, x: np.eye(2), state_size=2)])
    with pytest.raises(ValueError, match="map is plain Python, which backend='cupy' cannot run"):
        lyapunov_spectrum(network, steps=3, backend="cupy")
    gru = lyapy.random_network("gru", 3)
    with pytest.raises(ValueError, match="record is 'factors', which backend='cupy' does not keep"):
        lyapunov_spectrum(gru, steps=64, backend="cupy", record="factors", checkpoint="run.h5")


def test_the_stand_in_refuses_what_cupy_refuses():
    array = stand_in.to_device(np.eye(2))
    sparse = stand_in.DeviceSparse(as_weight(csr_array(np.eye(2)), "U", (2, 2)))
    for wrong in (
        lambda: np.asarray(array),
        lambda: array + np.ones(2),
        lambda: np.ones(2) * array,
        lambda: array.__setitem__(0, np.ones(2)),
        lambda: np.linalg.svd(array),
        lambda: np.matmul(array, array),
        lambda: np.ones((2, 2)) @ array,
        lambda: np.multiply.reduceat(array, [0], axis=-1),
        lambda: np.asarray(sparse),
        lambda: sparse @ np.ones((2, 2)),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_cupy_has_all_functions_of_the_stand_in():
    cupy = pytest.importorskip("cupy")
    for function in (*stand_in.FUNCTIONS, *stand_in.UFUNCS):
        module = cupy.linalg if "linalg" in getattr(function, "__module__", "") else cupy
        assert callable(getattr(module, function.__name__))
