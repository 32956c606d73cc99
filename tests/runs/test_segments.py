"""One trajectory cut into segments: the same spectrum within the seam error, which is honest."""

import numpy as np
import pytest

import lyapy
from lyapy.runs import segments
from lyapy.runs.checkpoint.folder import checkpoint_folder, newest_state
from lyapy.runs.checkpoint.unfinished import read_unfinished
from tests.support.made_checkpoints import assert_same_bits, interrupted

TANH = lyapy.random_network("vanilla", 64, gain=3.0, seed=1)
RUN = {"steps": 4500, "transient": 500, "threads": 2}


def largest_error(one, other):
    return np.abs(one.exponents - other.exponents).max()


@pytest.fixture(scope="module")
def chaotic():
    return lyapy.lyapunov_spectrum(TANH, **RUN)


def test_each_pass_brings_a_chaotic_network_nearer(chaotic, monkeypatch):
    """A burn-in leaves 4e-4, a correction 4e-9, another the rounding."""
    errors = []
    for corrections in range(3):
        monkeypatch.setattr(segments, "CORRECTIONS", corrections)
        found = lyapy.lyapunov_spectrum(TANH, segments=8, **RUN)
        errors.append(largest_error(found, chaotic))
        assert errors[-1] <= found.settings["seam_error"] + 1e-9
        assert found.settings["passes"] == corrections + 1
        # states are those of one orbit
        np.testing.assert_array_equal(found.final_state, chaotic.final_state)
        np.testing.assert_array_equal(found.state_sizes, chaotic.state_sizes)
        np.testing.assert_array_equal(found.growth_steps, chaotic.growth_steps)
        assert found.sum_rule_residual < 1e-11
        open_ones = found.settings["seam_error"] > 1e-7
        assert open_ones == (corrections < 2)
        assert open_ones == ("The seams of 8 segments leave up to" in found.status.advice)
        assert found.resolved.all() != open_ones
    assert 1e-5 < errors[0] < 1e-2
    assert errors[1] < 1e-7
    assert errors[2] < 1e-9


def test_segments_of_a_driven_network_agree():
    network = lyapy.random_network("vanilla", 64, 2, gain=1.2, seed=1)
    inputs = np.random.default_rng(0).normal(size=(5000, 2))
    whole, found = (
        lyapy.lyapunov_spectrum(network, inputs, transient=500, threads=2, segments=count)
        for count in (1, 8)
    )
    assert largest_error(found, whole) < 1e-8
    assert found.settings["seam_error"] < 1e-8
    assert found.status.code == whole.status.code == "converged"
    assert "segments" in str(found) and "segments" not in str(whole)


@pytest.mark.parametrize(
    ("kind", "options", "k"),
    [
        ("gru", {"layers": 2}, None),
        ("lstm", {"gain": 2.0}, 5),
        ("vanilla", {"nonlinearity": "relu", "gain": 1.2, "bias": 1.0}, None),
        ("independent", {}, None),
    ],
)
def test_segments_of_other_networks_agree(kind, options, k):
    network = lyapy.random_network(kind, 8, 3, seed=2, **options)
    inputs = np.random.default_rng(1).normal(size=(6000, 3))
    whole, found = (
        lyapy.lyapunov_spectrum(network, inputs, transient=300, k=k, threads=2, segments=count)
        for count in (1, 3)
    )
    np.testing.assert_array_equal(np.isneginf(found.exponents), np.isneginf(whole.exponents))
    living = np.isfinite(whole.exponents)
    error = np.abs(found.exponents[living] - whole.exponents[living]).max(initial=0.0)
    assert error <= found.settings["seam_error"] + 1e-8
    assert (found.settings["passes"] == 1) == (kind == "independent")


def test_segments_of_layers_of_different_sizes_agree():
    cells = [
        *lyapy.random_network("vanilla", 7, 2, gain=1.5, seed=1).cells,
        *lyapy.random_network("gru", 4, 7, seed=2).cells,
    ]
    inputs = np.random.default_rng(1).normal(size=(3000, 2))
    whole, found = (
        lyapy.lyapunov_spectrum(lyapy.Network(cells), inputs, transient=100, segments=count)
        for count in (1, 2)
    )
    assert largest_error(found, whole) <= found.settings["seam_error"] + 1e-8


def test_a_run_begun_in_one_piece_goes_on_so(tmp_path, monkeypatch):
    network = lyapy.random_network("vanilla", 8, gain=1.5, seed=1)
    options = {"steps": 20_000, "checkpoint": tmp_path / "run.h5"}
    whole = lyapy.lyapunov_spectrum(network, steps=20_000)
    with interrupted(monkeypatch, 2):
        lyapy.lyapunov_spectrum(network, **options)
    with pytest.warns(RuntimeWarning, match="segments is 1 there, 2 here"):
        found = lyapy.lyapunov_spectrum(network, segments=2, **options)
    np.testing.assert_array_equal(found.growth, whole.growth)
    assert found.settings["segments"] == 1 and "seam_error" not in found.settings


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_that_is_interrupted_goes_on(threads, tmp_path, monkeypatch):
    """In whichever pass, and more than once: to the bits of a run that was not."""
    options = {"steps": 4500, "transient": 500, "segments": 4, "threads": threads}
    whole, path = lyapy.lyapunov_spectrum(TANH, **options), tmp_path / "run.h5"
    for chunks in (1, 4, 12):
        with interrupted(monkeypatch, chunks):
            lyapy.lyapunov_spectrum(TANH, checkpoint=path, **options)
    # corrections have begun
    assert max(newest_state(checkpoint_folder(path)).trajectories) >= 4
    part = read_unfinished(path)
    assert 0.3 < part.steps / part.total <= 1.0
    assert part.spectrum.status.code == "interrupted"
    assert np.abs(part.spectrum.exponents - whole.exponents).max() < 0.1
    found = lyapy.lyapunov_spectrum(TANH, checkpoint=path, **options)
    assert_same_bits(found, whole)
    for name in ("seam_error", "passes", "segments"):
        assert found.settings[name] == whole.settings[name]


def test_a_run_that_was_begun_in_segments_keeps_them(tmp_path, monkeypatch):
    options = {"steps": 4500, "transient": 500, "threads": 1}
    whole, path = lyapy.lyapunov_spectrum(TANH, segments=4, **options), tmp_path / "run.h5"
    with interrupted(monkeypatch, 3):
        lyapy.lyapunov_spectrum(TANH, checkpoint=path, segments=4, **options)
    with pytest.warns(RuntimeWarning, match="segments is 4 there, 1 here"):
        found = lyapy.lyapunov_spectrum(TANH, checkpoint=path, **options)
    np.testing.assert_array_equal(found.growth, whole.growth)
    assert found.settings["segments"] == 4


def test_states_of_another_machine_begin_again(tmp_path, monkeypatch):
    """On another orbit the frames so far would not fit the segments to come."""
    options = {"steps": 4500, "transient": 500, "segments": 4, "threads": 1}
    path, check = tmp_path / "run.h5", segments.check_states

    def off(states, start):
        states[-1, 0] += 1e-14
        check(states, start)

    with interrupted(monkeypatch, 6):
        lyapy.lyapunov_spectrum(TANH, checkpoint=path, **options)
    monkeypatch.setattr(segments, "check_states", off)
    whole = lyapy.lyapunov_spectrum(TANH, **options)
    with pytest.warns(RuntimeWarning, match="other bits than those of the checkpoint"):
        found = lyapy.lyapunov_spectrum(TANH, checkpoint=path, **options)
    np.testing.assert_array_equal(found.growth, whole.growth)


def test_frames_that_never_meet_leave_an_error(monkeypatch):
    """A rotation by an irrational angle has no directions: the plane's growth is all there is."""
    turn = np.array([[np.cos(1.0), -np.sin(1.0)], [np.sin(1.0), np.cos(1.0)]])
    J = turn @ np.diag([1.2, 0.9]) @ turn @ np.diag([0.9, 1.1])
    assert np.abs(np.linalg.eigvals(J)[0].imag) > 0.1
    jacobians = np.tile(J, (3000, 1, 1))
    exact = 0.5 * np.log(np.linalg.det(J))
    monkeypatch.setattr(segments, "CORRECTIONS", 1)
    found = lyapy.spectrum_of_jacobians(jacobians, segments=4, interval=1)
    error = np.abs(found.exponents - exact).max()
    assert error <= found.settings["seam_error"] + 2e-3
    assert found.settings["seam_error"] > 1e-6
    assert found.status.code == "not converged"
    assert found.exponents.sum() == pytest.approx(2.0 * exact, abs=1e-12)


def test_auto_makes_one_for_each_cpu_of_a_long_trajectory():
    network = lyapy.random_network("vanilla", 4, gain=1.5, seed=1)
    options = {"segments": "auto", "threads": 2, "k": 1}
    long = lyapy.lyapunov_spectrum(network, steps=40_000, **options)
    assert long.settings["segments"] == 2
    assert lyapy.lyapunov_spectrum(network, steps=4000, **options).settings["segments"] == 1
    several = lyapy.lyapunov_spectrum(network, steps=40_000, trajectories=2, **options)
    assert several.settings["segments"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trajectories": 3}, "segments is 4, but there are 3 trajectories"),
        ({"steps": None, "until": 0.1}, "segments is 4, but until= decides"),
        ({"record": "states", "checkpoint": "run.h5"}, "segments is 4, but record is states"),
        ({"require_identical": True, "checkpoint": "run.h5"}, "which depend on it; leave it out"),
        ({"steps": 300}, "segments is 4; it must be a whole number from 1 to 2; there are 300"),
        ({"segments": 0}, "segments is 0"),
        ({"segments": "some"}, "segments is 'some'"),
    ],
)
def test_impossible_segments_are_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = lyapy.random_network("vanilla", 4, gain=1.5, seed=1)
    with pytest.raises((ValueError, TypeError), match=message):
        lyapy.lyapunov_spectrum(network, **{"steps": 2000, "segments": 4} | options)


def test_a_run_file_keeps_the_seam_error(tmp_path):
    network = lyapy.random_network("vanilla", 8, gain=1.5, seed=1)
    path = tmp_path / "run.h5"
    options = {"steps": 3000, "checkpoint": path}
    found = lyapy.lyapunov_spectrum(network, segments=2, **options)
    # finished already: read, also with another number of segments
    for count in (2, 1):
        again = lyapy.lyapunov_spectrum(network, segments=count, **options)
        np.testing.assert_array_equal(again.growth, found.growth)
        assert again.settings["seam_error"] == found.settings["seam_error"]


def test_errors_name_the_step():
    with pytest.raises(FloatingPointError, match="trajectory 0: the state is not finite after"):
        lyapy.lyapunov_spectrum(
            lyapy.random_network("vanilla", 8, gain=2.0, nonlinearity="identity", seed=1),
            steps=9000, segments=2,
        )  # fmt: skip
