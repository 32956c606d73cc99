"""Runs with as many exponents as a measure needs: the same as runs of this k."""

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.errors import Interrupted
from lyapy.runs import reaching, schedule
from tests.support.made_checkpoints import OFTEN, assert_same_bits, stop_after

OPTIONS = {"steps": 2000, "transient": 200}


@pytest.fixture(scope="module")
def network():
    return lyapy.random_network("vanilla", 40, gain=2.5, seed=2)


@pytest.fixture(scope="module")
def whole(network):
    return lyapy.lyapunov_spectrum(network, **OPTIONS)


@pytest.mark.parametrize("measure", ["kaplan-yorke", "entropy"])
def test_the_result_is_a_run_of_the_k_found(network, whole, measure):
    found = lyapy.lyapunov_spectrum(network, k=measure, trajectories=2, **OPTIONS)
    k = len(found.exponents)
    given = lyapy.lyapunov_spectrum(network, k=k, trajectories=2, **OPTIONS)
    assert_same_bits(found, given)
    assert found.settings["k_reaches"] == measure
    quantity = {"kaplan-yorke": "kaplan_yorke_dimension", "entropy": "entropy_rate"}[measure]
    reached, error = found.measures()[quantity].value, found.measures()[quantity].standard_error
    assert abs(reached - getattr(whole, quantity)) < 5 * error + 1e-3
    needed = 1 + int(
        np.floor(reached) if measure == "kaplan-yorke" else np.sum(found.exponents > 0)
    )
    # a margin, but not all
    assert needed <= k <= 1.3 * needed + 3 < 40


def test_a_stable_network_needs_few_and_an_expanding_one_all():
    stable = lyapy.random_network("vanilla", 30, gain=0.5, seed=1)
    assert len(lyapy.lyapunov_spectrum(stable, steps=200, k="kaplan-yorke").exponents) == 4
    expanding = lyapy.Network(
        [lyapy.cells.Vanilla(None, 1.1 * np.eye(12), nonlinearity="identity")]
    )
    found = lyapy.lyapunov_spectrum(expanding, steps=64, k="entropy")
    np.testing.assert_allclose(found.exponents, np.log(1.1), atol=1e-12)
    assert len(found.exponents) == 12


def test_it_grows_until_the_whole_run_reaches_the_measure(network, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(reaching, "_estimate", lambda *arguments: 2)
    path = tmp_path / "run.h5"
    found = lyapy.lyapunov_spectrum(network, k="kaplan-yorke", checkpoint=path, **OPTIONS)
    assert found.kaplan_yorke_dimension == pytest.approx(whole.kaplan_yorke_dimension, abs=1e-4)
    assert_same_bits(found, lyapy.Spectrum.load(path))
    # the same call reads the file, whatever short runs would suggest
    monkeypatch.setattr(reaching, "compute_spectrum", None)
    again = lyapy.lyapunov_spectrum(network, k="kaplan-yorke", checkpoint=path, **OPTIONS)
    assert_same_bits(found, again)


def test_a_killed_run_continues_with_the_k_it_had_found(network, tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK_TILES", 1)
    options = OPTIONS | {"k": "kaplan-yorke", "checkpoint_every": OFTEN}
    wanted = lyapy.lyapunov_spectrum(network, **options)
    path, estimates = tmp_path / "run.h5", []
    estimate = reaching._estimate
    monkeypatch.setattr(
        reaching, "_estimate", lambda *given: estimates.append(given) or estimate(*given)
    )
    with monkeypatch.context() as patched:
        stop_after(9, patched)
        with pytest.raises(Interrupted):
            lyapy.lyapunov_spectrum(network, checkpoint=path, **options)
    assert not path.exists()
    found = lyapy.lyapunov_spectrum(network, checkpoint=path, **options)
    assert_same_bits(found, wanted)
    assert len(estimates) == 1


def test_another_run_is_not_replaced(network, tmp_path):
    path = tmp_path / "run.h5"
    other = lyapy.lyapunov_spectrum(network, k=2, checkpoint=path, **OPTIONS)
    with pytest.raises(ValueError, match=r"run.h5: is another run, .*k_reaches is None there"):
        lyapy.lyapunov_spectrum(network, k="entropy", checkpoint=path, **OPTIONS)
    assert_same_bits(other, lyapy.Spectrum.load(path))
    found = lyapy.lyapunov_spectrum(
        network, k="entropy", checkpoint=path, overwrite=True, **OPTIONS
    )
    assert_same_bits(found, lyapy.Spectrum.load(path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": "lyapunov"}, "k is 'lyapunov'; it must be a whole number, 'kaplan-yorke' or 'ent"),
        ({"k": "entropy", "frame": np.eye(40)[:3]}, "k is 'entropy', but frame is an array"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        lyapy.lyapunov_spectrum(network, steps=64, **options)


def test_the_command_line_and_sweeps_take_the_name(network, tmp_path):
    weights = tmp_path / "net.npz"
    np.savez(weights, W_hh=network.cells[0].weights.U, W_xh=np.ones((40, 1)), b=np.zeros(40))
    np.save(tmp_path / "drive.npy", np.random.default_rng(0).normal(size=(1500, 1)))
    command = [str(weights), "--inputs", str(tmp_path / "drive.npy"), "-k", "kaplan-yorke"]
    command += ["--transient", "200", "--nonlinearity", "tanh", "--quiet"]
    assert main(["spectrum", *command, "-o", str(tmp_path / "run.h5")]) == 0
    assert 0 < len(lyapy.Spectrum.load(tmp_path / "run.h5").exponents) < 40
    several = lyapy.sweep(
        {"one": network, "two": lyapy.random_network("vanilla", 40, gain=1.8, seed=1)},
        checkpoint=tmp_path / "all.h5",
        k="kaplan-yorke",
        workers=1,
        **OPTIONS,
    )
    counts = np.isfinite(several.exponents).sum(axis=1)
    assert counts[0] > counts[1] > 1
    with pytest.raises(ValueError, match="k is 'dimension'; it must be a whole number"):
        lyapy.sweep({"one": network}, checkpoint=tmp_path / "more.h5", k="dimension", **OPTIONS)
