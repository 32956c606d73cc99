"""Runs that end when their errors are small enough: the same as runs of so many steps."""

from itertools import islice

import numpy as np
import pytest

import lyapy
from lyapy import lyapunov_spectrum, random_network
from lyapy.cli import main
from lyapy.errors import Interrupted
from lyapy.runs import schedule
from lyapy.runs.checkpoint.unfinished import read_unfinished
from lyapy.runs.trajectory import Trajectory
from lyapy.runs.until import Until
from lyapy.spectra.status import target_reached
from tests.support.made_checkpoints import assert_same_bits, interrupt_after


def assert_same(one, other):
    assert_same_bits(one, other)
    ignored = {"seconds", "until", "date", "threads"}
    for key in one.settings.keys() - ignored:
        assert one.settings[key] == other.settings[key], key


def test_lengths_double_in_whole_chunks():
    for chunk, most, wanted in (
        (192, 10_000, [1152, 2304, 4608, 9216, 10_000]),
        (4096, 8192, [4096, 8192]),
        (64, 500, [500]),
        (1, 1025, [1024, 1025]),
        (512, 1024, [1024]),
    ):
        # finite, whatever the lengths
        assert list(islice(Until(1.0, most).lengths(chunk), 9)) == wanted


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("vanilla", {"k": 3}),
        ("vanilla", {"trajectories": 3, "transient": 100}),
        ("gru", {"layers": 2, "transient": 33}),
        ("lstm", {"transient": 300}),
        ("lstm", {"interval": 2, "trajectories": 2}),
    ],
)
def test_a_run_until_is_a_run_of_its_steps(kind, options):
    """Full spectra followed from both ends too, whose way depends on how time is cut."""
    layers = options.get("layers", 1)
    options = {name: value for name, value in options.items() if name != "layers"}
    network = random_network(kind, 36, gain=3.0, bias=0.3, layers=layers, seed=2)
    found = lyapunov_spectrum(network, until=1e-9, max_steps=2500, threads=2, **options)
    assert found.steps == 2500
    with_steps = lyapunov_spectrum(network, steps=2500, threads=1, **options)
    assert_same(found, with_steps)
    assert found.settings["until"] == [1e-9, 2500]
    assert "until" not in with_steps.settings


def test_a_long_run_has_the_history_of_its_steps():
    """Rows of several tiles are summed in the order in which a run of known length sums them."""
    network = random_network("vanilla", 3, gain=3.0, bias=0.3, seed=2)
    found = lyapunov_spectrum(network, until=1e-12, max_steps=140_000)
    assert found.growth_steps[0] == 192
    assert_same(found, lyapunov_spectrum(network, steps=140_000))


@pytest.mark.parametrize(("trajectories", "target"), [(1, 0.004), (4, 0.002)])
def test_it_stops_where_the_target_is_reached(trajectories, target):
    network = random_network("vanilla", 30, gain=3.0, bias=0.3, seed=2)
    options = {"k": 4, "transient": 500, "trajectories": trajectories}
    found = lyapunov_spectrum(network, until=target, **options)
    assert found.standard_error.max() <= target
    assert found.status.code == "converged"
    before = lyapunov_spectrum(network, steps=found.steps // 2, **options)
    assert before.standard_error.max() > target
    assert found.steps < 100_000


def test_errors_are_in_the_units_of_the_result():
    network = random_network("vanilla", 30, gain=3.0, bias=0.3, seed=2)
    options = {"k": 2, "transient": 500, "trajectories": 4}
    per_step = lyapunov_spectrum(network, until=0.004, **options)
    per_time = lyapunov_spectrum(network, until=0.04, dt=0.1, **options)
    assert per_time.steps == per_step.steps


def test_max_steps_end_the_run_with_advice():
    network = random_network("vanilla", 6, gain=3.0, bias=0.3, seed=2)
    found = lyapunov_spectrum(network, until=1e-6, max_steps=3000)
    assert found.steps == 3000
    assert found.status.code == "not converged"
    assert "the target was 1e-06" in found.status.advice


def test_unknown_errors_do_not_end_it():
    """One trajectory of fewer than four rows has none."""
    network = random_network("vanilla", 2, gain=0.5, seed=2)
    assert lyapunov_spectrum(network, until=1e3, max_steps=1).steps == 1
    short = lyapunov_spectrum(network, until=1e3, max_steps=100)
    assert short.steps == 100
    assert np.isnan(short.standard_error).all()


def test_a_short_run_of_correlated_growth_goes_on(monkeypatch):
    network = random_network("vanilla", 30, gain=3.0, bias=0.3, seed=2)
    options = {"k": 2, "max_steps": 10_000, "until": 1.0}
    assert lyapunov_spectrum(network, **options).steps < 10_000
    monkeypatch.setattr("lyapy.spectra.status._short", lambda *a: "too short")
    assert lyapunov_spectrum(network, **options).steps == 10_000


def test_dead_directions_need_no_errors():
    network = lyapy.Network([lyapy.Vanilla(None, -np.eye(3), -np.ones(3), nonlinearity="relu")])
    found = lyapunov_spectrum(network, until=1e-3)
    assert np.isneginf(found.exponents).all()
    assert found.steps < 10_000


def test_arguments_that_do_not_go_together(tmp_path):
    network = random_network("vanilla", 3, seed=1)
    driven = random_network("vanilla", 3, 2, seed=1)
    for value in (0.0, -1.0, np.nan, np.inf, True, "small"):
        with pytest.raises(ValueError, match=r"until is .*; it must be a standard error"):
            lyapunov_spectrum(network, until=value)
    with pytest.raises(ValueError, match=r"steps is 100 and until is .* give one of them"):
        lyapunov_spectrum(network, until=0.1, steps=100)
    with pytest.raises(ValueError, match="max_steps is 0; it must be"):
        lyapunov_spectrum(network, until=0.1, max_steps=0)
    with pytest.raises(ValueError, match="the network reads 2 inputs at every step, which end"):
        lyapunov_spectrum(driven, np.zeros((100, 2)), until=0.1)
    with pytest.raises(ValueError, match=r"record is states and until is 0\.1, but the number"):
        lyapunov_spectrum(network, until=0.1, checkpoint=tmp_path / "run.h5", record="states")


def run_in_pieces(monkeypatch, chunks, network, path, **options):
    """Interrupt a run each time a trajectory advanced by ``chunks``; return it, and its pieces."""
    with monkeypatch.context() as patched:
        interrupt_after(chunks, patched)
        for pieces in range(1, 1000):
            try:
                return lyapunov_spectrum(network, checkpoint=path, **options), pieces
            except Interrupted:
                unfinished = read_unfinished(path)
                assert unfinished.spectrum is None or unfinished.spectrum.growth_steps[0] == 64
    raise AssertionError("the run makes no progress")


@pytest.mark.parametrize("chunks", [5, 16, 17])
@pytest.mark.parametrize(
    "options",
    [
        {"until": 1e-9, "max_steps": 2500},
        {"until": 0.004, "max_steps": 9000, "trajectories": 3, "transient": 100},
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_bits(chunks, options, tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    network = random_network("vanilla", 30, gain=3.0, bias=0.3, seed=2)
    options = {"k": 2, **options}
    whole = lyapunov_spectrum(network, **options)
    path = tmp_path / "run.h5"
    found, pieces = run_in_pieces(monkeypatch, chunks, network, path, **options)
    assert pieces > 1
    assert_same(found, whole)
    assert_same(lyapy.Spectrum.load(path), whole)
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5"]
    # a finished run is read, and another target is another run
    monkeypatch.setattr(Trajectory, "advance", None)
    assert_same(lyapunov_spectrum(network, checkpoint=path, **options), whole)
    with pytest.raises(ValueError, match="is another run, until is"):
        lyapunov_spectrum(network, checkpoint=path, **options | {"until": 0.01})


def test_a_run_interrupted_before_its_errors_are_compared_compares_them(tmp_path, monkeypatch):
    """All steps of the length are done then, and it may be the last."""
    network = random_network("vanilla", 30, gain=3.0, bias=0.3, seed=2)
    options = {"k": 2, "until": 1.0, "transient": 100, "max_steps": 10_000}
    whole = lyapunov_spectrum(network, **options)
    assert whole.steps < 10_000

    def interrupt(spectrum, target):
        if spectrum.steps == whole.steps:
            raise KeyboardInterrupt
        return target_reached(spectrum, target)

    path = tmp_path / "run.h5"
    with monkeypatch.context() as patch:
        patch.setattr("lyapy.runs.computation.target_reached", interrupt)
        with pytest.raises(KeyboardInterrupt):
            lyapunov_spectrum(network, checkpoint=path, **options)
    assert_same(lyapunov_spectrum(network, checkpoint=path, **options), whole)


def test_the_command_line_runs_until_a_target(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    weights = {"weight_ih_l0": np.zeros((20, 0)), "weight_hh_l0": rng.normal(size=(20, 20)) / 1.5}
    np.savez("net.npz", **weights)
    command = ["spectrum", "net.npz", "--nonlinearity", "tanh", "-k", "2", "-o", "run.h5"]
    command += ["--until", "0.02", "--max-steps", "50000", "--transient", "200"]
    assert main(command) == 0
    spectrum = lyapy.Spectrum.load("run.h5")
    assert spectrum.standard_error.max() <= 0.02
    assert spectrum.settings["until"] == [0.02, 50000]
    assert "written to run.h5" in capsys.readouterr().out
    # the same command again finds it finished
    assert main(command) == 0
    assert lyapy.Spectrum.load("run.h5").settings["date"] == spectrum.settings["date"]
