"""One trajectory in segments, as a batch of a GPU or its stand-in."""

import numpy as np
import pytest

import lyapy
from lyapy.runs import segments
from lyapy.runs.gpu import batch
from tests.support.made_checkpoints import assert_same_bits, interrupted

pytestmark = pytest.mark.usefixtures("device")


def three_ways(network, inputs=None, count=5, **options):
    """Return the spectra of one piece and of segments on the CPU, and of segments on a GPU."""
    each = ({"segments": 1}, {"segments": count}, {"segments": count, "backend": "cupy"})
    return [
        lyapy.lyapunov_spectrum(network, inputs, threads=threads, **options, **one)
        for threads, one in zip((2, 2, None), each, strict=True)
    ]


@pytest.mark.parametrize(
    ("kind", "options", "run"),
    [
        # chaotic: on another orbit the exponents would differ in the second digit
        ("vanilla", {"gain": 3.0}, {"k": 6}),
        ("vanilla", {"gain": 3.0}, {"k": 6, "transient": 0}),
        ("gru", {"layers": 2, "gain": 0.8}, {"k": 5}),
        ("lstm", {"gain": 2.0}, {"k": 5}),
        ("vanilla", {"gain": 0.8}, {"two_ended": False}),
        ("independent", {}, {}),
    ],
)
@pytest.mark.repeats
def test_segments_agree_with_those_of_the_cpu(kind, options, run):
    network = lyapy.random_network(kind, 12, 2, seed=1, **options)
    inputs = 0.3 * np.random.default_rng(0).normal(size=(3050, 2))
    whole, cpu, gpu = three_ways(network, inputs, **{"transient": 100} | run)
    seam = gpu.settings["seam_error"]
    for one in (whole, cpu):
        np.testing.assert_array_equal(gpu.final_state, one.final_state)
        np.testing.assert_array_equal(gpu.growth_steps, one.growth_steps)
        np.testing.assert_allclose(gpu.state_sizes, one.state_sizes, rtol=1e-12)
        np.testing.assert_allclose(gpu.exponents, one.exponents, rtol=0.0, atol=1e-7 + seam)
    assert seam < 1e-7
    assert (gpu.settings["passes"] == 1) == (kind == "independent")
    assert gpu.settings["segments"] == 5
    assert gpu.frame_error.max() < 1e-7


def test_a_full_spectrum_needs_no_inputs():
    network = lyapy.random_network("vanilla", 16, gain=1.5, seed=1)
    whole, cpu, gpu = three_ways(network, steps=3000, transient=300, two_ended=False)
    np.testing.assert_array_equal(gpu.final_state, whole.final_state)
    seams = [one.settings["seam_error"] for one in (cpu, gpu)]
    assert max(seams) < 1e-7
    np.testing.assert_allclose(gpu.exponents, cpu.exponents, rtol=0.0, atol=1e-7 + sum(seams))
    np.testing.assert_allclose(gpu.exponents, whole.exponents, rtol=0.0, atol=1e-7 + seams[1])
    assert gpu.sum_rule_residual < 1e-7


def test_an_open_seam_is_reported(monkeypatch):
    monkeypatch.setattr(segments, "CORRECTIONS", 0)
    network = lyapy.random_network("vanilla", 16, gain=1.5, seed=1)
    whole, _, gpu = three_ways(network, steps=3000, transient=64)
    error = np.abs(gpu.exponents - whole.exponents).max()
    assert 1e-6 < error <= gpu.settings["seam_error"]
    assert gpu.status.code == "not converged"


def test_one_batch_takes_them_all(monkeypatch):
    """All segments side by side; the last one ends alone, with what is left of a chunk."""
    sizes, begin = [], batch.Batch.__init__

    def counted(self, names, trajectories, device):
        sizes.append((len(trajectories), names[0]))
        begin(self, names, trajectories, device)

    monkeypatch.setattr(batch.Batch, "__init__", counted)
    network = lyapy.random_network("gru", 6, 2, gain=0.8, seed=1)
    inputs = np.random.default_rng(0).normal(size=(8200, 2))
    found = lyapy.lyapunov_spectrum(network, inputs, segments=8, backend="cupy", k=2)
    first = next(i for i, (count, _) in enumerate(sizes) if i and count > sizes[i - 1][0])
    assert sizes[0] == (8, "segment from step 0 on")
    assert sizes[first][0] == 7
    assert found.settings["passes"] == 2


def test_auto_fills_a_batch():
    network = lyapy.random_network("vanilla", 4, gain=1.5, seed=1)
    options = {"segments": "auto", "backend": "cupy", "k": 1}
    found = lyapy.lyapunov_spectrum(network, steps=20_000, **options)
    assert found.settings["segments"] == 4
    assert lyapy.lyapunov_spectrum(network, steps=4000, **options).settings["segments"] == 1


@pytest.mark.repeats
def test_chunks_that_are_left_to_the_cpu_are_counted():
    """Units whose slope can be 0 leave directions that only graded steps follow."""
    network = lyapy.random_network("vanilla", 12, 2, gain=12.0, seed=1)
    inputs = np.random.default_rng(0).normal(size=(2000, 2))
    whole, _, gpu = three_ways(network, inputs, count=3, transient=64)
    assert gpu.settings["repeated_tiles"] > 0
    np.testing.assert_allclose(gpu.exponents, whole.exponents, rtol=0.0, atol=1e-5)


def test_seams_close_in_float32_too():
    network = lyapy.random_network("gru", 12, 2, gain=0.8, seed=1)
    inputs = 0.3 * np.random.default_rng(0).normal(size=(3050, 2))
    options = {"backend": "cupy", "precision": "float32", "k": 4, "transient": 100}
    whole, found = (
        lyapy.lyapunov_spectrum(network, inputs, segments=count, **options) for count in (1, 4)
    )
    np.testing.assert_allclose(found.exponents, whole.exponents, rtol=0.0, atol=1e-4)
    assert found.settings["seam_error"] < 2.5e-4
    # the states are the host's
    assert np.abs(found.final_state - whole.final_state).max() < 1e-5


@pytest.mark.parametrize("chunks", [3, 12, 25])
def test_an_interrupted_run_ends_with_the_same_bits(chunks, tmp_path, monkeypatch):
    network = lyapy.random_network("vanilla", 12, gain=2.0, seed=1)
    options = {"steps": 3200, "transient": 64, "segments": 4, "backend": "cupy", "k": 5}
    whole = lyapy.lyapunov_spectrum(network, **options)
    with interrupted(monkeypatch, chunks, batch.Batch):
        lyapy.lyapunov_spectrum(network, checkpoint=tmp_path / "run.h5", **options)
    found = lyapy.lyapunov_spectrum(network, checkpoint=tmp_path / "run.h5", **options)
    assert_same_bits(found, whole)
    assert found.settings["seam_error"] == whole.settings["seam_error"]
