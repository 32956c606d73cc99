"""Warnings of exponents that rounding spoils."""

from dataclasses import replace

import numpy as np
import pytest

import lyapy
from lyapy.cli import main
from lyapy.spectra.rounding import bounding_growth, warn_of_rounding
from lyapy.tangent.interval import make_control
from lyapy.weights.frameworks.canonical import canonical_bytes
from tests.support.made_spectra import made


def spectrum_with(errors, spread=30.0):
    found = made([0.5, -1.0, -2.0], trajectories=1)
    errors = np.array([errors])
    return replace(found, numerical_error=errors, largest_spread=np.full((1, 1), spread))


BOUND = r"1 is an upper bound \(Spectrum.bounded\)"


@pytest.mark.parametrize(
    ("errors", "interval", "found"),
    [
        ([0.0, 1e-4, np.inf], "auto", f"of 3 exponents {BOUND} and 1 has a rounding error of "
         "up to 0.0001 nats per step$"),
        ([0.0, np.inf, np.inf], "auto", r"of 3 exponents 2 are upper bounds \(Spectrum.bounded\)$"),
        ([0.0, 0.0, 1e-4], 1, "of 3 exponents 1 has a rounding error of up to 0.0001 nats per "),
    ],
)  # fmt: skip
def test_the_warning_counts_bounds_and_errors(errors, interval, found):
    control = make_control(interval, 1e-8, 64)
    with pytest.warns(RuntimeWarning, match="the Jacobians are too graded for float64.*" + found):
        warn_of_rounding(spectrum_with(errors), control, coupled=1)


def test_hidden_growth_is_bounded_by_the_mean_of_what_hides_it():
    """A vector that is known leaves its error in doubt, but only behind one that is hidden."""
    growth = np.array([-1.0, -2.0, -8.0, -9.0, -20.0])
    error, hidden = np.array([5.0, 0.0, 0.2, 0.0, 0.0]), np.array([0, 1, 0, 1, 1], bool)
    found = bounding_growth(growth, error, hidden)
    np.testing.assert_allclose(found, [-1.0, -2.0, -8.0, (-11.0 + 0.6) / 2, (-31.0 + 0.6) / 3])
    rows = bounding_growth(np.stack([growth, 2 * growth]), np.stack([error, 2 * error]), hidden)
    np.testing.assert_allclose(rows, np.stack([found, 2 * found]))
    # a vector that outgrows those before it, as long as it has not exchanged with them
    found = bounding_growth(np.array([-3.0, 1.0, -5.0]), np.zeros(3), np.ones(3, bool))
    np.testing.assert_allclose(found, [-3.0, 1.0, -7.0 / 3.0])
    # errors of fixed intervals are known, as far as growth is not hidden altogether
    found = bounding_growth(np.array([-3.0, -5.0]), np.array([0.1, 0.0]), np.ones(2, bool))
    np.testing.assert_allclose(found, [-2.7, -7.7 / 2.0])


def test_bounds_of_units_that_stand_alone_are_their_own():
    """One input hides the slopes of two units, each of which has its own frame."""
    x = 0.1 * np.random.default_rng(0).normal(size=(300, 2))
    x[100] = 800.0
    both = lyapy.Network([lyapy.Vanilla(np.eye(2), np.diag([0.9, 0.3]))])
    with pytest.warns(RuntimeWarning, match="2 are upper bounds"):
        found = lyapy.lyapunov_spectrum(both, x, initial_state=np.zeros(2))
    for i, u in enumerate((0.9, 0.3)):
        alone = lyapy.Network([lyapy.Vanilla(np.ones((1, 1)), [[u]])])
        with pytest.warns(RuntimeWarning, match="1 is an upper bound"):
            one = lyapy.lyapunov_spectrum(alone, x[:, i : i + 1], initial_state=np.zeros(1))
        np.testing.assert_allclose(found.exponents[i], one.exponents[0], rtol=1e-12)


def test_a_spread_that_is_allowed_is_no_part_of_the_warning():
    control = make_control("auto", 1e-8, 64)
    with pytest.warns(RuntimeWarning, match="too graded for float64; of 3 exponents 1 is an upper"):
        warn_of_rounding(spectrum_with([0.0, 0.0, np.inf], spread=14.2), control, coupled=1)


def test_errors_reported_next_to_the_exponents_need_no_warning():
    control = make_control("auto", 1e-8, 64)
    warn_of_rounding(spectrum_with([0.0, 0.0, 1e-4]), control, coupled=1)


@pytest.mark.parametrize(
    ("interval", "spread", "remedy"),
    # 18.3 nats are allowed
    [
        (2, 18.4, "; use interval='auto', or at most 1"),
        (6, 24.0, "; use interval='auto', or at most 4"),
        (2, 27.4, "; use interval='auto', or at most 1"),
        (6, 27.6, "; use interval='auto'"),
    ],
)
def test_the_warning_names_an_interval_that_fits(interval, spread, remedy):
    control = make_control(interval, 1e-8, 64)
    with pytest.warns(RuntimeWarning) as found:
        warn_of_rounding(spectrum_with([0.0] * 3, spread), control, coupled=1)
    assert f"interval={interval} is too long" in str(found[0].message)
    assert str(found[0].message).endswith(f"beyond the tolerance{remedy}")


def test_warnings_point_to_the_call():
    network = lyapy.Network([lyapy.Vanilla(None, np.diag([0.9, 1e-5]))])
    options = {"frame": np.eye(2), "interval": 2, "backend": "numpy"}
    with pytest.warns(RuntimeWarning) as found:
        assert lyapy.lyapunov_spectrum(network, steps=64, **options).settings["blocks"] == 1
    assert "the 2 diagonal blocks of the Jacobian are followed as one" in str(found[0].message)
    assert "interval=2 is too long" in str(found[1].message)
    assert {each.filename for each in found} == {__file__}


def test_a_fixed_interval_in_which_everything_underflows(tmp_path, capsys, monkeypatch):
    """The remedy is another interval, and the exit code warns a batch script."""
    monkeypatch.chdir(tmp_path)
    network = lyapy.random_network("lstm", 8, 3, bias=0.3, seed=1)
    (tmp_path / "net.h5").write_bytes(canonical_bytes(network))
    np.save("drive.npy", np.random.default_rng(0).normal(size=(3000, 3)))
    words = ["net.h5", "--inputs", "drive.npy", "--interval", "1000", "-o", "run.h5"]
    assert main(["spectrum", *words]) == 1
    shown = capsys.readouterr()
    assert "interval=1000 is too long: R_ii spread by inf nats" in shown.err
    assert "nan" not in shown.err
    assert "report it" not in shown.out
    assert "Do not use it. Give interval='auto'." in " ".join(shown.out.split())


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_nothing_is_dead_because_an_interval_is_too_long(backend):
    network = lyapy.random_network("lstm", 8, 3, bias=0.3, seed=1)
    inputs = np.random.default_rng(0).normal(size=(3000, 3))
    exact = lyapy.lyapunov_spectrum(network, inputs, backend=backend).exponents
    with pytest.warns(RuntimeWarning, match="is too long"):
        found = lyapy.lyapunov_spectrum(network, inputs, interval=1000, backend=backend)
    assert found.bounded.all()
    assert np.all(found.exponents >= exact - 1e-6)
    assert "hide the growth of all exponents" in found.status.advice


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("interval", [6, 1000])
def test_a_long_fixed_interval_bounds_unresolved_exponents(interval, backend):
    """It was called converged where it was off by 1.2, and pushed resolved exponents down."""
    network = lyapy.random_network("vanilla", 16, 3, gain=2.5, bias=0.3, seed=1)
    inputs = np.random.default_rng(0).normal(size=(2256, 3))
    options = {"transient": 256, "seed": 1, "backend": backend}
    exact = lyapy.lyapunov_spectrum(network, inputs, **options).exponents
    with pytest.warns(RuntimeWarning, match="is too long"):
        found = lyapy.lyapunov_spectrum(network, inputs, interval=interval, **options)
    sure = int(np.count_nonzero(~found.bounded))
    assert 0 < sure < 16 and not found.bounded[:sure].any()
    assert found.status.code != "converged"
    np.testing.assert_allclose(found.exponents[:sure], exact[:sure], atol=1e-4)
    # the bounds are those of the others
    assert np.all(found.exponents[sure:] > exact[sure:] - 1e-4)
    assert (found.exponents[sure:] - exact[sure:]).max() > (0.1 if interval > 6 else 0.0)
