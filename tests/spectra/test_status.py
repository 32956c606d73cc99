"""Status of a run, and advice."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

import lyapy
from lyapy import Network, cells
from lyapy.cells.vanilla import Vanilla
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


def test_a_tail_that_is_not_resolved_is_reported():
    status = made([0.5, -1.0, -2.0], unresolved=[1, 2]).status
    assert status.code == "unresolved tail"
    assert status.advice.startswith("2 of 3 exponents are upper bounds: float64")


@pytest.mark.parametrize(
    ("interval", "remedy"),
    [("auto", "Compute it with backend='numpy'"), (2, "Do not use it. Give interval='auto'.")],
)
def test_the_remedy_of_a_failed_check_depends_on_the_interval(interval, remedy):
    broken = replace(made([0.5, -1.0]), frame_error=np.ones((3, 1)))
    status = replace(broken, settings=broken.settings | {"interval": interval}).status
    assert status.code == "failed check"
    assert "rows of the last frame are not orthonormal by 1" in status.advice
    assert remedy in status.advice


def test_an_interrupted_run_reports_all_faults():
    spectrum = with_settings(made([0.5, -1.0], unresolved=[1]), interrupted=True)
    assert spectrum.status.code == "interrupted"
    assert "interrupted after 1280 counted steps: run it again" in spectrum.status.advice
    assert "an upper bound" in spectrum.status.advice


def test_errors_that_are_not_known_are_reported():
    status = made([0.5, -1.0], trajectories=1, rows=3).status
    assert status.code == "not converged"
    assert "one trajectory of 192 steps is too short" in status.advice


def test_a_missed_target_is_reported():
    spectrum = made([0.5, -1.0], trajectories=4)
    error = spectrum.standard_error.max()
    assert with_settings(spectrum, until=[1.01 * error, 10_000]).status.code == "converged"
    status = with_settings(spectrum, until=[error / 3, 10_000]).status
    assert status.code == "not converged"
    assert f"About {9 * 1280:.1g} steps would reach it" in status.advice
    assert f"error is {error:.2g}, the target was {error / 3:.2g}." in status.advice


def test_a_run_of_few_autocorrelation_times_is_not_converged():
    status = correlated().status
    assert status.code == "not converged"
    assert "autocorrelation times long" in status.advice
    assert correlated(0.5).status.code == "converged"


def test_many_trajectories_do_not_make_up_for_steps():
    """As in a batch that was given in the order (T, B, m)."""
    spectrum = replace(made([0.5, -1.0], trajectories=200, rows=5), growth_steps=np.arange(1, 6))
    status = replace(spectrum, transient=3).status
    assert status.code == "not converged"
    assert "each trajectory has 5 counted steps, 64 would do" in status.advice


@pytest.mark.parametrize("trajectories", [1, 5])
def test_a_transient_that_was_too_short_is_reported(trajectories):
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
    assert drifting.status.advice.startswith("1 exponent drifts from the beginning")


def test_a_drift_is_found_by_the_whole_first_quarter_and_second_half():
    spectrum = made([0.5, -1.0], trajectories=5, rows=200)
    offset = np.zeros((200, 2))
    # its first row and the row in the middle lie on the other side
    offset[:50], offset[0], offset[99:101] = 2.0, -2.0, 2.0
    assert "2 exponents drift" in grown(spectrum, offset).status.advice


def test_drift_is_allowed_within_its_error():
    """Student's t of one alarm in a hundred, of the error of a quarter and that of a half."""
    spectrum = made([0.5, -1.0], trajectories=5, rows=200)
    noise = spectrum.growth - spectrum.growth.mean(axis=(0, 1))
    # the sixteenth, the quarter and the half have no mean difference over the trajectories
    for part in (slice(13), slice(13, 50), slice(50, 100), slice(100, 200)):
        noise[:, part] -= noise[:, part].mean(axis=(0, 1))
    found = replace(spectrum, growth=64.0 * np.array([0.5, -1.0]) + noise)
    error = np.std(noise[:, 100:].sum(axis=1)[:, 1] / 6400, ddof=1) / np.sqrt(5)
    allowed = scipy.stats.t(4).ppf(1 - 0.01 / 2 / 4) * error * np.sqrt(2 + 1) + 1e-8
    step = np.zeros((200, 2))
    # over the quarter, but not over its first sixteenth
    step[13:50, 1] = 64.0 * allowed * 50 / 37
    for dt in (None, 0.5):
        drifting = with_settings(found, dt=dt)
        assert codes(drifting, step, 0.99, 1.01, -1.01)[:1] == ["converged"]
        assert codes(drifting, step, 1.01, -1.01) == ["not converged"] * 2


def test_a_drift_within_the_tolerance_is_none():
    """Trajectories that agree to the last bit have no error."""
    spectrum = made([0.5, -1.0], trajectories=5, rows=200, noise=0.0)
    step = np.zeros((200, 1))
    step[:50] = 64.0 * 1e-8
    for dt in (None, 0.5):
        found = codes(with_settings(spectrum, dt=dt), step, 0.99, 1.01)
        assert found == ["converged", "not converged"]


def test_the_parts_of_a_run_are_those_of_its_steps():
    """Rows of unequal length: the last is as long as fifteen others."""
    spectrum = made([0.5, -1.0], trajectories=5, rows=16, noise=0.0)
    ends = np.array([*range(64, 64 * 16, 64), 64 * 30])
    growth = np.diff(ends, prepend=0)[:, None] * np.array([0.5, -1.0]) + np.zeros((5, 16, 2))
    # a quarter ends with the row that reaches it, the eighth
    step = np.zeros((16, 1))
    step[7] = 64.0 * 8 * 1e-8
    unequal = replace(spectrum, growth=growth, growth_steps=ends)
    assert codes(unequal, step, 0.99, 1.01) == ["converged", "not converged"]


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
    assert "up to 3e-06 nats per step in 1 exponent\n" in table
    error = error.copy()
    error[:, 2] = 2e-2
    worse = replace(spectrum, numerical_error=error)
    assert worse.estimated.tolist() == [False, False, True] and not worse.bounded.any()
    assert worse.status.code == "unresolved tail"
    assert "1 is an estimate with a rounding error of up to 0.02 nats" in worse.status.advice
    assert "(rounding 2e-02)" in spectrum_table(worse)
    mean = worse.measures()["mean"]
    assert mean.status == "estimate"


def test_a_bound_does_not_change_the_numbers_of_other_exponents():
    """Its value, an upper bound, may lie anywhere above the exponent."""
    spectrum = made([0.1, -3.0, -1.0, -2.0, -np.inf], unresolved=[2])
    np.testing.assert_allclose(spectrum.exponents, [0.1, -2.0, -3.0, -1.0, -np.inf], atol=0.01)
    assert spectrum.bounded.tolist() == [False, False, False, True, False]
    # it may come before the last exponent that the dimension takes
    assert made([0.1, -2.0, -1.0], unresolved=[2]).measures()["kaplan_yorke_dimension"].status == (
        "upper bound"
    )


@pytest.mark.parametrize(
    ("steps", "found"), [(1, False), (2, True), (1000, True)], ids=["one", "two", "many"]
)
def test_a_fixed_interval_whose_spread_saturates_bounds_the_row(steps, found):
    """A small error per step can be all that 53 bits show of one in each of few intervals."""
    spectrum = made([0.5, -1.0])
    error = np.array([[0.0, 1.1e-4 / steps]] * 3)
    spectrum = with_settings(replace(spectrum, numerical_error=error), interval=steps)
    assert spectrum.bounded.tolist() == [False, found]
    assert spectrum.resolved[0] and not spectrum.resolved[1]
    assert (spectrum.status.code == "unresolved tail") == found


@pytest.mark.parametrize(
    ("name", "allowed"), [("norm_excess", 10 * 1e-8), ("frame_error", 100 * 1e-4)]
)
def test_checks_fail_beyond_their_limits(name, allowed):
    spectrum = made([0.5, -1.0])
    for part, code in ((0.999, "converged"), (1.001, "failed check")):
        found = getattr(spectrum, name).copy()
        found[1] = part * allowed
        assert replace(spectrum, **{name: found}).status.code == code


def test_the_sum_may_be_off_the_determinant_by_its_rounding():
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


def test_a_run_needs_fifty_autocorrelation_times():
    spectrum = made([0.5, -1.0], trajectories=1, rows=200)
    # of which half a row and its noise are no correlation: 4 rows are a fiftieth of the run
    noise = 4.0 / np.sqrt(200)
    assert with_correlation_time(spectrum, 4.5 + noise).status.code == "converged"
    assert target_reached(with_correlation_time(spectrum, 4.5 + noise), 1.0)
    short = with_correlation_time(spectrum, 4.51 + noise)
    assert short.status.code == "not converged"
    assert "The run is 42 autocorrelation times long (307 steps each)" in short.status.advice
    assert "below 50" in short.status.advice
    assert not target_reached(short, 1.0)
    # dead directions do not count, and errors over trajectories need no such condition
    dead = with_correlation_time(made([0.5, -np.inf], trajectories=1, rows=200), 4.51 + noise)
    assert dead.status.code == "converged"
    many = with_correlation_time(made([0.5, -1.0], trajectories=2, rows=200), 4.51 + noise)
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
def test_a_few_rows_are_too_short_to_decide(rows, found):
    spectrum = made([0.5, -1.0], trajectories=5, rows=rows)
    offset = np.zeros((rows, 2))
    offset[:2] = 1e3
    advice = grown(spectrum, offset).status.advice
    assert ("2 exponents drift" in advice) == found
    assert ("448 counted steps, 512 would do" in advice) != found
    assert spectrum.status.code == ("converged" if found else "not converged")


def test_an_orbit_that_escapes_leaves_no_measures():
    """A relu unit that doubles its state, and a phase that grows like the steps."""
    spectrum = made([0.5, -1.0], rows=20)
    steps = spectrum.growth_steps
    sizes = np.ones((3, 20))
    sizes[1] = np.exp(0.01 * steps)
    escaped = replace(spectrum, state_sizes=sizes)
    assert escaped.status.code == "not converged"
    assert escaped.status.advice.startswith("The state of 1 of 3 trajectories grows without bound")
    for name in ("kaplan_yorke_dimension", "entropy_rate"):
        found = escaped.measures()[name]
        assert found.status == "escapes" and np.isnan(found.value)
        assert np.isnan(getattr(escaped, name))
    assert escaped.measures()["mean"].status == "computed"
    sizes[1] = steps
    assert replace(spectrum, state_sizes=sizes).status.code == "converged"


@pytest.mark.parametrize("several", [[0], [0, 3]])
def test_trajectories_on_different_attractors_are_reported(several):
    spectrum = made([0.5, -1.0], trajectories=6, rows=40)
    extra = np.zeros((6, 1, 2))
    extra[several, 0, 0] = -64 * 0.3
    mixed = grown(spectrum, extra)
    assert mixed.status.code == "not converged"
    assert "different attractors" in mixed.status.advice
    dimension, entropy = (mixed.measures()[n] for n in ("kaplan_yorke_dimension", "entropy_rate"))
    assert dimension.status == entropy.status == "undetermined"
    # of the attractors with exponents 0.5 and 0.2
    assert dimension.low <= 1.2 < 1.5 <= dimension.high
    assert entropy.low <= 0.2 < 0.5 <= entropy.high


def test_trajectories_differ_by_their_inputs():
    spectrum = made([0.5, -1.0], trajectories=6, rows=40)
    extra = np.random.default_rng(1).normal(size=(6, 1, 2)) * 64 * 0.05
    differing = grown(spectrum, extra)
    assert "different attractors" in differing.status.advice
    own = replace(differing, settings={**differing.settings, "input_sequences": 6})
    assert own.status.code == "converged"


def test_transients_that_end_at_random_times_are_reported():
    """Chaos that collapses in each trajectory at another step."""
    spectrum = made([0.5, -1.0], trajectories=6, rows=100)
    ends = np.random.default_rng(3).integers(10, 100, size=6)
    collapsed = np.where(np.arange(100) >= ends[:, None], -64 * 0.8, 0.0)
    status = grown(spectrum, collapsed[:, :, None]).status
    assert status.code == "not converged"
    assert "transient at different times" in status.advice


def test_a_drift_at_the_very_beginning_is_found():
    """It is in the first rows only, and enlarges the errors of the whole run."""
    spectrum = replace(made([0.5, -1.0], trajectories=1, rows=63), transient=0)
    extra = np.zeros((63, 2))
    extra[0, 0], extra[1, 0] = 12.0, 4.0
    assert "1 exponent drifts" in grown(spectrum, extra).status.advice


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_networks_without_one_attractor_are_not_converged(backend):
    """A relu network whose state grows by 1 % per step, and a unit with two fixed points."""
    options = {"steps": 1000, "transient": 200, "trajectories": 6, "backend": backend}
    growing = Network([Vanilla(np.zeros((2, 0)), [[1.01, 0.0], [0.2, 0.5]], nonlinearity="relu")])
    found = lyapy.lyapunov_spectrum(growing, initial_state=np.ones((6, 2)), **options)
    assert found.exponents[0] == pytest.approx(np.log(1.01), abs=1e-4)
    assert "grows without bound" in found.status.advice
    assert found.measures()["entropy_rate"].status == "escapes"
    shifted = Network([cells.PLRNN(None, [1.01, 0.5], [[0.0, 0.1], [0.0, 0.0]], [1.0, 1.0])])
    found = lyapy.lyapunov_spectrum(shifted, initial_state=np.ones((6, 2)), **options)
    np.testing.assert_allclose(found.exponents, np.log([1.01, 0.5]), atol=1e-12)
    assert "grows without bound" in found.status.advice
    assert np.isnan(found.kaplan_yorke_dimension)
    bistable = Network([Vanilla(np.zeros((1, 0)), [[2.0]], b=[0.2])])
    found = lyapy.lyapunov_spectrum(bistable, **options)
    assert "different attractors" in found.status.advice
    assert found.kaplan_yorke_dimension == 0.0
