"""Status of a run, and advice."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from lyapy.spectra.status import target_reached
from lyapy.spectra.text import spectrum_table
from tests.support.made_spectra import made


def with_settings(spectrum, **settings):
    return replace(spectrum, settings=spectrum.settings | settings)


def grown(spectrum, extra):
    """Add to the growth."""
    return replace(spectrum, growth=spectrum.growth + extra)


def codes(spectrum, extra, *factors):
    """Return the status codes of growth with an addition, which is multiplied by each factor."""
    return [grown(spectrum, factor * extra).status.code for factor in factors]


def correlated(phi=0.98, rows=400):
    """One trajectory whose growth is correlated over about 1 / (1 − φ) rows."""
    spectrum = made([0.5, -1.0], trajectories=1, rows=rows)
    rng, noise = np.random.default_rng(1), np.zeros((rows, 2))
    for i in range(1, rows):
        noise[i] = phi * noise[i - 1] + rng.normal(size=2)
    return grown(spectrum, noise)


def test_a_sound_run_is_converged():
    for trajectories in (1, 3):
        assert made([0.5, -1.0, -np.inf], trajectories=trajectories).status == ("converged", "")
    assert made([-np.inf]).status.code == "converged"


def test_a_tail_that_is_not_resolved():
    status = made([0.5, -1.0, -2.0], unresolved=[1, 2]).status
    assert status.code == "unresolved tail"
    assert status.advice.startswith("2 of 3 exponents, from the 2. on, are upper bounds: float64")


def test_an_interrupted_run_tells_all():
    spectrum = with_settings(made([0.5, -1.0], unresolved=[1]), interrupted=True)
    assert spectrum.status.code == "interrupted"
    assert "interrupted after 1280 counted steps: run it again" in spectrum.status.advice
    assert "upper bounds" in spectrum.status.advice


def test_errors_that_are_not_known():
    status = made([0.5, -1.0], trajectories=1, rows=3).status
    assert status.code == "not converged"
    assert "one trajectory of 192 steps is too short" in status.advice


def test_a_target_that_is_missed():
    spectrum = made([0.5, -1.0], trajectories=4)
    error = spectrum.standard_error.max()
    assert with_settings(spectrum, until=[1.01 * error, 10_000]).status.code == "converged"
    status = with_settings(spectrum, until=[error / 3, 10_000]).status
    assert status.code == "not converged"
    assert f"About {9 * 1280:.1g} steps would reach it" in status.advice
    assert f"error is {error:.2g}, the target was {error / 3:.2g}." in status.advice


def test_a_run_of_few_autocorrelation_times():
    status = correlated().status
    assert status.code == "not converged"
    assert "autocorrelation times long" in status.advice
    assert correlated(0.5).status.code == "converged"


def test_many_trajectories_do_not_make_up_for_steps():
    """As in a batch that was given in the order (T, B, m)."""
    spectrum = replace(made([0.5, -1.0], trajectories=200, rows=5), growth_steps=np.arange(1, 6))
    status = replace(spectrum, transient=3).status
    assert status.code == "not converged"
    assert status.advice.startswith("Each trajectory has 8 steps")
    assert replace(spectrum, transient=100).status.code == "converged"


@pytest.mark.parametrize("trajectories", [1, 5])
def test_a_transient_that_was_too_short(trajectories):
    spectrum = made([0.5, -1.0], trajectories=trajectories, rows=200)
    decay = np.exp(-np.arange(200) / 10)[:, None] * [1.0, 10.0]
    status = grown(spectrum, 10 * decay).status
    assert status.code == "not converged"
    assert "Give" in status.advice


@pytest.mark.parametrize("dt", [None, 1e-3, 1e3])
def test_a_drift_is_one_in_any_units_of_time(dt):
    spectrum = with_settings(made([0.5, -1.0], trajectories=5, rows=200), dt=dt)
    assert spectrum.status.code == "converged"
    offset = np.zeros((200, 2))
    offset[:50, 1] = 2.0
    drifting = grown(spectrum, offset)
    assert drifting.status.advice.startswith("1 exponents drift from the first quarter")


def test_a_drift_is_found_by_the_whole_first_quarter_and_second_half():
    spectrum = made([0.5, -1.0], trajectories=5, rows=200)
    offset = np.zeros((200, 2))
    # its first row and the row in the middle lie on the other side
    offset[:50], offset[0], offset[99:101] = 2.0, -2.0, 2.0
    assert "2 exponents drift" in grown(spectrum, offset).status.advice


def test_how_much_drift_is_allowed():
    """Student's t of one alarm in a hundred, of the error of a quarter and that of a half."""
    spectrum = made([0.5, -1.0], trajectories=5, rows=200)
    apart = 0.01 * np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    growth = 64.0 * (np.array([0.5, -1.0]) + apart[:, None, None] + np.zeros((1, 200, 1)))
    error = np.std(apart, ddof=1) / np.sqrt(5)
    allowed = scipy.stats.t(4).ppf(1 - 0.01 / 2 / 2) * error * np.sqrt(4 + 2) + 1e-8
    step = np.zeros((200, 1))
    step[:50] = 64.0 * allowed
    for dt in (None, 0.5):
        apart = replace(with_settings(spectrum, dt=dt), growth=growth)
        found = codes(apart, step, 0.9999, 1.0001, -1.0001)
        assert found == ["converged", "not converged", "not converged"]


def test_a_drift_within_the_tolerance_is_none():
    """Trajectories that agree to the last bit have no error."""
    spectrum = made([0.5, -1.0], trajectories=5, rows=200, noise=0.0)
    step = np.zeros((200, 1))
    step[:50] = 64.0 * 1e-8
    for dt in (None, 0.5):
        found = codes(with_settings(spectrum, dt=dt), step, 0.99, 1.01)
        assert found == ["converged", "not converged"]


def test_the_parts_of_a_run_are_those_of_its_steps():
    """Rows of unequal length: the last is as long as all others."""
    spectrum = made([0.5, -1.0], trajectories=5, rows=16, noise=0.0)
    ends = np.array([*range(64, 64 * 16, 64), 64 * 30])
    lengths = np.diff(ends, prepend=0)[:, None]
    apart = 0.01 * np.array([-2.0, -1.0, 0.0, 1.0, 2.0])[:, None, None]
    growth = lengths * (np.array([0.5, -1.0]) + apart)
    error = np.std(apart, ddof=1) / np.sqrt(5)
    # a quarter and a half end with the row that reaches them: rows 8 and 15 of 30 units
    part = 30 / 8 + 30 / 15
    allowed = scipy.stats.t(4).ppf(1 - 0.01 / 2 / 2) * error * np.sqrt(part) + 1e-8
    step = np.zeros((16, 1))
    step[:8] = 64.0 * allowed
    unequal = replace(spectrum, growth=growth, growth_steps=ends)
    assert codes(unequal, step, 0.9999, 1.0001) == ["converged", "not converged"]


def test_false_alarms_are_rare():
    alarms = 0
    for seed in range(200):
        spectrum = made(np.linspace(0.5, -1.0, 6), trajectories=1, rows=100)
        noise = np.random.default_rng(seed).normal(size=spectrum.growth.shape)
        alarms += grown(spectrum, noise).status.code != "converged"
    assert alarms <= 8


def test_a_small_rounding_error_is_reported_and_is_no_bound():
    spectrum = made([0.1, -1.0, -2.0])
    error = spectrum.numerical_error.copy()
    error[:, 2] = 3e-6
    spectrum = replace(spectrum, numerical_error=error)
    assert spectrum.resolved.tolist() == [True, True, False]
    assert not spectrum.bounded.any()
    assert spectrum.status.code == made([0.1, -1.0, -2.0]).status.code
    table = spectrum_table(spectrum)
    assert "(rounding 3e-06)" in table
    assert "up to 3e-06 nats per step in 1 exponents" in table
    error = error.copy()
    error[:, 2] = 2e-2
    worse = replace(spectrum, numerical_error=error)
    assert worse.bounded.tolist() == [False, False, True]
    assert "not resolved" in spectrum_table(worse)


@pytest.mark.parametrize(
    ("name", "allowed"), [("norm_excess", 10 * 1e-8), ("frame_error", 100 * 1e-4)]
)
def test_the_limits_of_the_checks(name, allowed):
    spectrum = made([0.5, -1.0])
    for part, code in ((0.999, "converged"), (1.001, "failed check")):
        found = getattr(spectrum, name).copy()
        found[1] = part * allowed
        assert replace(spectrum, **{name: found}).status.code == code


def test_the_allowed_distance_of_the_sum_from_the_determinant():
    spectrum = made([0.5, -1.0])
    for part, code in ((0.999, "converged"), (1.001, "failed check")):
        # log|det J|, growth and steps of each trajectory; two exponents share the difference
        determinants = np.full((3, 1, 3), [0.0, 2 * part * 1e-7 * 1280, 1280.0])
        checked = replace(spectrum, determinants=determinants)
        assert checked.sum_rule_residual == pytest.approx(part * 1e-7)
        assert checked.status.code == code
        # which rounding may cost where it is known to be large
        rounded = np.array([[0.0, 1e-6]] * 3)
        rounding = replace(checked, numerical_error=rounded)
        assert not rounding.resolved.all() and not rounding.bounded.any()
        assert rounding.status.code == "converged"


def with_correlation_time(spectrum, rows):
    """Set the correlation time of growth, in rows."""
    times = np.array([0.5, rows]) * spectrum.growth_steps[0]
    found = spectrum.uncertainty._replace(correlation_time=times)
    spectrum = replace(spectrum)
    spectrum.__dict__["uncertainty"] = found
    return spectrum


def test_how_many_autocorrelation_times_are_a_run():
    spectrum = made([0.5, -1.0], trajectories=1, rows=200)
    # of which half a row is no correlation: 4 rows are a fiftieth of the run
    assert with_correlation_time(spectrum, 4.5).status.code == "converged"
    assert target_reached(with_correlation_time(spectrum, 4.5), 1.0)
    short = with_correlation_time(spectrum, 4.51)
    assert short.status.code == "not converged"
    assert "The run is 44 autocorrelation times long (289 steps each)" in short.status.advice
    assert "below 50" in short.status.advice
    assert not target_reached(short, 1.0)
    # dead directions do not count, and errors over trajectories need no such condition
    dead = with_correlation_time(made([0.5, -np.inf], trajectories=1, rows=200), 4.51)
    assert dead.status.code == "converged"
    many = with_correlation_time(made([0.5, -1.0], trajectories=2, rows=200), 4.51)
    assert many.status.code == "converged"


def test_a_target_is_reached_by_all_living_directions():
    spectrum = made([0.5, -1.0, -np.inf])
    error = np.nanmax(spectrum.standard_error)
    assert target_reached(spectrum, error)
    assert not target_reached(spectrum, 0.999 * error)
    assert with_settings(spectrum, until=[error, 100]).status.code == "converged"
    assert target_reached(made([-np.inf]), 1e-300)
    assert not target_reached(made([0.5, -1.0], trajectories=1, rows=3), 1e300)


@pytest.mark.parametrize(("rows", "found"), [(7, False), (8, True)])
def test_a_drift_is_not_looked_for_in_a_few_rows(rows, found):
    spectrum = made([0.5, -1.0], trajectories=5, rows=rows)
    offset = np.zeros((rows, 2))
    offset[:3] = 1e3
    assert ("drift" in grown(spectrum, offset).status.advice) == found
